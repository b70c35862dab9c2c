package org.contrastive4j.internal.cpu;

import java.util.Arrays;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Kind;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.Scalars;
import org.jspecify.annotations.Nullable;

/**
 * One reduction over one tile, row by row. Log-sum-exps of columns need a second sweep, when the largest logit of
 * each column is known.
 *
 * <p>Tested by {@code CpuPairTileOpsTest}.
 */
final class TileReduction {
    private final Reduction reduction;
    private final boolean rows;
    private final int firstRow;
    private final int firstColumn;
    private final int columns;
    private final float @Nullable [] columnShift;
    private final float @Nullable [] columnWeight;
    private final float[] columnLargest; // of a reduction of columns, empty otherwise
    private final float[] columnSum;
    private final int[] columnCount;
    private final int[] columnAt;
    private final PairAccumulator part;

    TileReduction(Reduction reduction, int firstRow, int rowCount, int firstColumn, int columns) {
        this.reduction = reduction;
        this.rows = reduction.axis() == Axis.ROWS;
        this.firstRow = firstRow;
        this.firstColumn = firstColumn;
        this.columns = columns;
        columnShift = floats(reduction.shift().columns(), firstColumn, columns);
        columnWeight = rows ? floats(reduction.weight(), firstColumn, columns) : null;
        part = new PairAccumulator(reduction.kind(), rows ? rowCount : columns);
        boolean max = reduction.kind() == Kind.MAX || reduction.kind() == Kind.MAX_BELOW;
        columnLargest = new float[rows ? 0 : columns];
        columnSum = new float[rows ? 0 : columns];
        columnCount = new int[rows || !max ? 0 : columns];
        columnAt = new int[rows || !max ? 0 : columns];
        Arrays.fill(columnLargest, max ? Float.NEGATIVE_INFINITY : InfoNceStatistics.LOWEST);
    }

    /** Returns a slice as floats; null stays null. */
    static float @Nullable [] floats(@Nullable Scalars values, int from, int count) {
        if (values == null) {
            return null;
        }
        float[] slice = new float[count];
        for (int j = 0; j < count; j++) {
            slice[j] = (float) values.at(from + j);
        }
        return slice;
    }

    boolean needsSecondSweep() {
        return !rows && reduction.kind() == Kind.LOG_SUM_EXP;
    }

    /** Computes z = sign row + shift of row + shift of column. */
    static void shift(int sign, float[] row, double ofRow, float @Nullable [] ofColumn, float[] z, int columns) {
        float s = sign;
        float r = (float) ofRow;
        if (ofColumn == null) {
            for (int j = 0; j < columns; j++) {
                z[j] = Math.fma(s, row[j], r);
            }
        } else {
            for (int j = 0; j < columns; j++) {
                z[j] = Math.fma(s, row[j], r) + ofColumn[j];
            }
        }
    }

    private void shift(float[] row, int i, float[] z) {
        Scalars ofRows = reduction.shift().rows();
        shift(reduction.shift().sign(), row, ofRows == null ? 0 : ofRows.at(i), columnShift, z, columns);
    }

    /** Adds the logits of row r of the tile. */
    void accept(int r, float[] row, TileClasses classes) {
        int i = firstRow + r;
        if (reduction.of().negatives()) {
            float[] z = Scratch.floats(1, columns);
            shift(row, i, z);
            switch (reduction.kind()) {
                case SUM -> sum(r, z, classes);
                case LOG_SUM_EXP -> logSumExp(r, z, classes);
                case MAX -> max(r, z, classes);
                case MAX_BELOW -> {
                    int sign = reduction.shift().sign();
                    for (int j = 0; j < columns; j++) {
                        z[j] = z[j] < 0 ? sign * row[j] : Float.NEGATIVE_INFINITY;
                    }
                    max(r, z, classes);
                }
            }
        }
        if (reduction.of().positives()) {
            positives(r, row, classes);
        }
    }

    private void positives(int r, float[] row, TileClasses classes) {
        for (int k = 0; k < classes.positiveCount(); k++) {
            int j = classes.positive(k);
            int to = rows ? r : j;
            int from = rows ? firstColumn + j : firstRow + r;
            double z = reduction.shift().of(row[j], firstRow + r, firstColumn + j);
            switch (reduction.kind()) {
                case SUM ->
                    part.addSum(
                            to,
                            (reduction.weight() == null ? 1 : reduction.weight().at(from))
                                    * reduction.function().of(z));
                case LOG_SUM_EXP -> part.addExponentials(to, z, 1);
                case MAX -> part.addLargest(to, z, 1, from);
                case MAX_BELOW -> part.addLargest(to, reduction.shift().sign() * (double) row[j], z < 0 ? 1 : 0, from);
            }
        }
    }

    private void sum(int r, float[] z, TileClasses classes) {
        PairFunctions.apply(reduction.function(), z, Scratch.floats(2, columns), columns);
        classes.setOthers(z, 0);
        if (!rows) {
            float weight =
                    reduction.weight() == null ? 1 : (float) reduction.weight().at(firstRow + r);
            addTimes(z, weight, columnSum, columns);
        } else if (columnWeight == null) {
            part.addSum(r, Sums.sum(z, columns));
        } else {
            part.addSum(r, Sums.dot(z, columnWeight, columns));
        }
    }

    private static void addTimes(float[] z, float weight, float[] sum, int count) {
        for (int j = 0; j < count; j++) {
            sum[j] = Math.fma(z[j], weight, sum[j]);
        }
    }

    private void logSumExp(int r, float[] z, TileClasses classes) {
        classes.setOthers(z, InfoNceStatistics.LOWEST);
        if (!rows) {
            for (int j = 0; j < columns; j++) {
                columnLargest[j] = Math.max(columnLargest[j], z[j]);
            }
            return;
        }
        float largest = InfoNceStatistics.LOWEST;
        largest = Math.max(largest, z[Sums.largestAt(z, columns)]);
        for (int j = 0; j < columns; j++) {
            z[j] -= largest;
        }
        VectorExp.exp(z, 0, columns);
        classes.setOthers(z, 0);
        part.addExponentials(r, largest, Sums.sum(z, columns));
    }

    /** Adds the logits of row r in the second sweep. */
    void acceptAgain(int r, float[] row, TileClasses classes) {
        if (!reduction.of().negatives()) {
            return;
        }
        float[] z = Scratch.floats(1, columns);
        shift(row, firstRow + r, z);
        for (int j = 0; j < columns; j++) {
            z[j] -= columnLargest[j];
        }
        VectorExp.exp(z, 0, columns);
        classes.setOthers(z, 0);
        Rows.add(z, columnSum, columns);
    }

    private void max(int r, float[] z, TileClasses classes) {
        classes.setOthers(z, Float.NEGATIVE_INFINITY);
        if (!rows) {
            columnMax(firstRow + r, z);
            return;
        }
        int best = Sums.largestAt(z, columns);
        float largest = z[best];
        if (largest > Float.NEGATIVE_INFINITY) {
            int times = 0;
            for (int j = best; j < columns; j++) {
                times += z[j] == largest ? 1 : 0;
            }
            part.addLargest(r, largest, times, firstColumn + best);
        }
    }

    private void columnMax(int i, float[] z) {
        for (int j = 0; j < columns; j++) {
            if (z[j] > columnLargest[j]) {
                columnLargest[j] = z[j];
                columnCount[j] = 1;
                columnAt[j] = i;
            } else if (z[j] == columnLargest[j] && z[j] > Float.NEGATIVE_INFINITY) {
                columnCount[j]++;
            }
        }
    }

    /** Merges the columns of the tile into the whole; only the task of the tile writes to them. */
    void mergeColumns(PairAccumulator whole) {
        if (rows) {
            return;
        }
        for (int j = 0; j < columns; j++) {
            switch (reduction.kind()) {
                case SUM -> part.addSum(j, columnSum[j]);
                case LOG_SUM_EXP -> part.addExponentials(j, columnLargest[j], columnSum[j]);
                default -> part.addLargest(j, columnLargest[j], columnCount[j], columnAt[j]);
            }
            whole.merge(firstColumn + j, part, j);
        }
    }

    /** Merges the rows of the tile into the whole; called in the order of tiles. */
    void mergeRows(PairAccumulator whole, int rowCount) {
        for (int r = 0; rows && r < rowCount; r++) {
            whole.merge(firstRow + r, part, r);
        }
    }
}
