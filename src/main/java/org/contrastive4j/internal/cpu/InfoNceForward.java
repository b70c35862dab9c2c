package org.contrastive4j.internal.cpu;

import java.util.Arrays;
import org.contrastive4j.internal.memory.HostStorage;

/**
 * Computes logits cell by cell, and their statistics. Logits of targets are stored separately and replaced by minus
 * infinity.
 *
 * <p>Tested by {@code CpuPairwiseOpsTest}.
 */
final class InfoNceForward {
    private final InfoNceGrid grid;
    private final LogitTiles tiles;
    private final HostStorage storage;

    InfoNceForward(LogitTiles tiles) {
        this.grid = tiles.grid;
        this.tiles = tiles;
        this.storage = tiles.storage;
    }

    void run(InfoNceStatistics statistics) {
        for (int cell = 0; cell < grid.cells(); cell++) {
            int current = cell;
            int rows = grid.rows(cell);
            RowPartials[] partials = new RowPartials[grid.tiles(cell)];
            Workers.run(partials.length, t -> {
                tiles.multiply(current, t); // without bias: it cancels in every softmax
                partials[t] =
                        statistics.isDirect() ? reduceDirectly(current, t, statistics) : reduce(current, t, statistics);
            });
            for (RowPartials partial : partials) {
                for (int r = 0; r < rows; r++) {
                    statistics.addToRow(grid.firstRow(cell) + r, partial.largest[r], partial.sum[r], partial.at[r]);
                }
            }
        }
    }

    /** For each row of a tile: the largest logit, the sum of exp(logit - largest), and the column of the largest. */
    private static final class RowPartials {
        final float[] largest;
        final float[] sum;
        final int[] at;

        RowPartials(int rows) {
            largest = new float[rows];
            sum = new float[rows];
            at = new int[rows];
        }
    }

    private RowPartials reduce(int cell, int t, InfoNceStatistics statistics) {
        int rows = grid.rows(cell);
        int columns = grid.tileColumns(cell, t);
        int firstColumn = grid.firstColumn(cell) + t * grid.tile;
        RowPartials partials = new RowPartials(rows);
        float[] row = Scratch.floats(0, columns);
        float[] columnLargest = Scratch.floats(1, columns);
        Arrays.fill(columnLargest, 0, columns, InfoNceStatistics.LOWEST);
        for (int r = 0; r < rows; r++) {
            long at = grid.at(cell, t) + (long) r * grid.panel;
            storage.load(at, row, 0, columns);
            int target = takePositive(grid.firstRow(cell) + r, firstColumn, columns, row, statistics);
            if (target >= 0) {
                storage.store(at + target, row, target, 1);
            }
            larger(row, columnLargest, columns);
            int best = Sums.largestAt(row, columns);
            partials.at[r] = row[best] == Float.NEGATIVE_INFINITY ? -1 : firstColumn + best;
            partials.largest[r] = Math.max(row[best], InfoNceStatistics.LOWEST);
            if (statistics.rowWeight() != 0) {
                shift(row, columns, partials.largest[r]);
                VectorExp.exp(row, 0, columns);
                partials.sum[r] = Sums.sum(row, columns);
            }
        }
        if (statistics.columnWeight() != 0) {
            columnSums(cell, t, firstColumn, columnLargest, statistics);
        } else {
            mergeLargest(columnLargest, firstColumn, columns, statistics);
        }
        return partials;
    }

    /**
     * Does the same by exp(logit) without a shift, one exponential for row and column, which is kept for the backward
     * pass.
     */
    private RowPartials reduceDirectly(int cell, int t, InfoNceStatistics statistics) {
        int rows = grid.rows(cell);
        int columns = grid.tileColumns(cell, t);
        int firstColumn = grid.firstColumn(cell) + t * grid.tile;
        RowPartials partials = new RowPartials(rows);
        float[] row = Scratch.floats(0, columns);
        float[] columnLargest = Scratch.floats(1, columns);
        float[] columnSum = Scratch.floats(2, columns);
        Arrays.fill(columnLargest, 0, columns, InfoNceStatistics.LOWEST);
        Arrays.fill(columnSum, 0, columns, 0);
        for (int r = 0; r < rows; r++) {
            long at = grid.at(cell, t) + (long) r * grid.panel;
            storage.load(at, row, 0, columns);
            takePositive(grid.firstRow(cell) + r, firstColumn, columns, row, statistics);
            larger(row, columnLargest, columns);
            int best = Sums.largestAt(row, columns);
            partials.at[r] = row[best] == Float.NEGATIVE_INFINITY ? -1 : firstColumn + best;
            partials.largest[r] = Math.max(row[best], InfoNceStatistics.LOWEST);
            VectorExp.exp(row, 0, columns);
            partials.sum[r] = Sums.sum(row, columns);
            Rows.add(row, columnSum, columns);
            if (grid.isResident(cell)) {
                storage.store(at, row, 0, columns);
            }
        }
        for (int j = 0; j < columns; j++) {
            statistics.columnSum[firstColumn + j] += columnSum[j];
        }
        mergeLargest(columnLargest, firstColumn, columns, statistics);
        return partials;
    }

    /**
     * Stores the logit of row i and its target and replaces it by minus infinity; returns its index, or -1 if it is
     * in another tile.
     */
    private static int takePositive(int i, int firstColumn, int columns, float[] row, InfoNceStatistics statistics) {
        int target = statistics.targets[i] - firstColumn;
        if (target < 0 || target >= columns) {
            return -1;
        }
        statistics.positive[i] = row[target];
        row[target] = Float.NEGATIVE_INFINITY;
        return target;
    }

    /** Merges the sums of exp(logit - largest so far) of a tile into those of its columns; stripes come in order. */
    private void columnSums(int cell, int t, int firstColumn, float[] tileLargest, InfoNceStatistics statistics) {
        int columns = grid.tileColumns(cell, t);
        float[] largest = Scratch.floats(2, columns);
        float[] sum = Scratch.floats(3, columns);
        float[] row = Scratch.floats(0, columns);
        float[] rescale = Scratch.floats(4, columns);
        System.arraycopy(statistics.columnLargest, firstColumn, largest, 0, columns);
        System.arraycopy(largest, 0, rescale, 0, columns);
        larger(tileLargest, largest, columns);
        minus(rescale, largest, columns);
        VectorExp.exp(rescale, 0, columns);
        System.arraycopy(statistics.columnSum, firstColumn, sum, 0, columns);
        times(sum, rescale, columns);
        for (int r = 0; r < grid.rows(cell); r++) {
            storage.load(grid.at(cell, t) + (long) r * grid.panel, row, 0, columns);
            minus(row, largest, columns);
            VectorExp.exp(row, 0, columns);
            Rows.add(row, sum, columns);
        }
        System.arraycopy(largest, 0, statistics.columnLargest, firstColumn, columns);
        System.arraycopy(sum, 0, statistics.columnSum, firstColumn, columns);
    }

    private static void mergeLargest(float[] tileLargest, int first, int columns, InfoNceStatistics statistics) {
        for (int j = 0; j < columns; j++) {
            statistics.columnLargest[first + j] = Math.max(statistics.columnLargest[first + j], tileLargest[j]);
        }
    }

    private static void larger(float[] x, float[] y, int count) {
        for (int j = 0; j < count; j++) {
            y[j] = Math.max(y[j], x[j]);
        }
    }

    private static void shift(float[] x, int count, float by) {
        for (int j = 0; j < count; j++) {
            x[j] -= by;
        }
    }

    private static void minus(float[] x, float[] y, int count) {
        for (int j = 0; j < count; j++) {
            x[j] -= y[j];
        }
    }

    private static void times(float[] x, float[] y, int count) {
        for (int j = 0; j < count; j++) {
            x[j] *= y[j];
        }
    }
}
