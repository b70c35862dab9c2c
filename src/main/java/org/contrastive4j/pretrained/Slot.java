package org.contrastive4j.pretrained;

import java.util.Arrays;

/**
 * Where a tensor of a checkpoint lies within a parameter: element (i, j, ..) of the tensor is element offset + i
 * strides[0] + j strides[1] + .. of the parameter.
 *
 * @param tensor name in the checkpoint
 * @param shape in the checkpoint; empty for a scalar, which files also store as [1]
 * @param parameter name in the model
 */
record Slot(String tensor, int[] shape, String parameter, long offset, long[] strides) {
    /** A range of a parameter in the same order. */
    static Slot range(String tensor, String parameter, long offset, int... shape) {
        long[] strides = new long[shape.length];
        long stride = 1;
        for (int k = shape.length - 1; k >= 0; k--) {
            strides[k] = stride;
            stride *= shape[k];
        }
        return new Slot(tensor, shape, parameter, offset, strides);
    }

    /** A matrix [out, in] as columns from {@code column} on of a parameter [in, columns]. */
    static Slot transposed(String tensor, String parameter, int column, int columns, int out, int in) {
        return new Slot(tensor, new int[] {out, in}, parameter, column, new long[] {1, columns});
    }

    /** Patches [out, 3, side, side] as a parameter [side side 3, out], channels fastest. */
    static Slot patches(String tensor, String parameter, int out, int side) {
        return new Slot(
                tensor, new int[] {out, 3, side, side}, parameter, 0, new long[] {1, out, 3L * side * out, 3L * out});
    }

    long size() {
        return Arrays.stream(shape).asLongStream().reduce(1, (a, b) -> a * b);
    }

    /** Whether the elements follow each other in the parameter. */
    boolean isContiguous() {
        long stride = 1;
        for (int k = shape.length - 1; k >= 0; k--) {
            if (strides[k] != stride) {
                return false;
            }
            stride *= shape[k];
        }
        return true;
    }

    boolean fits(int[] given) {
        return Arrays.equals(shape, given)
                || (shape.length == 0 && Arrays.equals(given, new int[] {1}))
                || (size() == Arrays.stream(given).asLongStream().reduce(1, (a, b) -> a * b)
                        && Arrays.equals(trimmed(shape), trimmed(given)));
    }

    /** Without leading axes of size 1. */
    private static int[] trimmed(int[] dims) {
        int from = 0;
        while (from < dims.length && dims[from] == 1) {
            from++;
        }
        return Arrays.copyOfRange(dims, from, dims.length);
    }
}
