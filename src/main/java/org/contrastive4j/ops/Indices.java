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
        return read(op, argument, indices, 0, end);
    }

    private static int[] read(String op, String argument, Tensor indices, int from, int end) {
        int[] values = indices.toInts();
        for (int i = 0; i < values.length; i++) {
            if (values[i] < from || values[i] >= end) {
                throw new ShapeException(
                        op + ": " + argument + "[" + i + "] is " + values[i] + ", wanted " + from + " to " + (end - 1));
            }
        }
        return values;
    }

    /**
     * Checks like {@link #read} that all are in [0, {@code end}), but without looking where the host wrote them itself
     * and knows it: then nothing waits for a device.
     */
    public static void check(String op, String argument, Tensor indices, int end) {
        check(op, argument, indices, 0, end);
    }

    /** The same that all are in [{@code from}, {@code end}). */
    public static void check(String op, String argument, Tensor indices, int from, int end) {
        if (!indices.hasValuesWithin(from, end)) {
            read(op, argument, indices, from, end);
        }
    }

    /**
     * The last places of lengths that are all in [1, {@code tokens}]: one less; {@code count} times the first when
     * null.
     */
    public static int[] lastPlaces(int count, String op, Tensor lengths, int tokens) {
        int[] places = lengths == null ? new int[count] : read(op, "lengths", lengths, 1, tokens + 1);
        if (lengths != null) {
            Arrays.setAll(places, i -> places[i] - 1);
        }
        return places;
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
