package org.contrastive4j.device;

import org.jspecify.annotations.Nullable;

/** Something a device or its driver refused. */
public class DeviceException extends RuntimeException {
    public DeviceException(String message) {
        super(message);
    }

    public DeviceException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
