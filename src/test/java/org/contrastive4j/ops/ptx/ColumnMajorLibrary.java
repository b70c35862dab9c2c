package org.contrastive4j.ops.ptx;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.LaunchException;
import org.contrastive4j.device.MatrixLibrary;

/** Column-major products as a library of a device's maker defines them, by plain loops in f64; as strict about sizes. */
final class ColumnMajorLibrary implements MatrixLibrary {
    private final List<DeviceStorage> known = new ArrayList<>();
    final List<Product> calls = new ArrayList<>();

    /** Memory that the library may be given addresses of. */
    void know(DeviceStorage storage) {
        known.add(storage);
    }

    @Override
    public String name() {
        return "column-major loops";
    }

    @Override
    public void multiply(DeviceStream stream, Product p, long a, long b, long c) {
        require(p.m() > 0 && p.n() > 0 && p.k() > 0 && p.batch() > 0, p);
        require(p.lda() >= (p.transA() ? p.k() : p.m()) && p.ldb() >= (p.transB() ? p.n() : p.k())
                && p.ldc() >= p.m(), p);
        calls.add(p);
        for (int i = 0; i < p.batch(); i++) {
            long inBytes = p.inputs().bytes();
            one(p, a + i * p.strideA() * inBytes, b + i * p.strideB() * inBytes,
                    c + i * p.strideC() * p.output().bytes());
        }
    }

    private static void require(boolean condition, Product product) {
        if (!condition) {
            throw new LaunchException("invalid value: " + product);
        }
    }

    /** Element (i, j) of a matrix is at i + j ld. */
    private void one(Product p, long a, long b, long c) {
        double[] left = read(a, (p.transA() ? p.m() : p.k()) * p.lda(), p.inputs(), p.transA() ? p.k() : p.m(), p.lda());
        double[] right = read(b, (p.transB() ? p.k() : p.n()) * p.ldb(), p.inputs(), p.transB() ? p.n() : p.k(), p.ldb());
        for (int j = 0; j < p.n(); j++) {
            for (int i = 0; i < p.m(); i++) {
                double sum = 0;
                for (int k = 0; k < p.k(); k++) {
                    sum += left[p.transA() ? k + i * p.lda() : i + k * p.lda()]
                            * right[p.transB() ? j + k * p.ldb() : k + j * p.ldb()];
                }
                long at = c + (long) p.output().bytes() * (i + (long) j * p.ldc());
                double before = p.beta() == 0 ? 0 : p.beta() * read(at, 1, p.output(), 1, 1)[0];
                write(at, p.alpha() * sum + before, p.output());
            }
        }
    }

    /** Columns of {@code rows} elements; what lies between them, and beyond the last, is not touched. */
    private double[] read(long address, int count, Element element, int rows, int pitch) {
        double[] values = new double[count];
        for (int column = 0; column < count / pitch; column++) {
            ByteBuffer bytes = ByteBuffer.allocate(rows * element.bytes()).order(ByteOrder.nativeOrder());
            long at = address + (long) column * pitch * element.bytes();
            holder(at, bytes.capacity()).download(at - holder(at, 0).address(), bytes);
            bytes.flip();
            for (int row = 0; row < rows; row++) {
                values[column * pitch + row] = decode(bytes, element);
            }
        }
        return values;
    }

    private static double decode(ByteBuffer bytes, Element element) {
        return switch (element) {
            case F32 -> bytes.getFloat();
            case BF16 -> Float.intBitsToFloat(bytes.getShort() << 16);
            case F16 -> half(bytes.getShort());
        };
    }

    /** Normal numbers and zero. */
    private static double half(short bits) {
        int exponent = bits >> 10 & 31;
        double size = exponent == 0 ? (bits & 0x3FF) * 0x1p-24 : Math.scalb(1 + (bits & 0x3FF) * 0x1p-10, exponent - 15);
        return bits < 0 ? -size : size;
    }

    private void write(long address, double value, Element element) {
        ByteBuffer bytes = ByteBuffer.allocate(element.bytes()).order(ByteOrder.nativeOrder());
        switch (element) {
            case F32 -> bytes.putFloat((float) value);
            case BF16 -> bytes.putShort((short) (Float.floatToRawIntBits((float) value) >>> 16));
            case F16 -> throw new UnsupportedOperationException("results in f16");
        }
        DeviceStorage holder = holder(address, bytes.capacity());
        holder.upload(address - holder.address(), bytes.flip());
    }

    private DeviceStorage holder(long address, long bytes) {
        return known.stream()
                .filter(s -> address >= s.address() && address + bytes <= s.address() + s.bytes())
                .findFirst()
                .orElseThrow(() -> new LaunchException("no storage has " + bytes + " bytes at " + address));
    }
}
