package org.contrastive4j.internal.sim.exec;

import org.contrastive4j.internal.parse.Type;

/**
 * Where the elements of a wgmma operand lie in shared memory.
 *
 * <p>Bits 0-13 start address, 16-29 leading and 32-45 stride byte offset (all over 16), 49-51 base offset, 62-63
 * swizzle. Layouts in units of 16 bytes as the PTX ISA has them (section on the matrix descriptor), swizzles as an
 * exclusive or on address bits.
 *
 * <p>Tested by {@code WgmmaConformanceTest}.
 */
final class MatrixDescriptor {
    private static final int CHUNK = 16;

    private final Warp warp;
    private final Step step;
    private final long start;
    private final long leading;
    private final long stride;
    private final int width;
    private final int k;
    private final Type type;
    private final boolean alongRows;

    /**
     * @param rows of the operand: M of A, N of B
     * @param alongRows whether neighbours in memory are along M or N instead of K
     */
    MatrixDescriptor(Warp warp, Step step, long bits, int rows, int k, Type type, boolean alongRows) {
        this.warp = warp;
        this.step = step;
        this.start = (bits & 0x3FFF) << 4;
        this.leading = (bits >>> 16 & 0x3FFF) << 4;
        this.stride = (bits >>> 32 & 0x3FFF) << 4;
        this.k = k;
        this.type = type;
        this.alongRows = alongRows;
        int swizzle = (int) (bits >>> 62);
        this.width = swizzle == 0 ? 1 : swizzle == 1 ? 8 : swizzle == 2 ? 4 : 2; // chunks in a row of the pattern
        int base = (int) (bits >>> 49 & 7);
        if (base != 0 || (start >>> 7 & width - 1) != 0 && width > 1) {
            throw warp.fault(
                    Fault.Kind.ILLEGAL,
                    step,
                    0,
                    "descriptor 0x" + Long.toHexString(bits) + ": the pattern of "
                            + 16 * width + "-byte rows must begin at a multiple of " + 128 * width
                            + " with base offset 0, begins at 0x" + Long.toHexString(start) + " with " + base);
        }
        if ((bits >>> 14 & 3) != 0 || (bits >>> 30 & 3) != 0 || (bits >>> 46 & 7) != 0 || (bits >>> 52 & 0x3FF) != 0) {
            throw warp.fault(
                    Fault.Kind.ILLEGAL, step, 0, "descriptor 0x" + Long.toHexString(bits) + " has reserved bits set");
        }
    }

    /**
     * Shared address of the chunk of 16 bytes that element (row, at) is in, without swizzle within; {@code within} its
     * byte in the chunk.
     */
    private long linear(int row, int at) {
        int per = CHUNK / type.bytes();
        if (!alongRows) {
            long along = (long) (at / per) * (width == 1 ? leading : CHUNK);
            return start + row % 8 * (long) (width * CHUNK) + row / 8 * stride + along + at % per * type.bytes();
        }
        long within = row % per * type.bytes();
        if (width == 1) {
            return start + within + row / per * stride + at % 8 * CHUNK + at / 8 * leading;
        }
        return start
                + within
                + row / per % width * CHUNK
                + row / (per * width) * leading
                + at % 8 * (long) (width * CHUNK)
                + at / 8 * stride;
    }

    private long address(int row, int at) {
        long linear = linear(row, at);
        return linear ^ (linear >>> 7 & width - 1) << 4;
    }

    /** Tells observers of the bytes that these rows are read from. */
    void notifyObservers(int first, int rows, Async async) {
        Access access = warp.access;
        int per = CHUNK / type.bytes();
        int lane = 0;
        int outer = alongRows ? rows / per : rows;
        int inner = alongRows ? k : k / per;
        for (int i = 0; i < outer; i++) {
            for (int j = 0; j < inner; j++) {
                long address = alongRows ? address(first + i * per, j) : address(first + i, j * per);
                AddressResolver.resolve(warp, step, lane, AddressResolver.Space.SHARED, address, CHUNK, CHUNK, access);
                lane++;
                if (lane == Warp.LANES) {
                    CopySteps.notifyObservers(warp, step, Warp.ALL, CHUNK, Access.Kind.READ, async);
                    lane = 0;
                }
            }
        }
        if (lane > 0) {
            CopySteps.notifyObservers(warp, step, (1 << lane) - 1, CHUNK, Access.Kind.READ, async);
        }
    }

    /** The rows, each k numbers. */
    TensorCore.Vector read(TensorCore core, int first, int rows, int sign) {
        TensorCore.Vector vector = core.vector(rows * k);
        Region shared = warp.cta.shared();
        int n = type.bytes();
        for (int row = 0; row < rows; row++) {
            for (int at = 0; at < k; at++) {
                long bits = shared.load((int) (address(first + row, at) - Cta.SHARED_BASE), n);
                core.set(vector, row * k + at, sign * TensorCore.input(bits, type));
            }
        }
        return vector;
    }
}
