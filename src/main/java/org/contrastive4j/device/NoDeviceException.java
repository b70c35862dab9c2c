package org.contrastive4j.device;

/** There is no such device on this machine. */
public class NoDeviceException extends DeviceException {
    public NoDeviceException(String message) {
        super(message);
    }

    public NoDeviceException(String message, Throwable cause) {
        super(message, cause);
    }
}
