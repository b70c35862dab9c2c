package org.contrastive4j.internal.ptx;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntToDoubleFunction;
import java.util.function.IntUnaryOperator;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Kind;
import org.contrastive4j.ops.PairTileOps.Of;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Term;
import org.contrastive4j.ops.Pairing;

/**
 * What a pass of the pair kernels reads beside the rows, as one block of bytes that one copy brings to the device:
 * records of reductions or terms, a few scalars, then the pairing, then the numbers of rows and columns.
 *
 * <p>A number is a pair of floats, {@code (float) v} and what that leaves of v, so that a shift that nearly cancels a
 * logit loses nothing. An array that is given several times is there once. Whatever there is for each row or
 * column is followed by zeros up to a multiple of 64.
 */
final class PtxPairTileInputs {
    static final int RECORD_BYTES = 32;
    private static final int SUM_OF_EXPONENTIALS = 8; // below it the functions of sums
    private static final int LARGEST = 9;
    private static final int LARGEST_BELOW = 10;

    private final Pairing pairing;
    private final List<int[]> records = new ArrayList<>();
    private final List<double[]> arrays = new ArrayList<>();
    private final Map<double[], Integer> places = new IdentityHashMap<>();
    private float[] scalars = {};
    private int numbers;
    private int results;

    PtxPairTileInputs(Pairing pairing) {
        this.pairing = pairing;
    }

    /** A count up to the next multiple of 64. */
    static int padded(int count) {
        return Math.multiplyExact(TensorLauncher.blocks(count, PortableInfoNcePlan.TILE), PortableInfoNcePlan.TILE);
    }

    /** Bytes of {@code records} records, a pairing with all it can have, and {@code arrays} arrays of either side. */
    static long bytes(int n, int m, int records, int arrays) {
        long numbersEach = (long) arrays * 2 * Float.BYTES;
        return (records + 1L) * RECORD_BYTES
                + padded(n) * (3L * Integer.BYTES + numbersEach)
                + padded(m) * (2L * Integer.BYTES + numbersEach);
    }

    /** The place of the first number of an array, in numbers; -1 for null. */
    int place(double[] values) {
        if (values == null) {
            return -1;
        }
        return places.computeIfAbsent(values, array -> {
            int place = numbers;
            arrays.add(array);
            numbers = Math.addExact(numbers, padded(array.length));
            return place;
        });
    }

    void add(Reduction of) {
        boolean rows = of.axis() == Axis.ROWS;
        int what =
                switch (of.kind()) {
                    case SUM -> of.function().ordinal();
                    case LOG_SUM_EXP -> SUM_OF_EXPONENTIALS;
                    case MAX -> LARGEST;
                    case MAX_BELOW -> LARGEST_BELOW;
                };
        int ofRows = place(of.shift().rows());
        int ofColumns = place(of.shift().columns());
        records.add(new int[] {
            what,
            rows ? 0 : 1,
            taken(of.of()),
            Float.floatToIntBits(of.shift().sign()),
            rows ? ofRows : ofColumns,
            rows ? ofColumns : ofRows,
            of.kind() == Kind.SUM ? place(of.weight()) : -1,
            results
        });
        results += rows ? pairing.n() : pairing.m();
    }

    void add(Term of) {
        records.add(new int[] {
            of.function().ordinal(),
            0,
            taken(of.of()),
            Float.floatToIntBits(of.shift().sign()),
            place(of.shift().rows()),
            place(of.shift().columns()),
            place(of.rowWeight()),
            place(of.columnWeight())
        });
    }

    /** What the products of a gradient take beside the rows: here 8 numbers, after the records. */
    void setScalars(float... values) {
        scalars = values;
    }

    private static int taken(Of of) {
        return (of.positives() ? 1 : 0) + (of.negatives() ? 2 : 0);
    }

    int count() {
        return records.size();
    }

    /** Rows or columns of all reductions. */
    int results() {
        return results;
    }

    // Where everything is, in bytes from the first; records are first.

    long scalars() {
        return (long) records.size() * RECORD_BYTES;
    }

    long targets() {
        return scalars() + (long) scalars.length * Float.BYTES;
    }

    long rowIds() {
        return targets() + (long) Integer.BYTES * padded(pairing.n());
    }

    long columnIds() {
        return rowIds() + (pairing.hasIds() ? (long) Integer.BYTES * padded(pairing.n()) : 0);
    }

    long rowLimits() {
        return columnIds() + (pairing.hasIds() ? (long) Integer.BYTES * padded(pairing.m()) : 0);
    }

    long columnLimits() {
        return rowLimits() + (pairing.guide() != null ? (long) Float.BYTES * padded(pairing.n()) : 0);
    }

    long numbers() {
        return columnLimits() + (pairing.guide() != null ? (long) Float.BYTES * padded(pairing.m()) : 0);
    }

    /** All of it; nothing may be added any more. */
    ByteBuffer bytes() {
        int size = Math.toIntExact(numbers() + 2L * Float.BYTES * numbers);
        ByteBuffer bytes = ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder()); // zeros
        for (int[] record : records) {
            for (int word : record) {
                bytes.putInt(word);
            }
        }
        for (float scalar : scalars) {
            bytes.putFloat(scalar);
        }
        putInts(bytes, pairing.n(), pairing::origin);
        if (pairing.hasIds()) {
            putInts(bytes, pairing.n(), pairing::rowId);
            putInts(bytes, pairing.m(), pairing::columnId);
        }
        Pairing.Guide guide = pairing.guide();
        if (guide != null) {
            putLimits(bytes, pairing.n(), i -> guide.rowLimits()[i]);
            putLimits(bytes, pairing.m(), j -> guide.columnLimits()[j]);
        }
        FloatBuffer pairs = bytes.asFloatBuffer();
        for (double[] array : arrays) {
            for (double value : array) {
                float large = (float) value;
                pairs.put(large).put(Float.isInfinite(large) ? 0 : (float) (value - large));
            }
            pairs.position(pairs.position() + 2 * (padded(array.length) - array.length));
        }
        return bytes.rewind();
    }

    private static void putInts(ByteBuffer bytes, int count, IntUnaryOperator values) {
        for (int i = 0; i < count; i++) {
            bytes.putInt(values.applyAsInt(i));
        }
        bytes.position(bytes.position() + Integer.BYTES * (padded(count) - count));
    }

    /** Rounded down: a float is larger than a limit exactly when it is larger than that rounded down. */
    private static void putLimits(ByteBuffer bytes, int count, IntToDoubleFunction limits) {
        for (int i = 0; i < count; i++) {
            double limit = limits.applyAsDouble(i);
            float near = (float) limit;
            bytes.putFloat(near > limit ? Math.nextDown(near) : near);
        }
        bytes.position(bytes.position() + Float.BYTES * (padded(count) - count));
    }
}
