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

    /** After an error that the driver does not recover from: nothing works on this device until the process ends. */
    public static class DeviceLostException extends DeviceException {
        public DeviceLostException(String message) {
            super(message);
        }

        public DeviceLostException(String message, Throwable cause) {
            super(message, cause);
        }
    }

    /** Thrown when this machine has no such device. */
    public static class NoDeviceException extends DeviceException {
        public NoDeviceException(String message) {
            super(message);
        }

        public NoDeviceException(String message, @Nullable Throwable cause) {
            super(message, cause);
        }
    }

    /** The device is there, but kernels of this library do not run on it. */
    public static class UnsupportedDeviceException extends DeviceException {
        public UnsupportedDeviceException(String message) {
            super(message);
        }

        /**
         * Refuses a device on which portable kernels cannot be loaded.
         *
         * @throws UnsupportedDeviceException naming the device and what is required
         */
        public static void refuse(PtxDevice.Facts facts) {
            if (facts.architecture() < PtxDevice.Facts.LEAST_ARCHITECTURE) {
                throw new UnsupportedDeviceException(facts.name() + " is of compute capability "
                        + facts.architecture() / 10 + "." + facts.architecture() % 10
                        + ", the kernels want 8.0 or more (Ampere and later); train on cpu");
            }
        }
    }

    /** A kernel did something it may not, or the device lost it. */
    public static class KernelException extends DeviceException {
        public KernelException(String message) {
            super(message);
        }

        public KernelException(String message, Throwable cause) {
            super(message, cause);
        }
    }

    /** A launch with impossible arguments or sizes; nothing has run. */
    public static class LaunchException extends DeviceException {
        public LaunchException(String message) {
            super(message);
        }

        public LaunchException(String message, Throwable cause) {
            super(message, cause);
        }
    }
}
