package org.contrastive4j.internal.cuda;

import static jcuda.driver.JCudaDriver.cuCtxSetCurrent;
import static jcuda.driver.JCudaDriver.cuCtxSynchronize;
import static jcuda.driver.JCudaDriver.cuDeviceGet;
import static jcuda.driver.JCudaDriver.cuDevicePrimaryCtxRelease;
import static jcuda.driver.JCudaDriver.cuDevicePrimaryCtxRetain;
import static jcuda.driver.JCudaDriver.cuMemAlloc;
import static jcuda.driver.JCudaDriver.cuMemFree;
import static jcuda.driver.JCudaDriver.cuMemcpyDtoH;
import static jcuda.driver.JCudaDriver.cuMemcpyHtoD;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assumptions.abort;

import java.util.Arrays;
import java.util.Random;
import jcuda.Pointer;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.JCudaDriver;
import jcuda.jcublas.JCublas2;
import jcuda.jcublas.cublasHandle;
import jcuda.jcublas.cublasOperation;
import org.contrastive4j.Backend;
import org.contrastive4j.device.DeviceException.NoDeviceException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.device.MatrixLibrary;
import org.contrastive4j.support.Devices;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * JCublas multiplies matrices here, with the cuBLAS it was made for or with a newer one through a private copy of its
 * native library. {@code -Dcublas=12} or {@code 13} says that one is installed, so that it must load.
 */
@Tag("gpu")
class CublasTest {
    private static final int M = 33;
    private static final int N = 129;
    private static final int K = 103;

    /** Opens a device, skips without one (fails with {@code -Drequire=cuda}), and finds cuBLAS or skips. */
    private static cublasHandle open() {
        try (PtxDevice probe = Backend.device("cuda")) {
            assertNotEquals("", probe.facts().name());
        } catch (NoDeviceException e) {
            if ("cuda".equals(System.getProperty("require"))) {
                throw new AssertionError("-Drequire=cuda, but " + e.getMessage(), e);
            }
            abort(e.getMessage());
        }
        try {
            JCublas2.setExceptionsEnabled(true);
        } catch (LinkageError e) {
            if (System.getProperty("cublas", "none").equals("none")) {
                abort("no libcublas.so.12 on this machine");
            }
            throw e;
        }
        return new cublasHandle();
    }

    @Test
    void multiply_raggedSizes_isRight() {
        cublasHandle handle = open();
        JCudaDriver.setExceptionsEnabled(true);
        JCudaDriver.cuInit(0);
        CUdevice device = new CUdevice();
        cuDeviceGet(device, 0);
        CUcontext context = new CUcontext();
        cuDevicePrimaryCtxRetain(context, device);
        try {
            cuCtxSetCurrent(context);
            JCublas2.cublasCreate(handle);
            int[] version = new int[1];
            JCublas2.cublasGetVersion(handle, version);
            System.out.println("cuBLAS version " + version[0]);
            multiply(handle);
            JCublas2.cublasDestroy(handle);
        } finally {
            cuDevicePrimaryCtxRelease(device);
        }
    }

    /** The device's library: ragged, transposed, captured by a graph, and the same bits each time. */
    @Test
    void multiply_duringCapture_isPartOfTheGraph() {
        open();
        try (PtxDevice device = Backend.device("cuda")) {
            MatrixLibrary library = MatrixLibrary.of(device).library();
            assertNotNull(library, MatrixLibrary.of(device).reason());
            Random random = new Random(9);
            float[] a = normal(random, 2 * M * K);
            float[] b = normal(random, 2 * K * N);
            MatrixLibrary.Product product = new MatrixLibrary.Product(
                    true,
                    false,
                    M,
                    N,
                    K,
                    2,
                    0,
                    K,
                    K,
                    M,
                    M * K,
                    K * N,
                    M * N,
                    2,
                    MatrixLibrary.Element.F32,
                    MatrixLibrary.Element.F32,
                    false);
            try (DeviceStorage pa = Devices.floats(device, a);
                    DeviceStorage pb = Devices.floats(device, b);
                    DeviceStorage pc = device.allocate(8L * M * N)) {
                Runnable work =
                        () -> library.multiply(device.stream(), product, pa.address(), pb.address(), pc.address());
                work.run();
                float[] direct = Devices.toFloats(pc);
                device.stream().fill(pc, (byte) -1);
                try (DeviceStream.Graph graph = device.stream().capture(work)) {
                    graph.launch(device.stream());
                    assertArrayEquals(direct, Devices.toFloats(pc));
                }
                for (int i = 0; i < direct.length; i++) {
                    int batch = i / (M * N);
                    int at = i % (M * N);
                    double sum = 0;
                    double size = 0;
                    for (int k = 0; k < K; k++) {
                        double term = 2.0 * a[batch * M * K + at % M * K + k] * b[batch * K * N + at / M * K + k];
                        sum += term;
                        size += Math.abs(term);
                    }
                    assertEquals(sum, direct[i], size * K * 0x1p-24, "element " + i + ", seed 9");
                }
            }
        }
    }

    /** Column-major C = A B with seed 7; C is poisoned first. */
    private static void multiply(cublasHandle handle) {
        Random random = new Random(7);
        float[] a = normal(random, M * K);
        float[] b = normal(random, K * N);
        float[] c = new float[M * N];
        Arrays.fill(c, Float.NaN);
        CUdeviceptr pa = upload(a);
        CUdeviceptr pb = upload(b);
        CUdeviceptr pc = upload(c);
        JCublas2.cublasSgemm(
                handle,
                cublasOperation.CUBLAS_OP_N,
                cublasOperation.CUBLAS_OP_N,
                M,
                N,
                K,
                Pointer.to(new float[] {1}),
                pa,
                M,
                pb,
                K,
                Pointer.to(new float[] {0}),
                pc,
                M);
        cuCtxSynchronize();
        cuMemcpyDtoH(Pointer.to(c), pc, 4L * c.length);
        cuMemFree(pa);
        cuMemFree(pb);
        cuMemFree(pc);
        for (int i = 0; i < M; i++) {
            for (int j = 0; j < N; j++) {
                double sum = 0;
                double size = 0;
                for (int k = 0; k < K; k++) {
                    double product = (double) a[i + k * M] * b[k + j * K];
                    sum += product;
                    size += Math.abs(product);
                }
                // K roundings of f32 at most, whatever the order of the sum
                assertEquals(sum, c[i + j * M], size * K * 0x1p-24, "C[" + i + ", " + j + "], seed 7");
            }
        }
    }

    private static float[] normal(Random random, int count) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    private static CUdeviceptr upload(float[] values) {
        CUdeviceptr pointer = new CUdeviceptr();
        cuMemAlloc(pointer, 4L * values.length);
        cuMemcpyHtoD(pointer, Pointer.to(values), 4L * values.length);
        return pointer;
    }
}
