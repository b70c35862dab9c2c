package org.contrastive4j.internal.cuda;

import static jcuda.driver.JCudaDriver.cuDeviceGetCount;
import static jcuda.driver.JCudaDriver.cuDriverGetVersion;
import static jcuda.driver.JCudaDriver.cuInit;

import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;
import org.contrastive4j.device.DeviceException.NoDeviceException;
import org.jspecify.annotations.Nullable;

/** The driver library of this process, loaded on first use. */
final class CudaDriver {
    private static final int OLDEST = 12_000;

    /** Loads the library when this class is initialised; a failure is final for this process. */
    private static final class Loaded {
        static final @Nullable Throwable FAULT = load();
        static final @Nullable String PROBLEM = FAULT == null ? start() : missing(FAULT);
    }

    private CudaDriver() {}

    /**
     * @throws NoDeviceException when there is no driver or none that can be used; one sentence says what is missing
     * and what to do
     */
    static void require() {
        if (Loaded.PROBLEM != null) {
            throw new NoDeviceException(Loaded.PROBLEM, Loaded.FAULT);
        }
    }

    /** Returns the number of GPUs; 0 without a usable driver. */
    static int count() {
        int[] count = new int[1];
        return Loaded.PROBLEM == null && cuDeviceGetCount(count) == CUresult.CUDA_SUCCESS ? count[0] : 0;
    }

    /** Returns a version such as 12.6. */
    static String version() {
        int[] version = new int[1];
        cuDriverGetVersion(version);
        return version(version[0]);
    }

    private static String version(int number) {
        return number / 1000 + "." + number % 1000 / 10;
    }

    private static @Nullable Throwable load() {
        try {
            JCudaDriver.setExceptionsEnabled(false);
            return null;
        } catch (LinkageError e) {
            return e;
        }
    }

    private static String missing(Throwable fault) {
        if (!JCudaPlatform.supported()) {
            return JCudaPlatform.problem("no CUDA");
        }
        if (String.valueOf(fault.getMessage()).contains("libcuda.so.1")) {
            return "no CUDA device: the NVIDIA driver's library libcuda.so.1 is not on this machine; "
                    + "install a driver for CUDA " + version(OLDEST) + " or newer, or use the simulator";
        }
        return "no CUDA device: " + JCudaPlatform.unloadable("the native library of JCuda", fault);
    }

    private static @Nullable String start() {
        int[] version = new int[1];
        int result = cuDriverGetVersion(version);
        if (result == CUresult.CUDA_SUCCESS && version[0] < OLDEST) { // calls of CUDA 12 would end the process
            return "no CUDA device: the NVIDIA driver here is for CUDA " + version(version[0])
                    + "; install one for CUDA " + version(OLDEST) + " or newer";
        }
        result = cuInit(0);
        if (result == CUresult.CUDA_ERROR_NO_DEVICE) {
            return "no CUDA device: the NVIDIA driver is installed but sees no GPU; check whether "
                    + "CUDA_VISIBLE_DEVICES hides it or the container was started without it";
        }
        return result == CUresult.CUDA_SUCCESS
                ? null
                : "no CUDA device: the NVIDIA driver does not start (" + CudaErrors.name(result)
                        + "); check whether nvidia-smi works";
    }
}
