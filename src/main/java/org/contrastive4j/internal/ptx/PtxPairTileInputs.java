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
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Kind;
import org.contrastive4j.ops.PairTileOps.Of;
import org.contrastive4j.ops.PairTileOps.Pairs;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Term;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.Scalars;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * The inputs of a pass of the pair kernels beside the rows, as one buffer that one copy brings to the device: records
 * of reductions or terms, a few scalars, the pairing, and the statistics of rows and columns.
 *
 * <p>A statistic v is stored as two floats, {@code (float) v} and the remainder, so that a shift that nearly cancels
 * a logit loses no precision. Statistics that occur several times are stored once. They are padded with zeros to a
 * multiple of 64. Those that are on the device already are written by kernels, behind the bytes that are copied.
 *
 * <p>Tested by {@code PtxPairTileOpsTest}.
 */
final class PtxPairTileInputs {
    static final int RECORD_BYTES = 32;
    private static final int SUM_OF_EXPONENTIALS = 8; // smaller codes are the functions of sums
    private static final int LARGEST = 9;
    private static final int LARGEST_BELOW = 10;

    private static final int TILE = PortableInfoNcePlan.TILE;

    /** Statistics for {@code count} rows or columns, at {@code offset} among those of the host or of the device. */
    private record Statistics(Scalars values, int count, int offset) {}

    /** A record of the kernels, whose words from 4 on are statistics; {@code last} is its last word instead of one. */
    private record Entry(int[] words, @Nullable Statistics[] statistics, int last) {}

    private final Pairing pairing;
    private final Scalars scale;
    private final double gradientScale;
    private final List<Entry> records = new ArrayList<>();
    private final Map<Scalars, Statistics> known = new IdentityHashMap<>();
    private final List<Statistics> all = new ArrayList<>(); // in the order of their first use
    private int ofHost;
    private int ofDevice;
    private int results;

    /** Creates the inputs of a pass without gradients. */
    PtxPairTileInputs(Pairs pairs) {
        this(pairs, 0);
    }

    /** @param gradientScale factor of the gradients */
    PtxPairTileInputs(Pairs pairs, double gradientScale) {
        this.pairing = pairs.pairing();
        this.scale = pairs.scale();
        this.gradientScale = gradientScale;
    }

    /** Returns a count rounded up to a multiple of 64. */
    static int padded(int count) {
        return Math.multiplyExact(TensorLauncher.blocks(count, TILE), TILE);
    }

    /** Returns the bytes of {@code records} records, a complete pairing, and {@code arrays} arrays of either side. */
    static long bytes(int n, int m, int records, int arrays) {
        long statisticsEach = (long) arrays * 2 * Float.BYTES;
        return (records + 1L) * RECORD_BYTES
                + padded(n) * (3L * Integer.BYTES + statisticsEach)
                + padded(m) * (2L * Integer.BYTES + statisticsEach);
    }

    private @Nullable Statistics ofRows(@Nullable Scalars values) {
        return statistics(values, pairing.n());
    }

    private @Nullable Statistics ofColumns(@Nullable Scalars values) {
        return statistics(values, pairing.m());
    }

    /** A single scalar is stored as often as there are rows or columns, the larger number. */
    private @Nullable Statistics statistics(@Nullable Scalars values, int count) {
        if (values == null) {
            return null;
        }
        return known.computeIfAbsent(values, given -> {
            int size = given.size() == 1 ? Math.max(pairing.n(), pairing.m()) : count;
            Statistics added = new Statistics(given, size, given.isOnHost() ? ofHost : ofDevice);
            if (given.isOnHost()) {
                ofHost = Math.addExact(ofHost, padded(size));
            } else {
                ofDevice = Math.addExact(ofDevice, padded(size));
            }
            all.add(added);
            return added;
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
        Statistics ofRows = ofRows(of.shift().rows());
        Statistics ofColumns = ofColumns(of.shift().columns());
        Scalars weight = of.kind() == Kind.SUM ? of.weight() : null;
        records.add(new Entry(
                new int[] {
                    what,
                    rows ? 0 : 1,
                    taken(of.of()),
                    Float.floatToIntBits(of.shift().sign())
                },
                new @Nullable Statistics[] {
                    rows ? ofRows : ofColumns, rows ? ofColumns : ofRows, rows ? ofColumns(weight) : ofRows(weight)
                },
                results));
        results += rows ? pairing.n() : pairing.m();
    }

    void add(Term of) {
        records.add(new Entry(
                new int[] {
                    of.function().ordinal(),
                    0,
                    taken(of.of()),
                    Float.floatToIntBits(of.shift().sign())
                },
                new @Nullable Statistics[] {
                    ofRows(of.shift().rows()),
                    ofColumns(of.shift().columns()),
                    ofRows(of.rowWeight()),
                    ofColumns(of.columnWeight())
                },
                0));
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

    /** The 7 scalars that pair_begin_f32 describes. */
    long scalars() {
        return (long) records.size() * RECORD_BYTES;
    }

    /** The scale of the logits, the fourth of them. */
    long scale() {
        return scalars() + 3L * Float.BYTES;
    }

    /** The number of negatives per row, behind the other scalars. */
    long window() {
        return scalars() + 7L * Float.BYTES;
    }

    long targets() {
        return scalars() + 8L * Float.BYTES;
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

    /** Returns the bytes of all sections. */
    long bytes() {
        return statistics() + 2L * Float.BYTES * ofHost + 2L * Float.BYTES * ofDevice;
    }

    /** Returns whether the bytes that are copied are those of every pass of this kind, whatever the batch. */
    boolean areFixed() {
        return pairing.isFixed() && all.stream().allMatch(of -> !of.values.isOnHost() || of.values.size() == 1);
    }

    /** Returns the bytes that are copied; nothing can be added afterwards. */
    ByteBuffer copied() {
        int size = Math.toIntExact(statistics() + 2L * Float.BYTES * ofHost);
        ByteBuffer bytes = ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder()); // zeros
        records.forEach(record -> put(record, bytes));
        double s = scale.isOnHost() ? scale.at(0) : 0;
        for (double scalar : new double[] {0, 0, 1, s, 0, gradientScale * s, 0}) {
            bytes.putFloat((float) scalar);
        }
        Pairing.OnDevice onDevice = pairing.onDevice();
        bytes.putInt(onDevice != null && onDevice.window() != null ? 0 : pairing.window());
        putInts(bytes, pairing.n(), pairing::origin);
        if (pairing.hasIds()) {
            boolean zeros = onDevice != null && onDevice.rowIds() != null;
            putInts(bytes, pairing.n(), zeros ? i -> 0 : pairing::rowId);
            putInts(bytes, pairing.m(), zeros ? j -> 0 : pairing::columnId);
        }
        Pairing.Guide guide = pairing.guide();
        if (guide != null) {
            putLimits(bytes, pairing.n(), i -> guide.rowLimits()[i]);
            putLimits(bytes, pairing.m(), j -> guide.columnLimits()[j]);
        }
        FloatBuffer pairs = bytes.slice().order(ByteOrder.nativeOrder()).asFloatBuffer();
        for (Statistics of : all) {
            for (int i = 0; i < of.count && of.values.isOnHost(); i++) {
                double value = of.values.at(i);
                float large = (float) value;
                pairs.put(2 * (of.offset + i), large);
                pairs.put(2 * (of.offset + i) + 1, Float.isInfinite(large) ? 0 : (float) (value - large));
            }
        }
        return bytes.rewind();
    }

    private void put(Entry record, ByteBuffer bytes) {
        for (int word : record.words) {
            bytes.putInt(word);
        }
        for (Statistics of : record.statistics) {
            bytes.putInt(of == null ? -1 : of.offset + (of.values.isOnHost() ? 0 : ofHost));
        }
        if (record.words.length + record.statistics.length < RECORD_BYTES / Integer.BYTES) {
            bytes.putInt(record.last);
        }
    }

    /** Writes what is on the device already; to be called when the copy of the other bytes was issued. */
    void writeOnDevice(TensorLauncher launcher, DeviceStorage to) {
        long at = to.address();
        Pairing.OnDevice onDevice = pairing.onDevice();
        if (onDevice != null) {
            copy(launcher, onDevice.rowIds(), to, rowIds());
            copy(launcher, onDevice.columnIds(), to, columnIds());
            copy(launcher, onDevice.window(), to, window());
        }
        if (scale instanceof PtxScalars here) {
            here.begin(at + scalars(), gradientScale);
        }
        for (Statistics of : all) {
            if (of.values instanceof PtxScalars here) {
                here.splitTo(at + statistics() + 2L * Float.BYTES * (ofHost + of.offset), of.count, padded(of.count));
            }
        }
    }

    private static void copy(TensorLauncher launcher, @Nullable Tensor from, DeviceStorage to, long at) {
        if (from != null) {
            launcher.stream.copy(launcher.storage(from), Integer.BYTES * from.offset(), to, at, from.bytes());
        }
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
