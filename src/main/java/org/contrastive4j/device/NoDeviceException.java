package org.contrastive4j.device;

import org.jspecify.annotations.Nullable;

/** Thrown when this machine has no such device. */
public class NoDeviceException extends DeviceException {
    public NoDeviceException(String message) {
        super(message);
    }

    public NoDeviceException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
