package org.contrastive4j.device;

import org.jspecify.annotations.Nullable;

/**
 * Thrown when a device or its driver refuses a request.
 *
 * <p>Tested by {@code SimDeviceTest}.
 */
public class DeviceException extends RuntimeException {
    /**
     * Creates the exception.
     *
     * @param message what was refused, what was expected, and what to do
     */
    public DeviceException(String message) {
        super(message);
    }

    /**
     * Creates the exception with its cause.
     *
     * @param message what was refused, what was expected, and what to do
     * @param cause exception of the driver or loader; null for none
     */
    public DeviceException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }

    /**
     * Thrown after an error that the driver does not recover from: nothing works on this device until the process ends.
     */
    public static class DeviceLostException extends DeviceException {
        /**
         * Creates the exception.
         *
         * @param message the error of the driver, and that the process must end
         */
        public DeviceLostException(String message) {
            super(message);
        }

        /**
         * Creates the exception with its cause.
         *
         * @param message the error of the driver, and that the process must end
         * @param cause exception of the driver
         */
        public DeviceLostException(String message, Throwable cause) {
            super(message, cause);
        }
    }

    /** Thrown when this machine has no such device. */
    public static class NoDeviceException extends DeviceException {
        /**
         * Creates the exception.
         *
         * @param message which device was looked for, and what was found
         */
        public NoDeviceException(String message) {
            super(message);
        }

        /**
         * Creates the exception with its cause.
         *
         * @param message which device was looked for, and what was found
         * @param cause exception of the driver or loader; null for none
         */
        public NoDeviceException(String message, @Nullable Throwable cause) {
            super(message, cause);
        }
    }

    /** Thrown when the device exists, but kernels of this library do not run on it. */
    public static class UnsupportedDeviceException extends DeviceException {
        /**
         * Creates the exception.
         *
         * @param message the device and what is required
         */
        public UnsupportedDeviceException(String message) {
            super(message);
        }

        /**
         * Refuses a device on which portable kernels cannot be loaded.
         *
         * @param facts properties of the device
         * @throws UnsupportedDeviceException naming the device and what is required
         */
        public static void refuse(PtxDevice.Facts facts) {
            if (facts.architecture() < PtxDevice.Facts.LEAST_ARCHITECTURE) {
                throw new UnsupportedDeviceException(facts.name() + " is of compute capability "
                        + facts.architecture() / 10 + "." + facts.architecture() % 10
                        + ", the kernels require 8.0 or more (Ampere and later); train on cpu");
            }
        }
    }

    /** Thrown when a kernel fails: an illegal access, a failed assertion, or a loss of the device. */
    public static class KernelException extends DeviceException {
        /**
         * Creates the exception.
         *
         * @param message the kernel and what it did
         */
        public KernelException(String message) {
            super(message);
        }

        /**
         * Creates the exception with its cause.
         *
         * @param message the kernel and what it did
         * @param cause exception of the driver or fault of the simulator
         */
        public KernelException(String message, Throwable cause) {
            super(message, cause);
        }
    }

    /** Thrown for a launch with invalid arguments or sizes; nothing has run. */
    public static class LaunchException extends DeviceException {
        /**
         * Creates the exception.
         *
         * @param message the kernel, the value given and the value expected
         */
        public LaunchException(String message) {
            super(message);
        }

        /**
         * Creates the exception with its cause.
         *
         * @param message the kernel, the value given and the value expected
         * @param cause exception of the driver
         */
        public LaunchException(String message, Throwable cause) {
            super(message, cause);
        }
    }
}
