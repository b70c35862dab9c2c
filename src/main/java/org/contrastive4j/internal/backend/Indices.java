package org.contrastive4j.internal.backend;

import java.util.Arrays;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Reads and checks the I32 arguments whose values must fit the other arguments: ids, lengths, targets.
 *
 * <p>Tested by {@code SequenceOpsTest}.
 */
public final class Indices {
    private Indices() {}

    /**
     * Returns the values of {@code indices} after checking that all are in [0, {@code end}).
     *
     * @param op name of the operation, for the error message
     * @param argument name of the argument, for the error message
     * @param indices of type I32
     * @param end largest admitted value plus 1
     * @return a copy of the values
     * @throws ShapeException naming the first value outside and its index
     */
    public static int[] read(String op, String argument, Tensor indices, int end) {
        return read(op, argument, indices, 0, end);
    }

    private static int[] read(String op, String argument, Tensor indices, int from, int end) {
        int[] values = indices.toInts();
        for (int i = 0; i < values.length; i++) {
            if (values[i] < from || values[i] >= end) {
                throw new ShapeException(op + ": " + argument + "[" + i + "] is " + values[i] + ", expected " + from
                        + " to " + (end - 1));
            }
        }
        return values;
    }

    /**
     * Checks that all values of {@code indices} are in [0, {@code end}). Values that the host wrote itself are not
     * read back, so that this does not synchronise with a device.
     *
     * @param op name of the operation, for the error message
     * @param argument name of the argument, for the error message
     * @param indices of type I32
     * @param end largest admitted value plus 1
     * @throws ShapeException naming the first value outside and its index
     */
    public static void check(String op, String argument, Tensor indices, int end) {
        check(op, argument, indices, 0, end);
    }

    /**
     * Checks that all values of {@code indices} are in [{@code from}, {@code end}).
     *
     * @param op name of the operation, for the error message
     * @param argument name of the argument, for the error message
     * @param indices of type I32
     * @param from smallest admitted value
     * @param end largest admitted value plus 1
     * @throws ShapeException naming the first value outside and its index
     */
    public static void check(String op, String argument, Tensor indices, int from, int end) {
        if (!indices.hasValuesWithin(from, end)) {
            read(op, argument, indices, from, end);
        }
    }

    /**
     * Returns the index of the last token of each sequence.
     *
     * @param count number of sequences
     * @param op name of the operation, for the error message
     * @param lengths of type I32 in [1, tokens]; null returns index 0 for each sequence
     * @param tokens largest length
     * @return length - 1 of each sequence
     */
    public static int[] lastTokens(int count, String op, @Nullable Tensor lengths, int tokens) {
        int[] last = lengths == null ? new int[count] : read(op, "lengths", lengths, 1, tokens + 1);
        if (lengths != null) {
            Arrays.setAll(last, i -> last[i] - 1);
        }
        return last;
    }

    /**
     * Returns the values of {@code indices}, checked like {@link #read}, or a constant if there are none.
     *
     * @param otherwise the constant
     * @param count number of constants
     * @param op name of the operation, for the error message
     * @param argument name of the argument, for the error message
     * @param indices of type I32, or null
     * @param end largest admitted value plus 1
     * @return the values
     */
    public static int[] readOr(
            int otherwise, int count, String op, String argument, @Nullable Tensor indices, int end) {
        if (indices != null) {
            return read(op, argument, indices, end);
        }
        int[] same = new int[count];
        Arrays.fill(same, otherwise);
        return same;
    }
}
