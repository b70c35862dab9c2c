package org.contrastive4j.ops.cpu;

import java.util.Arrays;
import org.contrastive4j.memory.HostMemory;
import org.contrastive4j.memory.HostStorage;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/**
 * dx = s G y and dy = s G^T x, cell by cell from the last to the first, G in the place of the logits.
 *
 * <p>d log-scale = s sum G_ij &lt;x_i, y_j&gt; = sum_i &lt;x_i, dx_i&gt; = sum_j &lt;y_j, dy_j&gt; needs no pass of its own.
 */
final class InfoNceBackward {
    private static final int ROWS_PER_TASK = 128;

    private final InfoNceGrid grid;
    private final int d;
    private final InfoNceForward forward;
    private final PairwiseOps.InfoNce inputs;
    private final Tensor logits;
    private final HostStorage storage;
    private final HostMemory memory;

    InfoNceBackward(InfoNceGrid grid, int d, InfoNceForward forward, PairwiseOps.InfoNce inputs, Tensor logits,
            HostMemory memory) {
        this.grid = grid;
        this.d = d;
        this.forward = forward;
        this.inputs = inputs;
        this.logits = logits;
        this.storage = (HostStorage) logits.storage();
        this.memory = memory;
    }

    void run(InfoNceStatistics statistics, double scale, double gradientScale, PairwiseOps.Gradients gradients) {
        Tensor dx = gradients.dx();
        Tensor dy = gradients.dy();
        boolean none = dx == null && dy == null;
        try (Tensor own = none ? Tensor.allocate(memory, DType.F32, inputs.y().shape()) : null) {
            run(statistics, scale, gradientScale, dx, none ? own : dy, gradients);
        }
    }

    private void run(InfoNceStatistics statistics, double scale, double gradientScale, Tensor dx, Tensor dy,
            PairwiseOps.Gradients gradients) {
        Weights weights = new Weights(statistics, scale * gradientScale / grid.n);
        double[] sums = new double[grid.stripes * GridTiles.count(grid)];
        for (int cell = grid.cells() - 1; cell >= 0; cell--) {
            int current = cell;
            Workers.run(grid.tiles(cell), t -> {
                if (!grid.isResident(current)) {
                    forward.multiply(current, t);
                }
                double sum = toGradient(current, t, statistics, weights, gradients.dBias() != null);
                sums[GridTiles.index(grid, current, t)] = sum;
                if (dy != null) {
                    addToColumns(current, t, dy);
                }
            });
            if (dx != null) {
                int tasks = InfoNceGrid.ceilDiv(grid.rows(cell), ROWS_PER_TASK);
                Workers.run(tasks, task -> addToRows(current, task, dx));
            }
        }
        if (gradients.dLogScale() != null) {
            double dLogScale = dx != null ? along(inputs.x(), dx) : along(inputs.y(), dy);
            add(gradients.dLogScale(), dLogScale);
        }
        if (gradients.dBias() != null) {
            add(gradients.dBias(), Arrays.stream(sums).sum() / scale);
        }
    }

    /** Numbers of column tiles over all panels, to number the tiles of the whole grid. */
    private static final class GridTiles {
        static int count(InfoNceGrid grid) {
            return grid.panels * InfoNceGrid.ceilDiv(grid.panel, grid.tile);
        }

        static int index(InfoNceGrid grid, int cell, int t) {
            return cell * InfoNceGrid.ceilDiv(grid.panel, grid.tile) + t;
        }
    }

    /** exp(logit - row) * ofRow + exp(logit - column) * ofColumn is the gradient of a negative. */
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
                ofColumn[j] = (float) (factor * statistics.columnWeight() * statistics.belonging(j));
                columnLogSumExp[j] = statistics.columnLogSumExp(j);
            }
        }
    }

    /** Turns the logits of a tile into gradients; returns their sum when wanted. */
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
                exponentials(row, gradient, statistics.rowLogSumExp(i), weights.ofRow, columns);
            }
            if (statistics.columnWeight() != 0) {
                addExponentials(row, lse, ofColumn, gradient, columns);
            }
            int target = statistics.targets[i] - firstColumn;
            if (target >= 0 && target < columns) {
                gradient[target] = (float) (weights.factor * statistics.positiveGradient(i));
            }
            if (wantSum) {
                sum += Sums.sum(gradient, columns);
            }
            storage.store(at, gradient, 0, columns);
        }
        return sum;
    }

    /** gradient = weight exp(row - lse). */
    private static void exponentials(float[] row, float[] gradient, float lse, float weight, int count) {
        for (int j = 0; j < count; j++) {
            gradient[j] = row[j] - lse;
        }
        VectorExp.exp(gradient, 0, count);
        for (int j = 0; j < count; j++) {
            gradient[j] *= weight;
        }
    }

    /** gradient += weight exp(row - lse), column by column; row is used up. */
    private static void addExponentials(float[] row, float[] lse, float[] weight, float[] gradient, int count) {
        for (int j = 0; j < count; j++) {
            row[j] -= lse[j];
        }
        VectorExp.exp(row, 0, count);
        for (int j = 0; j < count; j++) {
            gradient[j] = Math.fma(row[j], weight[j], gradient[j]);
        }
    }

    /** Rows of dy that are this tile's columns: += G^T x; the last stripe comes first and overwrites. */
    private void addToColumns(int cell, int t, Tensor dy) {
        boolean first = cell / grid.panels == grid.stripes - 1;
        long columns = Blas.address(dy) + 4L * (grid.firstColumn(cell) + (long) t * grid.tile) * d;
        Blas.sgemm(true, false, grid.tileColumns(cell, t), d, grid.rows(cell), 1,
                Blas.address(logits) + 4 * grid.at(cell, t), grid.panel,
                Blas.address(inputs.x()) + 4L * grid.firstRow(cell) * d, d, first ? 0 : 1, columns, d);
    }

    /** A block of the stripe's rows of dx: += G y; the last panel comes first and overwrites. */
    private void addToRows(int cell, int task, Tensor dx) {
        int from = task * ROWS_PER_TASK;
        int rows = Math.min(ROWS_PER_TASK, grid.rows(cell) - from);
        boolean first = cell % grid.panels == grid.panels - 1;
        Blas.sgemm(false, false, rows, d, grid.columns(cell), 1,
                Blas.address(logits) + 4 * (grid.at(cell, 0) + (long) from * grid.panel), grid.panel,
                Blas.address(inputs.y()) + 4L * grid.firstColumn(cell) * d, d, first ? 0 : 1,
                Blas.address(dx) + 4L * (grid.firstRow(cell) + from) * d, d);
    }

    /** Sum of products of all elements, in f64 by fixed blocks. */
    private static double along(Tensor a, Tensor b) {
        double[] partial = new double[Math.toIntExact((a.size() + Rows.BLOCK_ELEMENTS - 1) / Rows.BLOCK_ELEMENTS)];
        Rows.elements(a.size(), (at, count) -> {
            float[] left = Rows.load(a, at, count, 0);
            float[] right = Rows.load(b, at, count, 1);
            double sum = 0;
            for (int i = 0; i < count; i++) {
                sum += (double) left[i] * right[i];
            }
            partial[(int) (at / Rows.BLOCK_ELEMENTS)] = sum;
        });
        return Arrays.stream(partial).sum();
    }

    private static void add(Tensor scalar, double value) {
        scalar.set(scalar.toDoubles()[0] + value);
    }
}
