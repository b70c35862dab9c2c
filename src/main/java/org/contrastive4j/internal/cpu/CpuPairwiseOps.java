package org.contrastive4j.internal.cpu;

import org.contrastive4j.internal.memory.HostMemory;
import org.contrastive4j.internal.memory.HostStorage;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Indices;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/**
 * InfoNCE on the cpu: logits live in a few stripes of rows at a time, matrix products run in OpenBLAS.
 *
 * <p>Order of work, the same for any number of threads: rows in stripes, columns in panels, and within a (stripe,
 * panel) column tiles that threads take. A tile owns its columns' statistics and rows of dy; rows' statistics are kept
 * per tile and merged in order.
 */
final class CpuPairwiseOps extends PairwiseOps {
    /**
     * Sizes of the tiling.
     *
     * @param stripe rows whose logits exist at once
     * @param panel columns whose logits exist at once
     * @param tile columns one task works on
     * @param leastBytes logits may take this much however small x and y are
     * @param mostBytes logits never take more; stripes that fit stay from forward to backward and are not computed
     *     again, and are made low enough for two to fit
     */
    record Tiling(int stripe, int panel, int tile, long leastBytes, long mostBytes) {}

    static final Tiling DEFAULT = new Tiling(512, 8192, 512, 64L << 10, 24L << 20);

    /**
     * Largest scale whose exponentials are taken without a shift: e^40 for a million pairs and e^-40
     * are far inside f32.
     */
    private static final float DIRECT = 40;

    private final HostMemory memory;
    private final Tiling tiling;

    CpuPairwiseOps(HostMemory memory) {
        this(memory, DEFAULT);
    }

    /** Other sizes, for tests that cross many edges cheaply. */
    CpuPairwiseOps(HostMemory memory, Tiling tiling) {
        super(DType.F32);
        this.memory = memory;
        this.tiling = tiling;
    }

    @Override
    protected Deferred<Result> infoNceUnchecked(
            int n, int m, int d, InfoNce inputs, Gradients gradients, double gradientScale, Tensor hardestNegative) {
        int[] targets = targets(n, m, inputs.targets());
        InfoNceGrid grid = grid(n, m, d);
        double scale = Math.exp(inputs.logScale().toDoubles()[0]);
        double bias = inputs.bias() == null ? 0 : inputs.bias().toDoubles()[0];
        try (Tensor logits = Tensor.allocate(memory, DType.F32, grid.slotShape())) {
            LogitTiles tiles = new LogitTiles(grid, inputs.x(), inputs.y(), logits, scale);
            InfoNceStatistics statistics = statistics(n, m, targets, inputs, tiles, scale <= DIRECT);
            Result result = statistics.result(bias);
            if (hardestNegative != null) {
                ((HostStorage) hardestNegative.storage()).store(hardestNegative.offset(), statistics.hardest(), 0, n);
            }
            if (gradients != null) {
                new InfoNceBackward(tiles, memory).run(statistics, scale, gradientScale, gradients);
            }
            return Deferred.of(result);
        }
    }

    /**
     * Statistics of all logits; without a shift where exponentials of unit rows cannot leave the range of f32. Rows
     * that are no unit rows are noticed by their logits and done again with one.
     */
    private static InfoNceStatistics statistics(
            int n, int m, int[] targets, InfoNce inputs, LogitTiles tiles, boolean direct) {
        InfoNceStatistics statistics =
                new InfoNceStatistics(n, m, targets, inputs.rowWeight(), inputs.columnWeight(), direct);
        new InfoNceForward(tiles).run(statistics);
        return direct && !statistics.within(DIRECT + 1) ? statistics(n, m, targets, inputs, tiles, false) : statistics;
    }

    private static int[] targets(int n, int m, Tensor given) {
        if (given != null) {
            return Indices.read("infoNce", "targets", given, m);
        }
        int[] diagonal = new int[n];
        for (int i = 0; i < n; i++) {
            diagonal[i] = i;
        }
        return diagonal;
    }

    private InfoNceGrid grid(int n, int m, int d) {
        return new InfoNceGrid(n, m, d, tiling);
    }

    /** The logits in memory; m d floats more when gradients are wanted but neither dx nor dy. */
    @Override
    public long workspaceBytes(int n, int m, int d, boolean withGradients) {
        return grid(n, m, d).slotShape().size() * Float.BYTES;
    }
}
