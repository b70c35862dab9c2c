package org.contrastive4j.tensor;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Objects;
import org.contrastive4j.memory.Memory;
import org.contrastive4j.memory.Storage;

/**
 * A dense row-major array over a {@link Storage}: no mathematics, only layout.
 *
 * <p>A tensor made by {@link #allocate} owns its storage and {@link #close} frees it. Views ({@link #reshape},
 * {@link #rows}) share it: closing a view does nothing, using one after the owner was closed is an error.
 */
public final class Tensor implements AutoCloseable {
    private final Storage storage;
    private final long offset;
    private final DType dtype;
    private final Shape shape;
    private final boolean owner;
    private final ValueRange integers;

    private Tensor(Storage storage, long offset, DType dtype, Shape shape, boolean owner, ValueRange integers) {
        this.integers = integers;
        this.storage = storage;
        this.offset = offset;
        this.dtype = dtype;
        this.shape = shape;
        this.owner = owner;
    }

    /** A new tensor with undefined contents. */
    public static Tensor allocate(Memory memory, DType dtype, Shape shape) {
        return new Tensor(
                memory.allocate(shape.size() * dtype.bytes()),
                0,
                dtype,
                shape,
                true,
                dtype == DType.I32 ? new ValueRange() : null);
    }

    /** A new tensor of any float type with these values, rounded to nearest. */
    public static Tensor of(Memory memory, DType dtype, Shape shape, double... values) {
        Tensor tensor = allocate(memory, dtype, shape);
        tensor.set(values);
        return tensor;
    }

    /** A new I32 tensor with these values. */
    public static Tensor ofInts(Memory memory, Shape shape, int... values) {
        Tensor tensor = allocate(memory, DType.I32, shape);
        tensor.set(values);
        return tensor;
    }

    public Storage storage() {
        return storage;
    }

    /** Index of the first element within the storage, in elements. */
    public long offset() {
        return offset;
    }

    public DType dtype() {
        return dtype;
    }

    public Shape shape() {
        return shape;
    }

    public int dim(int axis) {
        return shape.dim(axis);
    }

    public long size() {
        return shape.size();
    }

    public long bytes() {
        return shape.size() * dtype.bytes();
    }

    /** The same elements in another shape of equal size; a view. */
    public Tensor reshape(int... dims) {
        Shape target = Shape.of(dims);
        if (target.size() != shape.size()) {
            throw new IllegalArgumentException("cannot view " + shape + " as " + target + ": sizes differ");
        }
        return new Tensor(storage, offset, dtype, target, false, integers);
    }

    /** Rows {@code [from, to)} along the first axis; a view. */
    public Tensor rows(int from, int to) {
        Objects.checkFromToIndex(from, to, shape.dim(0));
        long row = shape.dim(0) == 0 ? 0 : shape.size() / shape.dim(0);
        return new Tensor(storage, offset + from * row, dtype, shape.withFirst(to - from), false, integers);
    }

    /** Copies {@code size()} values in, rounded to nearest, ties to even; not I32. */
    public void set(double... values) {
        checkCount(values.length);
        ByteBuffer bytes = staging();
        for (double value : values) {
            put(bytes, value);
        }
        storage.upload(offset * dtype.bytes(), bytes.flip());
    }

    /** Copies {@code size()} values in, rounded to nearest, ties to even; not I32. */
    public void set(float[] values) {
        checkCount(values.length);
        ByteBuffer bytes = staging();
        for (float value : values) {
            put(bytes, value);
        }
        storage.upload(offset * dtype.bytes(), bytes.flip());
    }

    private void put(ByteBuffer bytes, double value) {
        switch (dtype) {
            case F32 -> bytes.putFloat((float) value);
            case F64 -> bytes.putDouble(value);
            case F16, BF16 -> bytes.putShort(SixteenBits.encode(value, dtype));
            default -> throw new IllegalArgumentException("cannot set numbers with a fraction into " + this);
        }
    }

    /** Copies {@code size()} values in; I32 only. */
    public void set(int[] values) {
        checkCount(values.length);
        if (dtype != DType.I32) {
            throw new IllegalArgumentException("cannot set ints into " + this);
        }
        ByteBuffer bytes = staging();
        bytes.asIntBuffer().put(values);
        storage.upload(offset * dtype.bytes(), bytes);
        recordValues(values);
    }

    /**
     * Says that {@link #size} values of this I32 tensor are these now, written by other means than {@link #set(int[])}:
     * who checks them then need not read them back.
     */
    public void recordValues(int[] values) {
        if (owner) {
            integers.become(values);
        } else {
            integers.include(values);
        }
    }

    /** Says that something that the host does not know was written into this I32 tensor or a part of it. */
    public void invalidateValues() {
        if (integers != null) {
            integers.forget();
        }
    }

    /**
     * Whether all values of this I32 tensor, and what it is a view of, are known to be in [from, end) without looking.
     */
    public boolean hasValuesWithin(int from, int end) {
        return integers.areWithin(from, end);
    }

    /** The smallest end for which {@link #hasValuesWithin} was true: other values must be below it to be as good. */
    public int requiredEnd() {
        return integers.relied();
    }

    /** A copy of all values, exact; not I32. */
    public double[] toDoubles() {
        ByteBuffer bytes = fetch();
        double[] values = new double[Math.toIntExact(size())];
        for (int i = 0; i < values.length; i++) {
            values[i] = switch (dtype) {
                case F32 -> bytes.getFloat();
                case F64 -> bytes.getDouble();
                case F16, BF16 -> SixteenBits.decode(bytes.getShort(), dtype);
                default -> throw new IllegalArgumentException("cannot read doubles from " + this);
            };
        }
        return values;
    }

    /** A copy of all values; F32 only. */
    public float[] toFloats() {
        if (dtype != DType.F32) {
            throw new IllegalArgumentException("cannot read floats from " + this);
        }
        float[] values = new float[Math.toIntExact(size())];
        fetch().asFloatBuffer().get(values);
        return values;
    }

    /** A copy of all values; I32 only. */
    public int[] toInts() {
        if (dtype != DType.I32) {
            throw new IllegalArgumentException("cannot read ints from " + this);
        }
        int[] values = new int[Math.toIntExact(size())];
        fetch().asIntBuffer().get(values);
        return values;
    }

    private ByteBuffer staging() {
        return ByteBuffer.allocate(Math.toIntExact(bytes())).order(ByteOrder.nativeOrder());
    }

    private ByteBuffer fetch() {
        ByteBuffer bytes = staging();
        storage.download(offset * dtype.bytes(), bytes);
        return bytes.flip();
    }

    private void checkCount(int count) {
        if (count != size()) {
            throw new IllegalArgumentException(count + " values given for " + this);
        }
    }

    /** @throws IllegalStateException when the storage was closed */
    public void checkOpen() {
        if (storage.isClosed()) {
            throw new IllegalStateException(this + " was used after close");
        }
    }

    /** Frees the storage when this tensor owns it; idempotent. */
    @Override
    public void close() {
        if (owner) {
            storage.close();
        }
    }

    @Override
    public String toString() {
        return dtype.name().toLowerCase(java.util.Locale.ROOT) + shape;
    }
}
