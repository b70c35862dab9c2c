package org.contrastive4j.memory;

/** Storages were still open when their memory was closed (they are freed all the same). */
public final class MemoryLeakException extends RuntimeException {
    public MemoryLeakException(String message) {
        super(message);
    }
}
