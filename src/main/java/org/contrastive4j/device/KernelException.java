package org.contrastive4j.device;

/** A kernel did something it may not, or the device lost it. */
public class KernelException extends DeviceException {
    public KernelException(String message) {
        super(message);
    }

    public KernelException(String message, Throwable cause) {
        super(message, cause);
    }
}
