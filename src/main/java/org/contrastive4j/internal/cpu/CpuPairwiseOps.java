package org.contrastive4j.internal.cpu;

import org.contrastive4j.internal.backend.Indices;
import org.contrastive4j.internal.memory.HostMemory;
import org.contrastive4j.internal.memory.HostStorage;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * InfoNCE on the CPU. Only the logits of a few stripes of rows exist at a time; OpenBLAS computes the matrix
 * products.
 *
 * <p>The order of work is the same for any number of threads: stripes of rows, panels of columns, and within a
 * (stripe, panel) cell column tiles that threads take. A tile owns the statistics of its columns and its rows of dy;
 * statistics of rows are kept per tile and merged in order.
 */
final class CpuPairwiseOps extends PairwiseOps {
    /**
     * Sizes of the tiling.
     *
     * @param stripe rows whose logits exist at once
     * @param panel columns whose logits exist at once
     * @param tile columns of one task
     * @param leastBytes memory that logits may always use, however small x and y are
     * @param mostBytes largest memory of logits; stripes that fit are kept from forward to backward instead of being
     *     recomputed, and stripes are made small enough for two to fit
     */
    record Tiling(int stripe, int panel, int tile, long leastBytes, long mostBytes) {}

    static final Tiling DEFAULT = new Tiling(512, 8192, 512, 64L << 10, 24L << 20);

    /**
     * Largest logit scale at which exponentials are computed without a shift: e^40 times a million pairs and e^-40
     * are well inside the range of f32.
     */
    private static final float DIRECT = 40;

    private final HostMemory memory;
    private final Tiling tiling;

    CpuPairwiseOps(HostMemory memory) {
        this(memory, DEFAULT);
    }

    /** Creates the operation with another tiling, for tests that cross many tile edges. */
    CpuPairwiseOps(HostMemory memory, Tiling tiling) {
        super(DType.F32);
        this.memory = memory;
        this.tiling = tiling;
    }

    @Override
    protected Deferred<Result> infoNceUnchecked(
            int n,
            int m,
            int d,
            InfoNce inputs,
            @Nullable Gradients gradients,
            double gradientScale,
            @Nullable Tensor hardestNegative) {
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
     * Computes the statistics of all logits, without a shift if exponentials of unit rows stay within the range of
     * f32. If logits reveal rows that are not unit rows, it computes them again with a shift.
     */
    private static InfoNceStatistics statistics(
            int n, int m, int[] targets, InfoNce inputs, LogitTiles tiles, boolean direct) {
        InfoNceStatistics statistics =
                new InfoNceStatistics(n, m, targets, inputs.rowWeight(), inputs.columnWeight(), direct);
        new InfoNceForward(tiles).run(statistics);
        return direct && !statistics.within(DIRECT + 1) ? statistics(n, m, targets, inputs, tiles, false) : statistics;
    }

    private static int[] targets(int n, int m, @Nullable Tensor given) {
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

    /** Returns the bytes of the logits, plus m d floats if gradients are requested but neither dx nor dy. */
    @Override
    public long workspaceBytes(int n, int m, int d, boolean withGradients) {
        return grid(n, m, d).slotShape().size() * Float.BYTES;
    }
}
