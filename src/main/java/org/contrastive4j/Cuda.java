package org.contrastive4j;

import java.lang.reflect.Field;
import jcuda.NativePointerObject;
import jcuda.driver.CUstream;
import jcuda.runtime.cudaStream_t;
import org.contrastive4j.device.DeviceException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.cuda.CudaDevice;

/**
 * The CUDA context and streams of other code in this process, so that this library computes where that code does.
 *
 * <pre>{@code
 * try (PtxDevice device = Cuda.currentContext();
 *         DeviceStream stream = Cuda.stream(device, cuStream)) {
 *     FusedLoss loss = Backend.fusedInfoNce(device, Precision.BF16);
 *     loss.valueAndGradient(stream, inputs, gradients, result, workspace, bytes); // enqueued on the caller's stream
 * }
 * }</pre>
 *
 * <p>Addresses of such code are used as they are; see {@link org.contrastive4j.kernels.FusedLoss}. There is no C
 * interface.
 */
public final class Cuda {
    private Cuda() {}

    /**
     * Opens the GPU whose context is current on this thread and uses that context instead of the primary one. Each
     * later call makes it the current context of the calling thread.
     *
     * @return the device; closing it frees what it allocated and leaves the context
     * @throws DeviceException.NoDeviceException when there is no driver; the message says what to do
     * @throws DeviceException when no context is current on this thread
     */
    public static PtxDevice currentContext() {
        return CudaDevice.ofCurrentContext();
    }

    /**
     * Returns a stream of other code as a stream of the device.
     *
     * @param device a GPU whose context the stream belongs to
     * @param stream of JCuda's driver interface
     * @return the stream; closing it waits for its work and leaves the stream itself
     * @throws DeviceException when the device is not a GPU
     */
    public static DeviceStream stream(PtxDevice device, CUstream stream) {
        if (device instanceof CudaDevice cuda) {
            return cuda.adopt(stream);
        }
        throw new DeviceException("expected a GPU, got " + device.facts().name() + "; a CUDA stream belongs to a GPU");
    }

    /**
     * Returns a stream of other code as a stream of the device.
     *
     * @param device a GPU whose context the stream belongs to
     * @param stream of JCuda's runtime interface
     * @return the stream; closing it waits for its work and leaves the stream itself
     * @throws DeviceException when the device is not a GPU
     */
    public static DeviceStream stream(PtxDevice device, cudaStream_t stream) {
        return stream(device, new CUstream(stream));
    }

    /**
     * Returns a stream of other code as a stream of the device.
     *
     * @param device a GPU whose context the stream belongs to
     * @param handle the value of the CUstream or cudaStream_t, as PyTorch, DJL and ONNX Runtime return it; 0 is the
     *     legacy default stream
     * @return the stream; closing it waits for its work and leaves the stream itself
     * @throws DeviceException when the device is not a GPU
     */
    public static DeviceStream stream(PtxDevice device, long handle) {
        return stream(device, handle(handle));
    }

    /** Makes the object that JCuda expects; it has no public constructor from an address. */
    static CUstream handle(long address) {
        CUstream stream = new CUstream();
        try {
            Field pointer = NativePointerObject.class.getDeclaredField("nativePointer");
            pointer.setAccessible(true);
            pointer.setLong(stream, address);
        } catch (ReflectiveOperationException e) {
            throw new DeviceException("this version of JCuda does not keep the address of a stream where expected", e);
        }
        return stream;
    }
}
