package org.contrastive4j.internal.cpu;

import java.util.Arrays;
import org.contrastive4j.internal.memory.HostMemory;
import org.contrastive4j.internal.memory.HostStorage;
import org.contrastive4j.ops.PairwiseOps;

/**
 * Gradients of InfoNCE with respect to the logits, which replace the logits tile by tile.
 *
 * <p>Tested by {@code CpuPairwiseOpsTest}.
 */
final class InfoNceBackward {
    private final LogitTiles tiles;
    private final InfoNceGrid grid;
    private final HostStorage storage;
    private final HostMemory memory;

    InfoNceBackward(LogitTiles tiles, HostMemory memory) {
        this.tiles = tiles;
        this.grid = tiles.grid;
        this.storage = tiles.storage;
        this.memory = memory;
    }

    void run(InfoNceStatistics statistics, double scale, double gradientScale, PairwiseOps.Gradients gradients) {
        Weights weights = new Weights(statistics, scale * gradientScale / grid.n);
        boolean wantSum = gradients.dBias() != null;
        new TileBackward(tiles, memory)
                .run(
                        (cell, t) -> statistics.isDirect()
                                ? toGradientDirectly(cell, t, statistics, weights, wantSum)
                                : toGradient(cell, t, statistics, weights, wantSum),
                        true,
                        scale,
                        gradients);
    }

    /**
     * Weights of one row: exp(logit - row) * ofRow + exp(logit - column) * ofColumn is the gradient of a negative.
     * Without a shift it is exp(logit) * (ofRow * exp(-row) + ofColumn), where ofColumn includes exp(-column).
     */
    private static final class Weights {
        final double factor;
        final float ofRow;
        final float[] ofColumn;
        final float[] columnLogSumExp;

        Weights(InfoNceStatistics statistics, double factor) {
            this.factor = factor;
            ofRow = (float) (factor * statistics.rowWeight());
            ofColumn = new float[statistics.columnLargest.length];
            columnLogSumExp = new float[ofColumn.length];
            for (int j = 0; j < ofColumn.length; j++) {
                columnLogSumExp[j] = (float) statistics.columnLogSumExp(j);
                ofColumn[j] = (float) (factor
                        * statistics.columnWeight()
                        * statistics.belonging(j)
                        * (statistics.isDirect() ? Math.exp(-statistics.columnLogSumExp(j)) : 1));
            }
        }
    }

    /** Replaces the logits of a tile by gradients; returns their sum if {@code wantSum}. */
    private double toGradient(int cell, int t, InfoNceStatistics statistics, Weights weights, boolean wantSum) {
        int columns = grid.tileColumns(cell, t);
        int firstColumn = grid.firstColumn(cell) + t * grid.tile;
        float[] row = Scratch.floats(0, columns);
        float[] gradient = Scratch.floats(1, columns);
        float[] lse = Scratch.floats(2, columns);
        float[] ofColumn = Scratch.floats(3, columns);
        System.arraycopy(weights.columnLogSumExp, firstColumn, lse, 0, columns);
        System.arraycopy(weights.ofColumn, firstColumn, ofColumn, 0, columns);
        double sum = 0;
        for (int r = 0; r < grid.rows(cell); r++) {
            int i = grid.firstRow(cell) + r;
            long at = grid.at(cell, t) + (long) r * grid.panel;
            storage.load(at, row, 0, columns);
            Arrays.fill(gradient, 0, columns, 0);
            if (weights.ofRow != 0) {
                exponentials(row, gradient, (float) statistics.rowLogSumExp(i), weights.ofRow, columns);
            }
            if (statistics.columnWeight() != 0) {
                addExponentials(row, lse, ofColumn, gradient, columns);
            }
            putPositive(i, firstColumn, gradient, columns, statistics, weights);
            if (wantSum) {
                sum += Sums.sum(gradient, columns);
            }
            storage.store(at, gradient, 0, columns);
        }
        return sum;
    }

    /** Does the same from exp(logit), which resident cells already hold. */
    private double toGradientDirectly(int cell, int t, InfoNceStatistics statistics, Weights weights, boolean wantSum) {
        int columns = grid.tileColumns(cell, t);
        int firstColumn = grid.firstColumn(cell) + t * grid.tile;
        float[] row = Scratch.floats(0, columns);
        float[] ofColumn = Scratch.floats(3, columns);
        System.arraycopy(weights.ofColumn, firstColumn, ofColumn, 0, columns);
        double sum = 0;
        for (int r = 0; r < grid.rows(cell); r++) {
            int i = grid.firstRow(cell) + r;
            long at = grid.at(cell, t) + (long) r * grid.panel;
            storage.load(at, row, 0, columns);
            if (!grid.isResident(cell)) {
                VectorExp.exp(row, 0, columns);
            }
            weigh(row, (float) (weights.ofRow * Math.exp(-statistics.rowLogSumExp(i))), ofColumn, columns);
            putPositive(i, firstColumn, row, columns, statistics, weights);
            if (wantSum) {
                sum += Sums.sum(row, columns);
            }
            storage.store(at, row, 0, columns);
        }
        return sum;
    }

    private static void putPositive(
            int i, int firstColumn, float[] gradient, int columns, InfoNceStatistics statistics, Weights weights) {
        int target = statistics.targets[i] - firstColumn;
        if (target >= 0 && target < columns) {
            gradient[target] = (float) (weights.factor * statistics.positiveGradient(i));
        }
    }

    private static void weigh(float[] row, float ofRow, float[] ofColumn, int count) {
        for (int j = 0; j < count; j++) {
            row[j] *= ofRow + ofColumn[j];
        }
    }

    /** Computes gradient = weight exp(row - lse). */
    private static void exponentials(float[] row, float[] gradient, float lse, float weight, int count) {
        for (int j = 0; j < count; j++) {
            gradient[j] = row[j] - lse;
        }
        VectorExp.exp(gradient, 0, count);
        for (int j = 0; j < count; j++) {
            gradient[j] *= weight;
        }
    }

    /** Computes gradient += weight exp(row - lse), column by column; overwrites row. */
    private static void addExponentials(float[] row, float[] lse, float[] weight, float[] gradient, int count) {
        for (int j = 0; j < count; j++) {
            row[j] -= lse[j];
        }
        VectorExp.exp(row, 0, count);
        for (int j = 0; j < count; j++) {
            gradient[j] = Math.fma(row[j], weight[j], gradient[j]);
        }
    }
}
