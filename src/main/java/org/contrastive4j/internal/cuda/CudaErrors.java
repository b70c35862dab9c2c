package org.contrastive4j.internal.cuda;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.Supplier;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;
import org.contrastive4j.device.DeviceException;
import org.contrastive4j.device.DeviceException.DeviceLostException;
import org.contrastive4j.device.DeviceException.KernelException;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule.Launch;
import org.jspecify.annotations.Nullable;

/**
 * Converts result codes of the driver to exceptions, and stores the first error that the driver does not recover from.
 *
 * <p>Launches are asynchronous: a fault is reported by a later call. The last launches are kept so that its message can
 * name them.
 *
 * <p>Tested by {@code CudaDeviceTest}.
 */
final class CudaErrors {
    private static final int REMEMBERED = 4;

    /** Errors that destroy the context: every later call returns the same code. */
    private static final Set<Integer> STICKY = Set.of(
            CUresult.CUDA_ERROR_ILLEGAL_ADDRESS, CUresult.CUDA_ERROR_LAUNCH_FAILED,
            CUresult.CUDA_ERROR_ILLEGAL_INSTRUCTION, CUresult.CUDA_ERROR_MISALIGNED_ADDRESS,
            CUresult.CUDA_ERROR_ASSERT, CUresult.CUDA_ERROR_LAUNCH_TIMEOUT,
            CUresult.CUDA_ERROR_HARDWARE_STACK_ERROR, CUresult.CUDA_ERROR_INVALID_ADDRESS_SPACE,
            CUresult.CUDA_ERROR_INVALID_PC, CUresult.CUDA_ERROR_ECC_UNCORRECTABLE,
            CUresult.CUDA_ERROR_NVLINK_UNCORRECTABLE, CUresult.CUDA_ERROR_CONTEXT_IS_DESTROYED);

    /** Codes of launches that are refused before anything runs. */
    private static final Set<Integer> REFUSED = Set.of(
            CUresult.CUDA_ERROR_INVALID_VALUE,
            CUresult.CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES,
            CUresult.CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE,
            CUresult.CUDA_ERROR_INVALID_CLUSTER_SIZE);

    private record Started(String kernel, Launch launch, Object[] arguments) {
        Started {
            arguments = arguments == null ? new Object[0] : arguments.clone();
        }

        @Override
        public String toString() {
            List<String> shown = new ArrayList<>();
            for (Object argument : arguments) {
                shown.add(show(argument));
            }
            return "kernel " + kernel + " with " + launch + ", arguments (" + String.join(", ", shown) + ")";
        }

        private static String show(Object argument) {
            if (argument instanceof DeviceStorage storage) {
                return "storage of " + storage.bytes() + " bytes" + (storage.isClosed() ? ", closed since" : "");
            }
            return argument instanceof byte[] bytes ? "byte[" + bytes.length + "]" : String.valueOf(argument);
        }
    }

    private final String device;
    private final ArrayDeque<Started> started = new ArrayDeque<>();
    private volatile @Nullable String lost;

    CudaErrors(String device) {
        this.device = device;
    }

    boolean isLost() {
        return lost != null;
    }

    /** @throws DeviceLostException when an earlier error destroyed the context */
    void checkAlive() {
        if (lost != null) {
            throw new DeviceLostException(device + " is lost until this process ends; the first error was: " + lost);
        }
    }

    synchronized void remember(String kernel, Launch launch, Object[] arguments) {
        if (started.size() == REMEMBERED) {
            started.removeFirst();
        }
        started.addLast(new Started(kernel, launch, arguments));
    }

    void check(int result, String call) {
        check(result, call, () -> "");
    }

    /** @param detail describes the call; evaluated only if it failed */
    void check(int result, String call, Supplier<String> detail) {
        if (result == CUresult.CUDA_SUCCESS) {
            return;
        }
        checkAlive();
        String about = detail.get();
        String message =
                call + " on " + device + " failed with " + describe(result) + (about.isEmpty() ? "" : ": " + about);
        if (STICKY.contains(result)) {
            throw lose(message);
        }
        if (result >= CUresult.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED
                && result <= CUresult.CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD) {
            message += "; synchronising, allocating, and copies through upload and download cannot be captured";
        }
        throw new DeviceException(message);
    }

    /** Checks the result of a launch: a refusal before anything ran is a {@link LaunchException}. */
    void checkLaunch(int result, String call, String kernel, Launch launch, Object[] arguments) {
        if (REFUSED.contains(result)) {
            throw new LaunchException(call + " on " + device + " refused with " + describe(result) + ": "
                    + new Started(kernel, launch, arguments));
        }
        check(result, call, () -> new Started(kernel, launch, arguments).toString());
    }

    private synchronized DeviceLostException lose(String message) {
        String launches = started.isEmpty()
                ? ""
                : "; the last launches were: "
                        + String.join(
                                "; ", started.stream().map(Started::toString).toList());
        lost = message + launches;
        return new DeviceLostException(
                device + " is lost until this process ends: " + lost, new KernelException(message));
    }

    static String name(int result) {
        return CUresult.stringFor(result);
    }

    private static String describe(int result) {
        String[] text = new String[1];
        JCudaDriver.cuGetErrorString(result, text);
        return name(result) + (text[0] == null ? "" : " (" + text[0] + ")");
    }
}
