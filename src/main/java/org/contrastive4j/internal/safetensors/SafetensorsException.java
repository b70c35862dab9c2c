package org.contrastive4j.internal.safetensors;

/** A file is no safetensors file, is damaged or cut off, or cannot be read. */
public final class SafetensorsException extends RuntimeException {
    SafetensorsException(String message) {
        super(message);
    }

    SafetensorsException(String message, Throwable cause) {
        super(message, cause);
    }
}
