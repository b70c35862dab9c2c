package org.contrastive4j.device;

/** After an error that the driver does not recover from: nothing works on this device until the process ends. */
public class DeviceLostException extends DeviceException {
    public DeviceLostException(String message) {
        super(message);
    }

    public DeviceLostException(String message, Throwable cause) {
        super(message, cause);
    }
}
