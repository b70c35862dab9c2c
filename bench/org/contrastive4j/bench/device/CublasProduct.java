package org.contrastive4j.bench.device;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import jcuda.Pointer;
import jcuda.cudaDataType;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUevent;
import jcuda.driver.JCudaDriver;
import jcuda.jcublas.JCublas2;
import jcuda.jcublas.cublasComputeType;
import jcuda.jcublas.cublasGemmAlgo;
import jcuda.jcublas.cublasHandle;
import jcuda.jcublas.cublasOperation;

/**
 * Rate of one large square matrix product by cuBLAS, called directly: C = A^T B with sums in f32 and C of
 * the type of A and B.
 *
 * <p>Elements are random multiples of a power of two that the type holds exactly; a few elements of C are
 * compared with f64 first.
 */
final class CublasProduct implements AutoCloseable {
    /** Types of A, B and C, and how they are multiplied. */
    enum Type {
        BF16(cudaDataType.CUDA_R_16BF, cublasComputeType.CUBLAS_COMPUTE_32F, 2, 7, 0x1p-8),
        F16(cudaDataType.CUDA_R_16F, cublasComputeType.CUBLAS_COMPUTE_32F, 2, 10, 0x1p-11),
        F32(cudaDataType.CUDA_R_32F, cublasComputeType.CUBLAS_COMPUTE_32F, 4, 20, 1e-5),
        TF32(cudaDataType.CUDA_R_32F, cublasComputeType.CUBLAS_COMPUTE_32F_FAST_TF32, 4, 10, 1e-5);

        private final int data;
        private final int compute;
        private final int bytes;
        private final int bits;
        private final double roundOff;

        Type(int data, int compute, int bytes, int bits, double roundOff) {
            this.data = data;
            this.compute = compute;
            this.bytes = bytes;
            this.bits = bits;
            this.roundOff = roundOff;
        }

        void put(ByteBuffer target, float value) {
            int word = Float.floatToRawIntBits(value);
            if (bytes == 4) {
                target.putInt(word);
            } else if (this == BF16) {
                target.putShort((short) (word >>> 16));
            } else { // exact: the value is a small multiple of 2^-10
                int exponent = (word >>> 23 & 0xFF) - 112;
                target.putShort((short) (value == 0 ? 0 : word >>> 16 & 0x8000 | exponent << 10 | word >>> 13 & 0x3FF));
            }
        }

        private float get(ByteBuffer source) {
            if (bytes == 4) {
                return source.getFloat(0);
            }
            int word = source.getShort(0);
            if (this == BF16) {
                return Float.intBitsToFloat(word << 16);
            }
            int exponent = word >>> 10 & 31;
            float size = exponent == 0
                    ? (word & 0x3FF) * 0x1p-24f
                    : Math.scalb(1 + (word & 0x3FF) * 0x1p-10f, exponent - 15);
            return word < 0 ? -size : size;
        }
    }

    private static final int WARM = 5;
    private static final int REPEATS = 21;

    private final CUdevice device = new CUdevice();
    private final cublasHandle handle = new cublasHandle();

    /** @throws LinkageError if cuBLAS does not load */
    CublasProduct() {
        JCublas2.setExceptionsEnabled(true);
        check(JCudaDriver.cuInit(0), "cuInit");
        check(JCudaDriver.cuDeviceGet(device, 0), "cuDeviceGet");
        CUcontext context = new CUcontext();
        check(JCudaDriver.cuDevicePrimaryCtxRetain(context, device), "cuDevicePrimaryCtxRetain");
        check(JCudaDriver.cuCtxSetCurrent(context), "cuCtxSetCurrent");
        JCublas2.cublasCreate(handle);
    }

    private static void check(int status, String call) {
        if (status != 0) {
            throw new IllegalStateException(call + " returned " + status);
        }
    }

    int version() {
        int[] version = new int[1];
        JCublas2.cublasGetVersion(handle, version);
        return version[0];
    }

    /**
     * Returns operations per second at the median of {@value REPEATS} products, after {@value WARM} warm-up products.
     *
     * @throws IllegalStateException when an element of C is wrong
     */
    double rate(Type type, int size) {
        CUdeviceptr[] matrices = new CUdeviceptr[3];
        long bytes = (long) type.bytes * size * size;
        float[][] values = new float[2][];
        try {
            for (int i = 0; i < 3; i++) {
                matrices[i] = new CUdeviceptr();
                check(JCudaDriver.cuMemAlloc(matrices[i], bytes), "cuMemAlloc");
            }
            for (int i = 0; i < 2; i++) {
                values[i] = random(type, i, size);
                upload(type, values[i], matrices[i]);
            }
            check(JCudaDriver.cuMemsetD8(matrices[2], (byte) -1, bytes), "cuMemsetD8");
            double[] times = new double[REPEATS];
            for (int i = -WARM; i < REPEATS; i++) {
                double milliseconds = milliseconds(type, size, matrices);
                if (i >= 0) {
                    times[i] = milliseconds;
                }
            }
            verify(type, size, values, matrices[2]);
            Arrays.sort(times);
            return 2e3 * size * size * size / times[REPEATS / 2];
        } finally {
            for (CUdeviceptr matrix : matrices) {
                if (matrix != null) {
                    JCudaDriver.cuMemFree(matrix);
                }
            }
        }
    }

    private static float[] random(Type type, int seed, int size) {
        float[] values = new float[size * size];
        int most = 1 << type.bits;
        IntStream.range(0, size).parallel().forEach(row -> {
            SplittableRandom random = new SplittableRandom(1_000_003L * seed + row);
            for (int i = row * size; i < (row + 1) * size; i++) {
                values[i] = (float) random.nextInt(-most, most + 1) / most;
            }
        });
        return values;
    }

    private static void upload(Type type, float[] values, CUdeviceptr target) {
        ByteBuffer buffer =
                ByteBuffer.allocateDirect(values.length * type.bytes).order(ByteOrder.nativeOrder());
        for (float value : values) {
            type.put(buffer, value);
        }
        check(JCudaDriver.cuMemcpyHtoD(target, Pointer.to(buffer.flip()), buffer.capacity()), "cuMemcpyHtoD");
    }

    private double milliseconds(Type type, int size, CUdeviceptr[] m) {
        CUevent begin = new CUevent();
        CUevent end = new CUevent();
        check(JCudaDriver.cuEventCreate(begin, 0), "cuEventCreate");
        check(JCudaDriver.cuEventCreate(end, 0), "cuEventCreate");
        check(JCudaDriver.cuEventRecord(begin, null), "cuEventRecord");
        JCublas2.cublasGemmEx(
                handle,
                cublasOperation.CUBLAS_OP_T,
                cublasOperation.CUBLAS_OP_N,
                size,
                size,
                size,
                Pointer.to(new float[] {1}),
                m[0],
                type.data,
                size,
                m[1],
                type.data,
                size,
                Pointer.to(new float[] {0}),
                m[2],
                type.data,
                size,
                type.compute,
                cublasGemmAlgo.CUBLAS_GEMM_DEFAULT);
        check(JCudaDriver.cuEventRecord(end, null), "cuEventRecord");
        check(JCudaDriver.cuEventSynchronize(end), "cuEventSynchronize");
        float[] milliseconds = new float[1];
        check(JCudaDriver.cuEventElapsedTime(milliseconds, begin, end), "cuEventElapsedTime");
        check(JCudaDriver.cuEventDestroy(begin), "cuEventDestroy");
        check(JCudaDriver.cuEventDestroy(end), "cuEventDestroy");
        return milliseconds[0];
    }

    /** Returns column i of A times column j of B for sampled i and j. */
    private static void verify(Type type, int size, float[][] values, CUdeviceptr product) {
        ByteBuffer element = ByteBuffer.allocateDirect(type.bytes).order(ByteOrder.nativeOrder());
        for (int sample = 0; sample < 16; sample++) {
            int i = sample * (size - 1) / 15;
            int j = (int) ((sample * 2_654_435_761L & 0xFFFF_FFFFL) % size);
            double sum = 0;
            double sizes = 0;
            for (int k = 0; k < size; k++) {
                double term = (double) values[0][i * size + k] * values[1][j * size + k];
                sum += term;
                sizes += Math.abs(term);
            }
            CUdeviceptr at = product.withByteOffset((long) type.bytes * (i + (long) j * size));
            check(JCudaDriver.cuMemcpyDtoH(Pointer.to(element), at, type.bytes), "cuMemcpyDtoH");
            double got = type.get(element);
            if (!(Math.abs(got - sum) <= type.roundOff * Math.abs(sum) + size * 0x1p-24 * sizes)) {
                throw new IllegalStateException(
                        "cuBLAS, " + type + ": C[" + i + ", " + j + "] is " + got + ", expected " + sum);
            }
        }
    }

    @Override
    public void close() {
        JCublas2.cublasDestroy(handle);
        JCudaDriver.cuDevicePrimaryCtxRelease(device);
    }
}
