package org.contrastive4j.device;

/** A launch with impossible arguments or sizes; nothing has run. */
public class LaunchException extends DeviceException {
    public LaunchException(String message) {
        super(message);
    }

    public LaunchException(String message, Throwable cause) {
        super(message, cause);
    }
}
