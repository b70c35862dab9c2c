package org.contrastive4j.internal.ptx;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule.Kernel;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.internal.device.MatrixLibrary;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * A reference implementation of the vendor library interface: column-major products by plain f64 loops, rounded once,
 * with the same argument checks. It accesses device memory by a copy kernel, so that the device checks its addresses.
 */
final class ReferenceMatrixLibrary implements MatrixLibrary {
    /** Copies columns of a number of 2-byte units, each at a pitch in bytes. */
    private static final String COPY = """
            .version 8.0
            .target sm_80
            .address_size 64
            .visible .entry copy(.param .u64 FROM, .param .u64 FROM_PITCH, .param .u64 TO, .param .u64 TO_PITCH,
                .param .u32 UNITS)
            {
                .reg .pred %out;
                .reg .b16 %unit;
                .reg .b32 %x, %block, %units;
                .reg .b64 %column, %from, %to, %pitch, %at;
                mov.u32 %x, %tid.x;
                mov.u32 %block, %ctaid.x;
                mad.lo.s32 %x, %block, 32, %x;
                ld.param.u32 %units, [UNITS];
                setp.ge.s32 %out, %x, %units;
                @%out ret;
                mul.wide.s32 %at, %x, 2;
                mov.u32 %block, %ctaid.y;
                cvt.u64.u32 %column, %block;
                ld.param.u64 %from, [FROM];
                ld.param.u64 %pitch, [FROM_PITCH];
                mad.lo.s64 %from, %column, %pitch, %from;
                add.s64 %from, %from, %at;
                ld.param.u64 %to, [TO];
                ld.param.u64 %pitch, [TO_PITCH];
                mad.lo.s64 %to, %column, %pitch, %to;
                add.s64 %to, %to, %at;
                ld.global.b16 %unit, [%from];
                st.global.b16 [%to], %unit;
                ret;
            }
            """;

    final List<Product> calls = new ArrayList<>();
    private final PtxDevice device;
    private final Kernel copy;

    ReferenceMatrixLibrary(PtxDevice device) {
        this.device = device;
        copy = device.module("copy", COPY).kernel("copy");
    }

    @Override
    public String name() {
        return "column-major loops";
    }

    @Override
    public void multiply(DeviceStream stream, Product p, long a, long b, long c) {
        require(p.m() > 0 && p.n() > 0 && p.k() > 0 && p.batch() > 0, p);
        require(
                p.lda() >= (p.transA() ? p.k() : p.m()) && p.ldb() >= (p.transB() ? p.n() : p.k()) && p.ldc() >= p.m(),
                p);
        calls.add(p);
        for (int i = 0; i < p.batch(); i++) {
            long inBytes = p.inputs().bytes();
            one(
                    p,
                    a + i * p.strideA() * inBytes,
                    b + i * p.strideB() * inBytes,
                    c + i * p.strideC() * p.output().bytes());
        }
    }

    private static void require(boolean condition, Product product) {
        if (!condition) {
            throw new LaunchException("invalid value: " + product);
        }
    }

    private void one(Product p, long a, long b, long c) {
        int rowsA = p.transA() ? p.k() : p.m();
        int rowsB = p.transB() ? p.n() : p.k();
        double[] left = read(a, p.inputs(), rowsA, p.transA() ? p.m() : p.k(), p.lda());
        double[] right = read(b, p.inputs(), rowsB, p.transB() ? p.k() : p.n(), p.ldb());
        double[] result = p.beta() == 0 ? new double[p.m() * p.n()] : read(c, p.output(), p.m(), p.n(), p.ldc());
        for (int j = 0; j < p.n(); j++) {
            for (int i = 0; i < p.m(); i++) {
                double sum = 0;
                for (int k = 0; k < p.k(); k++) {
                    sum += left[p.transA() ? k + i * rowsA : i + k * rowsA]
                            * right[p.transB() ? j + k * rowsB : k + j * rowsB];
                }
                result[i + j * p.m()] = p.alpha() * sum + p.beta() * result[i + j * p.m()];
            }
        }
        try (Tensor dense = Tensor.of(device, DType.valueOf(p.output().name()), Shape.of(result.length), result)) {
            long rowBytes = (long) p.m() * p.output().bytes();
            copy(address(dense), rowBytes, c, (long) p.ldc() * p.output().bytes(), rowBytes, p.n());
        }
    }

    /** Copies a matrix between leading dimension ld and dense columns. */
    private double[] read(long address, Element element, int rows, int columns, int ld) {
        double[] zeros = new double[rows * columns];
        try (Tensor dense = Tensor.of(device, DType.valueOf(element.name()), Shape.of(zeros.length), zeros)) {
            long rowBytes = (long) rows * element.bytes();
            copy(address, (long) ld * element.bytes(), address(dense), rowBytes, rowBytes, columns);
            return dense.toDoubles();
        }
    }

    private static long address(Tensor whole) {
        return ((DeviceStorage) whole.storage()).address();
    }

    private void copy(long from, long fromPitch, long to, long toPitch, long bytes, int columns) {
        int units = (int) bytes / 2;
        copy.launch(
                device.stream(),
                Launch.of(new Launch.Dim((units + 31) / 32, columns, 1), new Launch.Dim(32, 1, 1)),
                from,
                fromPitch,
                to,
                toPitch,
                units);
    }
}
