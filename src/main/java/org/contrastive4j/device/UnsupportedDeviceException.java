package org.contrastive4j.device;

/** The device is there, but kernels of this library do not run on it. */
public class UnsupportedDeviceException extends DeviceException {
    public UnsupportedDeviceException(String message) {
        super(message);
    }

    /**
     * Refuses a device on which portable kernels cannot be loaded.
     *
     * @throws UnsupportedDeviceException naming the device and what is required
     */
    public static void refuse(DeviceFacts facts) {
        if (facts.architecture() < DeviceFacts.LEAST_ARCHITECTURE) {
            throw new UnsupportedDeviceException(facts.name() + " is of compute capability "
                    + facts.architecture() / 10 + "." + facts.architecture() % 10
                    + ", the kernels want 8.0 or more (Ampere and later); train on cpu");
        }
    }
}
