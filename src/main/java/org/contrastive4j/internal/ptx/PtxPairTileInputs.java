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
import org.jspecify.annotations.Nullable;

/**
 * The inputs of a pass of the pair kernels beside the rows, as one buffer that one copy brings to the device: records
 * of reductions or terms, a few scalars, the pairing, and the statistics of rows and columns.
 *
 * <p>A statistic v is stored as two floats, {@code (float) v} and the remainder, so that a shift that nearly cancels
 * a logit loses no precision. An array that occurs several times is stored once. Arrays of rows or columns are padded
 * with zeros to a multiple of 64.
 *
 * <p>Tested by {@code PtxPairTileOpsTest}.
 */
final class PtxPairTileInputs {
    static final int RECORD_BYTES = 32;
    private static final int SUM_OF_EXPONENTIALS = 8; // smaller codes are the functions of sums
    private static final int LARGEST = 9;
    private static final int LARGEST_BELOW = 10;

    private final Pairing pairing;
    private final List<int[]> records = new ArrayList<>();
    private final List<double[]> arrays = new ArrayList<>();
    private final Map<double[], Integer> offsets = new IdentityHashMap<>();
    private float[] scalars = {};
    private int statisticCount;
    private int results;

    PtxPairTileInputs(Pairing pairing) {
        this.pairing = pairing;
    }

    /** Returns a count rounded up to a multiple of 64. */
    static int padded(int count) {
        return Math.multiplyExact(TensorLauncher.blocks(count, PortableInfoNcePlan.TILE), PortableInfoNcePlan.TILE);
    }

    /** Returns the bytes of {@code records} records, a complete pairing, and {@code arrays} arrays of either side. */
    static long bytes(int n, int m, int records, int arrays) {
        long statisticsEach = (long) arrays * 2 * Float.BYTES;
        return (records + 1L) * RECORD_BYTES
                + padded(n) * (3L * Integer.BYTES + statisticsEach)
                + padded(m) * (2L * Integer.BYTES + statisticsEach);
    }

    /** Returns the index of the first statistic of an array; -1 for null. */
    int offsetOf(double @Nullable [] values) {
        if (values == null) {
            return -1;
        }
        return offsets.computeIfAbsent(values, array -> {
            int offset = statisticCount;
            arrays.add(array);
            statisticCount = Math.addExact(statisticCount, padded(array.length));
            return offset;
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
        int ofRows = offsetOf(of.shift().rows());
        int ofColumns = offsetOf(of.shift().columns());
        records.add(new int[] {
            what,
            rows ? 0 : 1,
            taken(of.of()),
            Float.floatToIntBits(of.shift().sign()),
            rows ? ofRows : ofColumns,
            rows ? ofColumns : ofRows,
            of.kind() == Kind.SUM ? offsetOf(of.weight()) : -1,
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
            offsetOf(of.shift().rows()),
            offsetOf(of.shift().columns()),
            offsetOf(of.rowWeight()),
            offsetOf(of.columnWeight())
        });
    }

    /** Sets the 8 scalars that the products of a gradient read. */
    void setScalars(float... values) {
        scalars = values;
    }

    private static int taken(Of of) {
        return (of.positives() ? 1 : 0) + (of.negatives() ? 2 : 0);
    }

    int count() {
        return records.size();
    }

    /** Returns the rows or columns of all reductions. */
    int results() {
        return results;
    }

    // Offsets of the sections in bytes; records are first.

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

    long statistics() {
        return columnLimits() + (pairing.guide() != null ? (long) Float.BYTES * padded(pairing.m()) : 0);
    }

    /** Returns the buffer; nothing can be added afterwards. */
    ByteBuffer bytes() {
        int size = Math.toIntExact(statistics() + 2L * Float.BYTES * statisticCount);
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

    /** Writes limits rounded down: a float exceeds a limit exactly if it exceeds the limit rounded down to float. */
    private static void putLimits(ByteBuffer bytes, int count, IntToDoubleFunction limits) {
        for (int i = 0; i < count; i++) {
            double limit = limits.applyAsDouble(i);
            float near = (float) limit;
            bytes.putFloat(near > limit ? Math.nextDown(near) : near);
        }
        bytes.position(bytes.position() + Float.BYTES * (padded(count) - count));
    }
}
