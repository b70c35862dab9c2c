package org.contrastive4j.internal.sim.exec;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * Describes a tensor in global memory for {@code cp.async.bulk.tensor}, as {@code cuTensorMapEncodeTiled} does.
 *
 * <p>A kernel takes its {@link #encode() encoding} as a parameter of 128 bytes. The encoding is that of the simulator:
 * a GPU needs one that its driver has made.
 *
 * <p>Tested by {@code TensorCopyTest}.
 *
 * @param element type of an element
 * @param address of the first element, a multiple of 16
 * @param sizes elements along each dimension, the fastest first; 1 to 5 dimensions
 * @param strides bytes from one element to the next along each dimension but the first, multiples of 16
 * @param box elements along each dimension that one copy transfers, at most 256
 * @param elementStrides distance of the elements that are copied along each dimension, 1 to 8
 * @param swizzle permutation of 16-byte chunks in shared memory
 * @param nanFill whether elements outside the tensor are NaN instead of zero
 */
public record TensorMap(
        Type element,
        long address,
        List<Long> sizes,
        List<Long> strides,
        List<Integer> box,
        List<Integer> elementStrides,
        Swizzle swizzle,
        boolean nanFill) {
    /** Bytes of the encoding. */
    public static final int BYTES = 128;

    /** Alignment of the encoding in memory. */
    public static final int ALIGNMENT = 64;

    private static final long MAGIC = 0x50414D524F534E54L;
    private static final int MOST_DIMENSIONS = 5;
    private static final int MOST_BOX = 256;
    private static final int CHUNK = 16;

    /** Which 16-byte chunks change places: those within so many bytes. */
    public enum Swizzle {
        NONE(16),
        BYTES_32(32),
        BYTES_64(64),
        BYTES_128(128);

        private final int span;

        Swizzle(int span) {
            this.span = span;
        }

        /** Returns where the byte of an address in shared memory lies. */
        long apply(long address) {
            return address ^ (address >>> 7 & span / CHUNK - 1) << 4;
        }
    }

    public TensorMap {
        sizes = List.copyOf(sizes);
        strides = List.copyOf(strides);
        box = List.copyOf(box);
        elementStrides = List.copyOf(elementStrides);
        int rank = sizes.size();
        check(rank >= 1 && rank <= MOST_DIMENSIONS, rank + " dimensions, expected 1 to " + MOST_DIMENSIONS);
        check(
                strides.size() == rank - 1 && box.size() == rank && elementStrides.size() == rank,
                strides.size() + " strides, " + box.size() + " box sizes and " + elementStrides.size()
                        + " element strides of " + rank + " dimensions, expected " + (rank - 1) + ", " + rank + " and "
                        + rank);
        check(address % CHUNK == 0, "address 0x" + Long.toHexString(address) + ", expected a multiple of " + CHUNK);
        for (int d = 0; d < rank; d++) {
            check(sizes.get(d) >= 1 && sizes.get(d) <= 1L << 32, "size " + sizes.get(d) + ", expected 1 to 2^32");
            check(box.get(d) >= 1 && box.get(d) <= MOST_BOX, "box " + box + ", expected sizes of 1 to " + MOST_BOX);
            check(
                    elementStrides.get(d) >= 1 && elementStrides.get(d) <= 8,
                    "element strides " + elementStrides + ", expected 1 to 8");
        }
        for (long stride : strides) {
            check(
                    stride > 0 && stride % CHUNK == 0 && stride < 1L << 40,
                    "stride " + stride + ", expected a positive multiple of " + CHUNK + " below 2^40");
        }
        int row = box.get(0) * element.bytes();
        check(row % CHUNK == 0, "rows of the box have " + row + " bytes, expected a multiple of " + CHUNK);
        check(
                swizzle == Swizzle.NONE || row <= swizzle.span,
                "rows of the box have " + row + " bytes, expected at most " + swizzle.span + " of the swizzle");
        check(!nanFill || element.isFloat(), "NaN as the value outside of " + element + " elements");
    }

    private static void check(boolean holds, String problem) {
        if (!holds) {
            throw new IllegalArgumentException("tensor map: " + problem);
        }
    }

    /** Creates a map of a tensor without gaps that is copied without swizzle; outside it are zeros. */
    public static TensorMap dense(Type element, long address, List<Long> sizes, List<Integer> box) {
        List<Long> strides = new ArrayList<>();
        long stride = element.bytes();
        for (int d = 0; d + 1 < sizes.size(); d++) {
            stride *= sizes.get(d);
            strides.add(stride);
        }
        List<Integer> ones = sizes.stream().map(size -> 1).toList();
        return new TensorMap(element, address, sizes, strides, box, ones, Swizzle.NONE, false);
    }

    /** Returns the same map with another swizzle. */
    public TensorMap withSwizzle(Swizzle other) {
        return new TensorMap(element, address, sizes, strides, box, elementStrides, other, nanFill);
    }

    /** Returns the same map with NaN in place of elements outside the tensor. */
    public TensorMap withNanFill() {
        return new TensorMap(element, address, sizes, strides, box, elementStrides, swizzle, true);
    }

    /** Returns the bytes of the parameter of a kernel. */
    public byte[] encode() {
        ByteBuffer bytes = ByteBuffer.allocate(BYTES).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putLong(MAGIC).putLong(address);
        bytes.put((byte) element.ordinal()).put((byte) sizes.size());
        bytes.put((byte) swizzle.ordinal()).put((byte) (nanFill ? 1 : 0));
        sizes.forEach(size -> bytes.putInt((int) (size - 1)));
        strides.forEach(bytes::putLong);
        box.forEach(size -> bytes.putShort(size.shortValue()));
        elementStrides.forEach(stride -> bytes.put(stride.byteValue()));
        return bytes.array();
    }

    /** Returns the map that these bytes encode; null where they are none. */
    static @Nullable TensorMap decode(byte[] data, int from) {
        ByteBuffer bytes = ByteBuffer.wrap(data, from, BYTES).slice().order(ByteOrder.LITTLE_ENDIAN);
        if (bytes.getLong() != MAGIC) {
            return null;
        }
        long address = bytes.getLong();
        Type element = Type.values()[bytes.get()];
        int rank = bytes.get();
        Swizzle swizzle = Swizzle.values()[bytes.get()];
        boolean nan = bytes.get() != 0;
        List<Long> sizes = new ArrayList<>();
        List<Long> strides = new ArrayList<>();
        List<Integer> box = new ArrayList<>();
        List<Integer> elementStrides = new ArrayList<>();
        for (int d = 0; d < rank; d++) {
            sizes.add((bytes.getInt() & 0xFFFFFFFFL) + 1);
        }
        for (int d = 1; d < rank; d++) {
            strides.add(bytes.getLong());
        }
        for (int d = 0; d < rank; d++) {
            box.add((int) bytes.getShort());
        }
        for (int d = 0; d < rank; d++) {
            elementStrides.add((int) bytes.get());
        }
        return new TensorMap(element, address, sizes, strides, box, elementStrides, swizzle, nan);
    }

    /** Elements along a dimension that one copy transfers. */
    int copied(int dimension) {
        return (box.get(dimension) + elementStrides.get(dimension) - 1) / elementStrides.get(dimension);
    }

    /** Bytes in shared memory of one copy. */
    int boxBytes() {
        int bytes = element.bytes();
        for (int d = 0; d < sizes.size(); d++) {
            bytes *= copied(d);
        }
        return bytes;
    }

    /** Bits of the elements outside the tensor. */
    long fill() {
        return nanFill ? Numbers.encode(Double.NaN, element, Numbers.Rounding.NEAREST) : 0;
    }
}
