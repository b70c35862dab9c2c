package org.contrastive4j.tensor;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Objects;
import org.contrastive4j.memory.Memory;
import org.contrastive4j.memory.Memory.Storage;
import org.jspecify.annotations.Nullable;

/**
 * A dense row-major array in a {@link Storage}. A tensor has a layout and no operations; {@link
 * org.contrastive4j.ops.Ops} computes on it.
 *
 * <p>A tensor made by {@link #allocate} owns its storage, and {@link #close} frees it. Views ({@link #reshape},
 * {@link #rows}) share it: closing a view does nothing, and using a view after its owner was closed is an error.
 */
public final class Tensor implements AutoCloseable {
    private final Storage storage;
    private final long offset;
    private final DType dtype;
    private final Shape shape;
    private final boolean owner;
    private final @Nullable ValueRange integers; // of I32 only

    private Tensor(
            Storage storage, long offset, DType dtype, Shape shape, boolean owner, @Nullable ValueRange integers) {
        this.integers = integers;
        this.storage = storage;
        this.offset = offset;
        this.dtype = dtype;
        this.shape = shape;
        this.owner = owner;
    }

    /**
     * Allocates a tensor with undefined contents.
     *
     * @param memory where the storage is allocated
     * @param dtype type of the elements
     * @param shape sizes
     * @return the tensor, which owns its storage
     * @throws org.contrastive4j.memory.Memory.OutOfBudgetException if the memory has no room for it
     */
    public static Tensor allocate(Memory memory, DType dtype, Shape shape) {
        return new Tensor(
                memory.allocate(shape.size() * dtype.bytes()),
                0,
                dtype,
                shape,
                true,
                dtype == DType.I32 ? new ValueRange() : null);
    }

    /**
     * Allocates a tensor of a floating-point type and fills it.
     *
     * @param memory where the storage is allocated
     * @param dtype any floating-point type
     * @param shape sizes
     * @param values one for each element, rounded to nearest
     * @return the tensor, which owns its storage
     */
    public static Tensor of(Memory memory, DType dtype, Shape shape, double... values) {
        Tensor tensor = allocate(memory, dtype, shape);
        tensor.set(values);
        return tensor;
    }

    /**
     * Allocates a tensor of type I32 and fills it.
     *
     * @param memory where the storage is allocated
     * @param shape sizes
     * @param values one for each element
     * @return the tensor, which owns its storage
     */
    public static Tensor ofInts(Memory memory, Shape shape, int... values) {
        Tensor tensor = allocate(memory, DType.I32, shape);
        tensor.set(values);
        return tensor;
    }

    /**
     * Returns the storage that holds the elements.
     *
     * @return the storage, shared by all views
     */
    public Storage storage() {
        return storage;
    }

    /**
     * Returns the index of the first element within the storage, counted in elements.
     *
     * @return 0 unless this is a view
     */
    public long offset() {
        return offset;
    }

    /**
     * Returns the type of the elements.
     *
     * @return the type
     */
    public DType dtype() {
        return dtype;
    }

    /**
     * Returns the shape.
     *
     * @return sizes, slowest axis first
     */
    public Shape shape() {
        return shape;
    }

    /**
     * Returns the size of an axis.
     *
     * @param axis its index; negative indices count from the last axis
     * @return the size
     */
    public int dim(int axis) {
        return shape.dim(axis);
    }

    /**
     * Returns the number of elements.
     *
     * @return product of the sizes
     */
    public long size() {
        return shape.size();
    }

    /**
     * Returns the size of all elements.
     *
     * @return number of bytes
     */
    public long bytes() {
        return shape.size() * dtype.bytes();
    }

    /**
     * Returns a view of the same elements in another shape.
     *
     * @param dims sizes with the same number of elements
     * @return the view
     * @throws IllegalArgumentException if the numbers of elements differ
     */
    public Tensor reshape(int... dims) {
        Shape target = Shape.of(dims);
        if (target.size() != shape.size()) {
            throw new IllegalArgumentException("cannot view " + shape + " as " + target + ": sizes differ");
        }
        return new Tensor(storage, offset, dtype, target, false, integers);
    }

    /**
     * Returns a view of rows {@code [from, to)} along the first axis.
     *
     * @param from first row
     * @param to row after the last
     * @return the view
     * @throws IndexOutOfBoundsException if the range does not fit the first axis
     */
    public Tensor rows(int from, int to) {
        Objects.checkFromToIndex(from, to, shape.dim(0));
        long row = shape.dim(0) == 0 ? 0 : shape.size() / shape.dim(0);
        return new Tensor(storage, offset + from * row, dtype, shape.withFirst(to - from), false, integers);
    }

    /**
     * Copies values into this tensor, rounded to nearest, ties to even.
     *
     * @param values one for each element
     * @throws IllegalArgumentException if this tensor is of type I32, or the count differs
     */
    public void set(double... values) {
        checkCount(values.length);
        ByteBuffer bytes = staging();
        for (double value : values) {
            put(bytes, value);
        }
        storage.upload(offset * dtype.bytes(), bytes.flip());
    }

    /**
     * Copies values into this tensor, rounded to nearest, ties to even.
     *
     * @param values one for each element
     * @throws IllegalArgumentException if this tensor is of type I32, or the count differs
     */
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
            default -> throw new IllegalArgumentException("expected a tensor of a floating-point type, got " + this);
        }
    }

    /**
     * Copies values into this tensor.
     *
     * @param values one for each element
     * @throws IllegalArgumentException if this tensor is not of type I32, or the count differs
     */
    public void set(int[] values) {
        checkCount(values.length);
        if (dtype != DType.I32) {
            throw new IllegalArgumentException("expected a tensor of i32, got " + this);
        }
        ByteBuffer bytes = staging();
        bytes.asIntBuffer().put(values);
        storage.upload(offset * dtype.bytes(), bytes);
        recordValues(values);
    }

    /**
     * Records the values of this I32 tensor after they were written by other means than {@link #set(int[])}, so that
     * a later range check need not read them back.
     *
     * @param values one for each element
     */
    public void recordValues(int[] values) {
        if (owner) {
            integers().replace(values);
        } else {
            integers().extend(values);
        }
    }

    /** Marks the values of this I32 tensor as unknown to the host, because a kernel wrote to it or to a part of it. */
    public void invalidateValues() {
        if (integers != null) {
            integers.invalidate();
        }
    }

    /**
     * Returns whether the host knows, without reading them back, that all values of this I32 tensor and of the tensor
     * that it is a view of are in [from, end).
     *
     * @param from smallest admitted value
     * @param end largest admitted value plus 1
     * @return false also if the values are unknown
     */
    public boolean hasValuesWithin(int from, int end) {
        return integers().isWithin(from, end);
    }

    /**
     * Returns the smallest end that {@link #hasValuesWithin} confirmed. A captured graph relies on it: values that
     * replace these must be below it.
     *
     * @return the end; {@link Integer#MAX_VALUE} if none was confirmed
     */
    public int requiredEnd() {
        return integers().requiredEnd();
    }

    /**
     * Returns a copy of all values; exact.
     *
     * @return one value for each element
     * @throws IllegalArgumentException if this tensor is of type I32
     */
    public double[] toDoubles() {
        ByteBuffer bytes = fetch();
        double[] values = new double[Math.toIntExact(size())];
        for (int i = 0; i < values.length; i++) {
            values[i] = switch (dtype) {
                case F32 -> bytes.getFloat();
                case F64 -> bytes.getDouble();
                case F16, BF16 -> SixteenBits.decode(bytes.getShort(), dtype);
                default ->
                    throw new IllegalArgumentException("expected a tensor of a floating-point type, got " + this);
            };
        }
        return values;
    }

    /**
     * Returns a copy of all values.
     *
     * @return one value for each element
     * @throws IllegalArgumentException if this tensor is not of type F32
     */
    public float[] toFloats() {
        if (dtype != DType.F32) {
            throw new IllegalArgumentException("expected a tensor of f32, got " + this);
        }
        float[] values = new float[Math.toIntExact(size())];
        fetch().asFloatBuffer().get(values);
        return values;
    }

    /**
     * Returns a copy of all values.
     *
     * @return one value for each element
     * @throws IllegalArgumentException if this tensor is not of type I32
     */
    public int[] toInts() {
        if (dtype != DType.I32) {
            throw new IllegalArgumentException("expected a tensor of i32, got " + this);
        }
        int[] values = new int[Math.toIntExact(size())];
        fetch().asIntBuffer().get(values);
        return values;
    }

    private ValueRange integers() {
        if (integers == null) {
            throw new IllegalArgumentException("expected a tensor of i32, got " + this);
        }
        return integers;
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
            throw new IllegalArgumentException("expected " + size() + " values for " + this + ", got " + count);
        }
    }

    /**
     * Checks that the storage is open.
     *
     * @throws IllegalStateException if it was closed
     */
    public void checkOpen() {
        if (storage.isClosed()) {
            throw new IllegalStateException(this + " was used after close");
        }
    }

    /** Frees the storage if this tensor owns it; idempotent. */
    @Override
    public void close() {
        if (owner) {
            storage.close();
        }
    }

    @Override
    public String toString() {
        return dtype.label() + shape;
    }
}
