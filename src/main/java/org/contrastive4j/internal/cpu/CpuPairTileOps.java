package org.contrastive4j.internal.cpu;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.contrastive4j.internal.memory.HostMemory;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.PairTileOps;
import org.contrastive4j.ops.PairTileOps.PairFunction;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.Scalars;
import org.contrastive4j.ops.Scalars.Reduced;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/**
 * The tiled pairwise engine on the CPU, with the tiling of InfoNCE. Negatives are computed in vectorised f32, one row
 * of a tile at a time; the few positives in f64, one by one.
 *
 * <p>Cells and tiles are computed in the same order for any number of threads, as in {@link CpuPairwiseOps}. A logit
 * has the same bits in every pass, so that gradients find the pair that a maximum was taken from.
 */
final class CpuPairTileOps extends PairTileOps {
    private final HostMemory memory;
    private final CpuPairwiseOps.Tiling tiling;

    CpuPairTileOps(HostMemory memory) {
        this(memory, CpuPairwiseOps.DEFAULT);
    }

    /** Creates the engine with another tiling, for tests that cross many tile edges. */
    CpuPairTileOps(HostMemory memory, CpuPairwiseOps.Tiling tiling) {
        super(DType.F32);
        this.memory = memory;
        this.tiling = tiling;
    }

    private InfoNceGrid grid(Pairs pairs) {
        return new InfoNceGrid(
                pairs.pairing().n(), pairs.pairing().m(), pairs.x().dim(1), tiling);
    }

    /** Processes one row of a tile. */
    @FunctionalInterface
    private interface RowBody {
        void row(int r, float[] row);
    }

    private static void rows(LogitTiles tiles, int cell, int t, TileClasses classes, RowBody body) {
        int columns = tiles.grid.tileColumns(cell, t);
        float[] row = Scratch.floats(0, columns);
        for (int r = 0; r < tiles.grid.rows(cell); r++) {
            tiles.storage.load(tiles.at(cell, t, r), row, 0, columns);
            classes.row(r);
            body.row(r, row);
        }
    }

    @Override
    protected Deferred<List<Reduced>> reduceUnchecked(Pairs pairs, List<Reduction> reductions) {
        InfoNceGrid grid = grid(pairs);
        List<PairAccumulator> whole = new ArrayList<>();
        for (Reduction reduction : reductions) {
            whole.add(new PairAccumulator(reduction.kind(), reduction.axis() == Axis.ROWS ? grid.n : grid.m));
        }
        try (Tensor logits = Tensor.allocate(memory, DType.F32, grid.slotShape())) {
            LogitTiles tiles = new LogitTiles(
                    grid, pairs.x(), pairs.y(), logits, pairs.scale().at(0));
            for (int cell = 0; cell < grid.cells(); cell++) {
                int current = cell;
                TileReduction[][] parts = new TileReduction[grid.tiles(cell)][];
                Workers.run(parts.length, t -> parts[t] = reduce(tiles, pairs, current, t, reductions, whole));
                for (TileReduction[] part : parts) {
                    for (int k = 0; k < part.length; k++) {
                        part[k].mergeRows(whole.get(k), grid.rows(cell));
                    }
                }
            }
        }
        return Deferred.of(whole.stream().map(PairAccumulator::reduced).toList());
    }

    private static TileReduction[] reduce(
            LogitTiles tiles, Pairs pairs, int cell, int t, List<Reduction> reductions, List<PairAccumulator> whole) {
        tiles.multiply(cell, t);
        InfoNceGrid grid = tiles.grid;
        TileReduction[] parts = new TileReduction[reductions.size()];
        Arrays.setAll(
                parts,
                k -> new TileReduction(
                        reductions.get(k),
                        grid.firstRow(cell),
                        grid.rows(cell),
                        tiles.firstColumn(cell, t),
                        grid.tileColumns(cell, t)));
        TileClasses classes = new TileClasses(pairs.pairing(), tiles, cell, t);
        rows(tiles, cell, t, classes, (r, row) -> {
            for (TileReduction part : parts) {
                part.accept(r, row, classes);
            }
        });
        TileReduction[] again =
                Arrays.stream(parts).filter(TileReduction::needsSecondSweep).toArray(TileReduction[]::new);
        if (again.length > 0) {
            rows(tiles, cell, t, classes, (r, row) -> {
                for (TileReduction part : again) {
                    part.acceptAgain(r, row, classes);
                }
            });
        }
        for (int k = 0; k < parts.length; k++) {
            parts[k].mergeColumns(whole.get(k));
        }
        return parts;
    }

    @Override
    protected void gradientUnchecked(
            Pairs pairs, List<Term> terms, Factors factors, PairwiseOps.Gradients gradients, double gradientScale) {
        InfoNceGrid grid = grid(pairs);
        double factor = gradientScale * pairs.scale().at(0);
        boolean wantSum = gradients.dBias() != null;
        try (Tensor logits = Tensor.allocate(memory, DType.F32, grid.slotShape())) {
            LogitTiles tiles = new LogitTiles(
                    grid, pairs.x(), pairs.y(), logits, pairs.scale().at(0));
            new TileBackward(tiles, factors, memory)
                    .run(
                            (cell, t) -> {
                                TileGradient tile = new TileGradient(terms, factor, tiles, cell, t);
                                TileClasses classes = new TileClasses(pairs.pairing(), tiles, cell, t);
                                double[] sum = new double[1];
                                rows(tiles, cell, t, classes, (r, row) -> {
                                    float[] g = tile.row(r, row, classes);
                                    sum[0] += wantSum ? Sums.sum(g, grid.tileColumns(cell, t)) : 0;
                                    tiles.storage.store(tiles.at(cell, t, r), g, 0, grid.tileColumns(cell, t));
                                });
                                return sum[0];
                            },
                            false,
                            pairs.scale().at(0),
                            gradients);
        }
    }

    @Override
    protected Deferred<Histogram> histogramUnchecked(Pairs pairs, int bins) {
        InfoNceGrid grid = grid(pairs);
        long[] positives = new long[bins];
        long[] negatives = new long[bins];
        long[] ignored = new long[1];
        try (Tensor logits = Tensor.allocate(memory, DType.F32, grid.slotShape())) {
            LogitTiles tiles = new LogitTiles(grid, pairs.x(), pairs.y(), logits, 1);
            for (int cell = 0; cell < grid.cells(); cell++) {
                int current = cell;
                Workers.run(grid.tiles(cell), t -> {
                    tiles.multiply(current, t);
                    TileHistogram part = new TileHistogram(bins, grid.tileColumns(current, t));
                    TileClasses classes = new TileClasses(pairs.pairing(), tiles, current, t);
                    rows(tiles, current, t, classes, (r, row) -> part.row(row, classes));
                    synchronized (ignored) { // integers: the order of additions does not matter
                        part.addTo(positives, negatives, ignored);
                    }
                });
            }
        }
        return Deferred.of(new Histogram(positives, negatives, ignored[0]));
    }

    /** The counts of one tile. */
    private static final class TileHistogram {
        private final long[] positives;
        private final long[] negatives;
        private final int columns;
        private long ignored;

        TileHistogram(int bins, int columns) {
            positives = new long[bins];
            negatives = new long[bins];
            this.columns = columns;
        }

        void row(float[] row, TileClasses classes) {
            for (int k = 0; k < classes.positiveCount(); k++) {
                positives[bin(row[classes.positive(k)], positives.length)]++;
            }
            classes.setOthers(row, Float.NaN);
            ignored -= classes.positiveCount();
            for (int j = 0; j < columns; j++) {
                if (Float.isNaN(row[j])) {
                    ignored++;
                } else {
                    negatives[bin(row[j], negatives.length)]++;
                }
            }
        }

        void addTo(long[] allPositives, long[] allNegatives, long[] allIgnored) {
            for (int k = 0; k < positives.length; k++) {
                allPositives[k] += positives[k];
                allNegatives[k] += negatives[k];
            }
            allIgnored[0] += ignored;
        }
    }

    /** The gradient matrix G of one tile, one row at a time. */
    private static final class TileGradient {
        private final List<Term> terms;
        private final double factor;
        private final int firstRow;
        private final int firstColumn;
        private final int columns;
        private final float[][] columnShifts;
        private final float[][] columnWeights;

        TileGradient(List<Term> terms, double factor, LogitTiles tiles, int cell, int t) {
            this.terms = terms;
            this.factor = factor;
            firstRow = tiles.grid.firstRow(cell);
            firstColumn = tiles.firstColumn(cell, t);
            columns = tiles.grid.tileColumns(cell, t);
            columnShifts = new float[terms.size()][];
            columnWeights = new float[terms.size()][];
            for (int k = 0; k < columnShifts.length; k++) {
                columnShifts[k] = TileReduction.floats(terms.get(k).shift().columns(), firstColumn, columns);
                columnWeights[k] = TileReduction.floats(terms.get(k).columnWeight(), firstColumn, columns);
            }
        }

        float[] row(int r, float[] row, TileClasses classes) {
            int i = firstRow + r;
            float[] g = Scratch.floats(3, columns);
            float[] z = Scratch.floats(1, columns);
            Arrays.fill(g, 0, columns, 0);
            for (int k = 0; k < columnShifts.length; k++) {
                Term term = terms.get(k);
                double weight = factor
                        * (term.rowWeight() == null ? 1 : term.rowWeight().at(i));
                if (!term.of().negatives() || weight == 0) {
                    continue;
                }
                if (term.function() != PairFunction.ONE) {
                    Scalars ofRows = term.shift().rows();
                    TileReduction.shift(
                            term.shift().sign(), row, ofRows == null ? 0 : ofRows.at(i), columnShifts[k], z, columns);
                }
                PairFunctions.apply(term.function(), z, Scratch.floats(2, columns), columns);
                addTimes(z, (float) weight, columnWeights[k], g, columns);
            }
            classes.setOthers(g, 0);
            for (int p = 0; p < classes.positiveCount(); p++) {
                int j = classes.positive(p);
                g[j] = (float) (factor * ofPositive(i, firstColumn + j, row[j]));
            }
            return g;
        }

        private static void addTimes(float[] z, float weight, float[] weights, float[] g, int count) {
            if (weights == null) {
                for (int j = 0; j < count; j++) {
                    g[j] = Math.fma(z[j], weight, g[j]);
                }
            } else {
                for (int j = 0; j < count; j++) {
                    g[j] = Math.fma(z[j] * weight, weights[j], g[j]);
                }
            }
        }

        private double ofPositive(int i, int j, double logit) {
            double g = 0;
            for (Term term : terms) {
                if (term.of().positives()) {
                    g += (term.rowWeight() == null ? 1 : term.rowWeight().at(i))
                            * (term.columnWeight() == null
                                    ? 1
                                    : term.columnWeight().at(j))
                            * term.function().of(term.shift().of(logit, i, j));
                }
            }
            return g;
        }
    }

    /** Returns the bytes of the logits, plus m d floats if gradients are requested but neither dx nor dy. */
    @Override
    public long workspaceBytes(int n, int m, int d) {
        return new InfoNceGrid(n, m, d, tiling).slotShape().size() * Float.BYTES;
    }
}
