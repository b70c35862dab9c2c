package org.contrastive4j.tensor;

import java.util.Arrays;

/** Sizes of a dense row-major array, slowest axis first; the empty shape is one element. */
public final class Shape {
    private final int[] dims;
    private final long size;

    private Shape(int[] dims) {
        this.dims = dims;
        long product = 1;
        for (int dim : dims) {
            if (dim < 0) {
                throw new IllegalArgumentException("negative size in shape " + Arrays.toString(dims));
            }
            product = Math.multiplyExact(product, (long) dim);
        }
        this.size = product;
    }

    public static Shape of(int... dims) {
        return new Shape(dims.clone());
    }

    public int rank() {
        return dims.length;
    }

    /** Size of an axis; negative axes count from the last. */
    public int dim(int axis) {
        return dims[axis < 0 ? dims.length + axis : axis];
    }

    /** Number of elements. */
    public long size() {
        return size;
    }

    /** Number of rows when the last axis is a row: {@code size / dim(-1)}. */
    public int rows() {
        return dims.length == 0 ? 1 : dim(-1) == 0 ? 0 : Math.toIntExact(size / dim(-1));
    }

    public int[] dims() {
        return dims.clone();
    }

    /** This shape with another first axis. */
    public Shape withFirst(int first) {
        int[] copy = dims.clone();
        copy[0] = first;
        return new Shape(copy);
    }

    /** This shape with another last axis. */
    public Shape withLast(int last) {
        int[] copy = dims.clone();
        copy[copy.length - 1] = last;
        return new Shape(copy);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Shape shape && Arrays.equals(dims, shape.dims);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(dims);
    }

    @Override
    public String toString() {
        return Arrays.toString(dims);
    }
}
