package org.contrastive4j.internal.cpu;

import java.util.Arrays;
import java.util.Objects;
import org.contrastive4j.internal.memory.HostMemory;
import org.contrastive4j.ops.PairTileOps;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Computes dx = s G y and dy = s G^T x, cell by cell from the last to the first, where G replaces the logits.
 *
 * <p>d log-scale = s sum G_ij &lt;x_i, y_j&gt; = sum_i &lt;x_i, dx_i&gt; = sum_j &lt;y_j, dy_j&gt; needs no extra
 * pass.
 *
 * <p>Tested by {@code CpuPairwiseOpsTest} and {@code CpuPairTileOpsTest}.
 */
final class TileBackward {
    /** Rows of dx per task: larger blocks are nearly square and copy less, smaller ones keep more threads busy. */
    private static final int ROWS_PER_TASK = 256;

    private static final int WIDTH_PER_TASK = 256;

    private final LogitTiles tiles;
    private final InfoNceGrid grid;
    private final @Nullable Tensor x; // null without dy
    private final @Nullable Tensor y; // null without dx
    private final int d;
    private final HostMemory memory;

    /** Replaces the logits of a tile by scale times their gradients. */
    @FunctionalInterface
    interface ToGradient {
        /** Returns the sum of what it stored; any number if no sum is requested. */
        double tile(int cell, int t);
    }

    TileBackward(LogitTiles tiles, HostMemory memory) {
        this(tiles, new PairTileOps.Factors(tiles.x, tiles.y), memory);
    }

    /** @param factors that G is multiplied by */
    TileBackward(LogitTiles tiles, PairTileOps.Factors factors, HostMemory memory) {
        this.tiles = tiles;
        this.grid = tiles.grid;
        this.x = factors.rows();
        this.y = factors.columns();
        this.d = factors.width();
        this.memory = memory;
    }

    /**
     * @param resident whether a forward pass over the same tiles has just ended, so that the logits of the last cells
     *     are in memory
     */
    void run(ToGradient toGradient, boolean resident, double scale, PairwiseOps.Gradients gradients) {
        Tensor dx = gradients.dx();
        Tensor dy = gradients.dy();
        boolean none = dx == null && dy == null;
        try (Tensor own = none ? Tensor.allocate(memory, DType.F32, tiles.y.shape()) : null) {
            run(toGradient, resident, scale, dx, none ? own : dy, gradients);
        }
    }

    private void run(
            ToGradient toGradient,
            boolean resident,
            double scale,
            @Nullable Tensor dx,
            @Nullable Tensor dy,
            PairwiseOps.Gradients gradients) {
        int tilesPerCell = InfoNceGrid.ceilDiv(grid.panel, grid.tile);
        double[] sums = new double[grid.cells() * tilesPerCell];
        for (int cell = grid.cells() - 1; cell >= 0; cell--) {
            int current = cell;
            Workers.run(grid.tiles(cell), t -> {
                if (!resident || !grid.isResident(current)) {
                    tiles.multiply(current, t);
                }
                sums[current * tilesPerCell + t] = toGradient.tile(current, t);
                if (dy != null) {
                    addToColumns(current, t, dy);
                }
            });
            if (dx != null) {
                int across = InfoNceGrid.ceilDiv(d, WIDTH_PER_TASK);
                int tasks = InfoNceGrid.ceilDiv(grid.rows(cell), ROWS_PER_TASK) * across;
                Workers.run(tasks, task -> addToRows(current, task / across, task % across * WIDTH_PER_TASK, dx));
            }
        }
        if (gradients.dLogScale() != null) {
            add(
                    gradients.dLogScale(),
                    dx != null ? along(tiles.x, dx) : along(tiles.y, Objects.requireNonNull(dy, "dx or dy is given")));
        }
        if (gradients.dBias() != null) {
            add(gradients.dBias(), Arrays.stream(sums).sum() / scale);
        }
    }

    /** Adds G^T x to the rows of dy that are columns of this tile; the last stripe comes first and overwrites. */
    private void addToColumns(int cell, int t, Tensor dy) {
        boolean first = cell / grid.panels == grid.stripes - 1;
        Blas.sgemm(
                true,
                false,
                grid.tileColumns(cell, t),
                d,
                grid.rows(cell),
                1,
                Blas.address(tiles.logits) + 4 * grid.at(cell, t),
                grid.panel,
                Blas.address(Objects.requireNonNull(x)) + 4L * grid.firstRow(cell) * d,
                d,
                first ? 0 : 1,
                Blas.address(dy) + 4L * tiles.firstColumn(cell, t) * d,
                d);
    }

    /** Adds G y to a block of dx; the last panel comes first and overwrites. */
    private void addToRows(int cell, int block, int column, Tensor dx) {
        int from = block * ROWS_PER_TASK;
        int rows = Math.min(ROWS_PER_TASK, grid.rows(cell) - from);
        int width = Math.min(WIDTH_PER_TASK, d - column);
        boolean first = cell % grid.panels == grid.panels - 1;
        Blas.sgemm(
                false,
                false,
                rows,
                width,
                grid.columns(cell),
                1,
                Blas.address(tiles.logits) + 4 * (grid.at(cell, 0) + (long) from * grid.panel),
                grid.panel,
                Blas.address(Objects.requireNonNull(y)) + 4L * ((long) grid.firstColumn(cell) * d + column),
                d,
                first ? 0 : 1,
                Blas.address(dx) + 4L * ((long) (grid.firstRow(cell) + from) * d + column),
                d);
    }

    /** Returns the sum of products of all elements, in f64 by fixed blocks. */
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
