package org.contrastive4j.ops;

import java.util.Arrays;
import org.contrastive4j.tensor.Tensor;

/** Reading of the I32 arguments whose values, not only their shape, must fit the others: ids, lengths, targets. */
public final class Indices {
    private Indices() {}

    /**
     * The values of {@code indices}, all in [0, {@code end}).
     *
     * @throws ShapeException naming the first value outside, and its place
     */
    public static int[] read(String op, String argument, Tensor indices, int end) {
        int[] values = indices.toInts();
        for (int i = 0; i < values.length; i++) {
            if (values[i] < 0 || values[i] >= end) {
                throw new ShapeException(op + ": " + argument + "[" + i + "] is " + values[i] + ", wanted 0 to "
                        + (end - 1));
            }
        }
        return values;
    }

    /**
     * Checks like {@link #read} that all are in [0, {@code end}), but without looking where the host wrote them itself
     * and knows it: then nothing waits for a device.
     */
    public static void check(String op, String argument, Tensor indices, int end) {
        if (!indices.isKnownWithin(end)) {
            read(op, argument, indices, end);
        }
    }

    /** The values of {@code indices}, checked like {@link #read}; {@code count} times {@code otherwise} when null. */
    public static int[] readOr(int otherwise, int count, String op, String argument, Tensor indices, int end) {
        if (indices != null) {
            return read(op, argument, indices, end);
        }
        int[] same = new int[count];
        Arrays.fill(same, otherwise);
        return same;
    }
}
