package org.contrastive4j.device;

/** Thrown when this machine has no such device. */
public class NoDeviceException extends DeviceException {
    public NoDeviceException(String message) {
        super(message);
    }

    public NoDeviceException(String message, Throwable cause) {
        super(message, cause);
    }
}
