package org.contrastive4j.tensor;

import java.util.Arrays;

/**
 * The sizes of a dense row-major array, slowest axis first. The empty shape has one element.
 *
 * <p>Tested by {@code TensorTest}.
 */
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

    /**
     * Returns a shape.
     *
     * @param dims the size of each axis, at least 0
     * @return the shape
     * @throws IllegalArgumentException if a size is negative
     * @throws ArithmeticException if the number of elements exceeds a long
     */
    public static Shape of(int... dims) {
        return new Shape(dims.clone());
    }

    /**
     * Returns the number of axes.
     *
     * @return 0 for the shape of one element without axes
     */
    public int rank() {
        return dims.length;
    }

    /**
     * Returns the size of an axis.
     *
     * @param axis its index; negative indices count from the last axis
     * @return the size
     */
    public int dim(int axis) {
        return dims[axis < 0 ? dims.length + axis : axis];
    }

    /**
     * Returns the number of elements.
     *
     * @return product of the sizes
     */
    public long size() {
        return size;
    }

    /**
     * Returns the number of rows if the last axis is a row: {@code size / dim(-1)}.
     *
     * @return 1 for the empty shape, 0 if the last axis has size 0
     */
    public int rows() {
        return dims.length == 0 ? 1 : dim(-1) == 0 ? 0 : Math.toIntExact(size / dim(-1));
    }

    /**
     * Returns a copy of the sizes.
     *
     * @return the size of each axis
     */
    public int[] dims() {
        return dims.clone();
    }

    /**
     * Returns this shape with another size of the first axis.
     *
     * @param first the size, at least 0
     * @return the new shape
     */
    public Shape withFirst(int first) {
        int[] copy = dims.clone();
        copy[0] = first;
        return new Shape(copy);
    }

    /**
     * Returns this shape with another size of the last axis.
     *
     * @param last the size, at least 0
     * @return the new shape
     */
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

    /** Signals that the arguments of an operation do not fit together; nothing was computed. */
    public static final class ShapeException extends IllegalArgumentException {
        /**
         * Creates the exception.
         *
         * @param message names the operation, the argument, what was given and what was expected
         */
        public ShapeException(String message) {
            super(message);
        }
    }
}
