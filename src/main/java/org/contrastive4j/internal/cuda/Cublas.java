package org.contrastive4j.internal.cuda;

import static jcuda.driver.JCudaDriver.cuMemAlloc;
import static jcuda.driver.JCudaDriver.cuMemFree;

import java.util.Locale;
import jcuda.Pointer;
import jcuda.cudaDataType;
import jcuda.jcublas.JCublas2;
import jcuda.jcublas.cublasComputeType;
import jcuda.jcublas.cublasGemmAlgo;
import jcuda.jcublas.cublasHandle;
import jcuda.jcublas.cublasMath;
import jcuda.jcublas.cublasOperation;
import jcuda.jcublas.cublasStatus;
import jcuda.runtime.cudaStream_t;
import org.contrastive4j.device.DeviceException;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.internal.device.MatrixLibrary;
import org.jspecify.annotations.Nullable;

/**
 * cuBLAS through JCublas, with one workspace that is allocated as long as the device is open.
 *
 * <p>cuBLAS guarantees the same bits from run to run for calls on one stream with a workspace of the caller, which also
 * makes its calls capturable. The handle is bound to the stream of the caller; binding it to another stream resets the
 * workspace, so it is set again each time. Products must not run on two streams concurrently.
 */
final class Cublas extends CudaHandle implements MatrixLibrary {
    private static final int WORKSPACE_BYTES = 32 << 20; // recommended by NVIDIA for sm_90; older GPUs need less
    private static final int HOPPER = 90;
    private static final int WORKSPACE_BYTES_BEFORE = 4 << 20;

    /** Loads the library when this class is initialised; a failure is final for this process. */
    private static final class Loaded {
        static final @Nullable String PROBLEM = load();

        private static @Nullable String load() {
            try {
                JCublas2.setExceptionsEnabled(false);
                return null;
            } catch (LinkageError e) {
                return missing(e);
            }
        }
    }

    private final cublasHandle handle;
    private final DevicePointer workspace;
    private final int workspaceBytes;
    private final String version;
    private @Nullable CudaStream bound;

    private Cublas(CudaDevice device, cublasHandle handle, DevicePointer workspace, int bytes, String version) {
        super(device, "cuBLAS");
        this.handle = handle;
        this.workspace = workspace;
        this.workspaceBytes = bytes;
        this.version = version;
    }

    /** Creates a handle and its workspace. Requires that this thread has entered the device. */
    static Choice find(CudaDevice device) {
        if (Loaded.PROBLEM != null) {
            return new Choice(null, Loaded.PROBLEM);
        }
        cublasHandle handle = new cublasHandle();
        int status = JCublas2.cublasCreate(handle);
        if (status != cublasStatus.CUBLAS_STATUS_SUCCESS) {
            return new Choice(null, "cuBLAS does not start: cublasCreate gave " + cublasStatus.stringFor(status));
        }
        int bytes = device.facts().architecture() >= HOPPER ? WORKSPACE_BYTES : WORKSPACE_BYTES_BEFORE;
        DevicePointer workspace = new DevicePointer();
        int result = cuMemAlloc(workspace, bytes);
        if (result != 0) {
            JCublas2.cublasDestroy(handle);
            return new Choice(
                    null, "the device has no " + bytes + " bytes left for cuBLAS: " + CudaErrors.name(result));
        }
        int[] version = new int[1];
        JCublas2.cublasGetVersion(handle, version);
        Cublas made = new Cublas(device, handle, workspace, bytes, version(version[0]));
        made.check(
                JCublas2.cublasSetMathMode(
                        handle,
                        cublasMath.CUBLAS_DEFAULT_MATH | cublasMath.CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION),
                "cublasSetMathMode",
                null);
        return new Choice(made, made.name() + " is available");
    }

    /** Returns a version such as 12.6.1. */
    static String version(int number) {
        return number / 10_000 + "." + number % 10_000 / 100 + "." + number % 100;
    }

    /** Returns why cuBLAS is not available, null when JCublas has loaded it. */
    static @Nullable String problem() {
        return Loaded.PROBLEM;
    }

    /** Returns the message of the loader in one line. */
    private static String missing(LinkageError fault) {
        if (!JCudaPlatform.supported()) {
            return JCudaPlatform.problem("no cuBLAS");
        }
        String message = String.valueOf(fault.getMessage());
        for (String name : new String[] {"libcublas.so.12", "libcublasLt.so.12", "libcudart.so.12"}) {
            if (message.contains(name)) {
                return name + " of CUDA 12, which JCublas was made for, is not on this machine";
            }
        }
        return "JCublas does not load: "
                + message.lines().filter(line -> !line.isBlank()).findFirst().orElse("no reason given");
    }

    @Override
    public String name() {
        return "cuBLAS " + version;
    }

    @Override
    public synchronized void multiply(DeviceStream stream, Product p, long a, long b, long c) {
        enter();
        bind(device().own(stream));
        int transA = p.transA() ? cublasOperation.CUBLAS_OP_T : cublasOperation.CUBLAS_OP_N;
        int transB = p.transB() ? cublasOperation.CUBLAS_OP_T : cublasOperation.CUBLAS_OP_N;
        Pointer alpha = Pointer.to(new float[] {p.alpha()}); // read during the call
        Pointer beta = Pointer.to(new float[] {p.beta()});
        int in = type(p.inputs());
        int out = type(p.output());
        int compute = p.tensorFloats() && p.inputs() == Element.F32
                ? cublasComputeType.CUBLAS_COMPUTE_32F_FAST_TF32
                : cublasComputeType.CUBLAS_COMPUTE_32F;
        if (p.batch() == 1) {
            check(
                    JCublas2.cublasGemmEx(
                            handle,
                            transA,
                            transB,
                            p.m(),
                            p.n(),
                            p.k(),
                            alpha,
                            new DevicePointer(a),
                            in,
                            p.lda(),
                            new DevicePointer(b),
                            in,
                            p.ldb(),
                            beta,
                            new DevicePointer(c),
                            out,
                            p.ldc(),
                            compute,
                            cublasGemmAlgo.CUBLAS_GEMM_DEFAULT),
                    "cublasGemmEx",
                    p);
        } else {
            check(
                    JCublas2.cublasGemmStridedBatchedEx(
                            handle,
                            transA,
                            transB,
                            p.m(),
                            p.n(),
                            p.k(),
                            alpha,
                            new DevicePointer(a),
                            in,
                            p.lda(),
                            p.strideA(),
                            new DevicePointer(b),
                            in,
                            p.ldb(),
                            p.strideB(),
                            beta,
                            new DevicePointer(c),
                            out,
                            p.ldc(),
                            p.strideC(),
                            p.batch(),
                            compute,
                            cublasGemmAlgo.CUBLAS_GEMM_DEFAULT),
                    "cublasGemmStridedBatchedEx",
                    p);
        }
    }

    private void bind(CudaStream stream) {
        if (stream != bound) {
            check(JCublas2.cublasSetStream(handle, new cudaStream_t(stream.handle())), "cublasSetStream", null);
            check(JCublas2.cublasSetWorkspace(handle, workspace, workspaceBytes), "cublasSetWorkspace", null);
            bound = stream;
        }
    }

    private static int type(Element element) {
        return switch (element) {
            case F32 -> cudaDataType.CUDA_R_32F;
            case F16 -> cudaDataType.CUDA_R_16F;
            case BF16 -> cudaDataType.CUDA_R_16BF;
        };
    }

    private void check(int status, String call, @Nullable Product product) {
        if (status == cublasStatus.CUBLAS_STATUS_SUCCESS) {
            return;
        }
        String message = String.format(
                Locale.ROOT,
                "%s of %s gave %s%s",
                call,
                name(),
                cublasStatus.stringFor(status),
                product == null ? "" : " for " + product);
        if (status == cublasStatus.CUBLAS_STATUS_INVALID_VALUE || status == cublasStatus.CUBLAS_STATUS_NOT_SUPPORTED) {
            throw new LaunchException(message);
        }
        throw new DeviceException(message);
    }

    @Override
    void destroy() {
        JCublas2.cublasDestroy(handle);
        check(cuMemFree(workspace), "cuMemFree");
    }
}
