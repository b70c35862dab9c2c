package org.contrastive4j.memory;

/**
 * Signals that storages were open when their memory was closed. They are freed; suppressed exceptions name the lines
 * that allocated them, if leaks are traced.
 */
public final class MemoryLeakException extends RuntimeException {
    /**
     * Creates the exception.
     *
     * @param message what was open
     */
    public MemoryLeakException(String message) {
        super(message);
    }
}
