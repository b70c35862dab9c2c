package org.contrastive4j.loss;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Pairs;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.PairTileOps.Term;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.Scalars;
import org.contrastive4j.ops.Scalars.Reduced;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Any {@link ContrastiveLoss} over rows and columns that lie in the shards of W workers: value and gradients are those
 * of one worker with all of them, up to the order of sums. Here the W workers take turns in one process; what they
 * would exchange is marked.
 *
 * <p>GATHERED: worker w pairs its rows with all columns (exchange: gather of the columns; per reduction, the columns'
 * partial results; dy by a reduce-scatter). RING: worker w pairs its rows with one column shard after another, w first,
 * then w + 1, cyclically (exchange: a column shard and its partial results to the neighbour, W - 1 times; in the
 * backward pass its dy travels along). Every worker has the n + m scalars per row and column. Gradients
 * of log-scale and bias are sums over the workers, each pair counted once: nothing is to be multiplied by W or divided
 * by it.
 */
public final class ShardedContrast {
    /** Which columns a worker has at a time. */
    public enum Order {
        /** All columns at once. */
        GATHERED,
        /** One shard of columns after another. */
        RING
    }

    private final Ops ops;
    private final ContrastiveLoss loss;
    private final Order order;

    /**
     * Creates a sharded loss.
     *
     * @param ops backend
     * @param loss to shard; stays the caller's
     * @param order in which columns reach the workers
     */
    public ShardedContrast(Ops ops, ContrastiveLoss loss, Order order) {
        this.ops = ops;
        this.loss = loss;
        this.order = order;
    }

    /**
     * Computes value, statistics, and gradients times {@code gradientScale}.
     *
     * @param u shards [n_w, d] of the raw rows, in order; read
     * @param v as many shards [m_w, d] of the raw columns, in order; read
     * @param labels of the whole batch
     * @param du like u; written
     * @param dv like v; written
     * @param gradientScale multiplied into all gradients
     * @return value and statistics of the whole batch
     * @throws ShapeException when numbers of shards or widths differ
     */
    public Deferred<PairwiseOps.Result> valueAndGradient(
            List<Tensor> u, List<Tensor> v, PairLabels labels, List<Tensor> du, List<Tensor> dv, double gradientScale) {
        int workers = u.size();
        if (workers < 1 || v.size() != workers || du.size() != workers || dv.size() != workers) {
            throw new ShapeException("shards of u, v, du, dv: " + workers + ", " + v.size() + ", " + du.size() + ", "
                    + dv.size() + ", expected equal numbers of at least one");
        }
        for (int w = 0; w < workers; w++) {
            ContrastiveLoss.requireMatrices(u.get(w), v.get(w));
            ContrastiveLoss.requireMatrices(u.get(0), v.get(w));
        }
        List<UnitRows> x = new ArrayList<>();
        List<UnitRows> y = new ArrayList<>();
        try (Tensor dLogScale = ops.zeroParameter(Shape.of(1));
                Tensor dBias = ops.zeroParameter(Shape.of(1))) {
            for (int w = 0; w < workers; w++) {
                x.add(new UnitRows(ops, "u, shard " + w, u.get(w)));
                y.add(new UnitRows(ops, "v, shard " + w, v.get(w)));
            }
            int[] rows = starts(u);
            int[] columns = starts(v);
            Pairing pairing = loss.pairing(rows[workers], columns[workers], labels);
            Scalars.Scope scope = ops.pairTiles().hostScope();
            Scalars second = loss.second(scope);
            Scalars bias = loss.hasBias() ? second : Scalars.of(0);
            x.forEach(UnitRows::requireFinite);
            y.forEach(UnitRows::requireFinite);
            try (Field field = new Field(new Shards(x, rows), new Shards(y, columns), pairing, bias, second)) {
                ContrastiveLoss.Evaluation evaluation = loss.evaluate(field, true);
                Deferred<PairwiseOps.Result> result =
                        loss.finite(field.statistics().result(evaluation.loss(), bias));
                field.gradient(evaluation.terms(), du, dv, dLogScale, loss.hasBias() ? dBias : null, gradientScale);
                loss.addSlope(scope, evaluation, dBias, gradientScale);
                for (int w = 0; w < workers; w++) {
                    x.get(w).backward(du.get(w));
                    y.get(w).backward(dv.get(w));
                }
                loss.accumulate(dLogScale, dBias);
                return result;
            }
        } finally {
            x.forEach(UnitRows::close);
            y.forEach(UnitRows::close);
        }
    }

    private static int[] starts(List<Tensor> shards) {
        int[] starts = new int[shards.size() + 1];
        for (int w = 0; w < shards.size(); w++) {
            starts[w + 1] = starts[w] + shards.get(w).dim(0);
        }
        return starts;
    }

    /**
     * One row shard paired with some columns: rows [rowFrom, rowTo), columns [columnFrom, columnTo) of the whole.
     */
    private record Block(int worker, int rowFrom, int rowTo, int columnFrom, int columnTo, Pairs pairs) {}

    /** Unit rows of each worker, and the first row of each in the whole. */
    private record Shards(List<UnitRows> rows, int[] starts) {}

    /** The shards as one field of pairs. */
    private final class Field extends PairField implements AutoCloseable {
        private final Pairing pairing;
        private final int[] columns;
        private final @Nullable Tensor gathered;
        private final List<Block> blocks = new ArrayList<>();

        Field(Shards ofX, Shards ofY, Pairing pairing, Scalars bias, Scalars second) {
            super(bias, second);
            this.pairing = pairing;
            List<UnitRows> x = ofX.rows;
            List<UnitRows> y = ofY.rows;
            int[] rows = ofX.starts;
            columns = ofY.starts;
            int workers = x.size();
            int width = x.get(0).unit().dim(1);
            gathered = order == Order.GATHERED ? ops.allocateParameter(columns[workers], width) : null;
            for (int c = 0; c < workers && gathered != null; c++) {
                ops.pointwise().copy(y.get(c).unit(), gathered.rows(columns[c], columns[c + 1]));
            }
            Scalars scale = loss.scale(ops.pairTiles().hostScope());
            for (int w = 0; w < workers; w++) {
                for (int step = 0; step < (gathered == null ? workers : 1); step++) {
                    int c = (w + step) % workers;
                    int from = gathered == null ? columns[c] : 0;
                    int to = gathered == null ? columns[c + 1] : columns[workers];
                    blocks.add(new Block(
                            w,
                            rows[w],
                            rows[w + 1],
                            from,
                            to,
                            new Pairs(
                                    x.get(w).unit(),
                                    gathered == null ? y.get(c).unit() : gathered,
                                    scale,
                                    pairing.block(rows[w], rows[w + 1], from, to))));
                }
            }
        }

        @Override
        public Pairing pairing() {
            return pairing;
        }

        @Override
        List<Reduced> run(List<Reduction> reductions) {
            List<ShardMerge> whole = new ArrayList<>();
            for (Reduction reduction : reductions) {
                whole.add(new ShardMerge(reduction.kind(), reduction.axis() == Axis.ROWS ? pairing.n() : pairing.m()));
            }
            for (Block block : blocks) {
                List<Reduction> own = reductions.stream()
                        .map(reduction -> slice(reduction, block))
                        .toList();
                List<Reduced> parts = ops.pairTiles().reduce(block.pairs, own).get();
                for (int k = 0; k < parts.size(); k++) {
                    boolean ofRows = reductions.get(k).axis() == Axis.ROWS;
                    whole.get(k)
                            .add(
                                    parts.get(k),
                                    ofRows ? block.rowFrom : block.columnFrom,
                                    ofRows ? block.columnFrom : block.rowFrom);
                }
            }
            return whole.stream().map(ShardMerge::reduced).toList();
        }

        void gradient(
                List<Term> terms,
                List<Tensor> dx,
                List<Tensor> dy,
                Tensor dLogScale,
                @Nullable Tensor dBias,
                double scale) {
            dx.forEach(tensor -> ops.pointwise().fill(tensor, 0));
            dy.forEach(tensor -> ops.pointwise().fill(tensor, 0));
            for (Block block : blocks) {
                List<Term> own = terms.stream().map(term -> slice(term, block)).toList();
                try (Tensor partX = ops.allocateParameter(block.pairs.x().shape());
                        Tensor partY = ops.allocateParameter(block.pairs.y().shape())) {
                    ops.pairTiles()
                            .gradient(
                                    block.pairs, own, new PairwiseOps.Gradients(partX, partY, dLogScale, dBias), scale);
                    ops.pointwise().axpy(1, partX, dx.get(block.worker));
                    for (int c = 0; c < dy.size(); c++) {
                        if (columns[c] >= block.columnFrom && columns[c + 1] <= block.columnTo) {
                            Tensor part = partY.rows(columns[c] - block.columnFrom, columns[c + 1] - block.columnFrom);
                            ops.pointwise().axpy(1, part, dy.get(c));
                        }
                    }
                }
            }
        }

        @Override
        public void close() {
            if (gathered != null) {
                gathered.close();
            }
        }
    }

    private static Reduction slice(Reduction of, Block block) {
        boolean ofRows = of.axis() == Axis.ROWS;
        return new Reduction(
                of.kind(),
                of.function(),
                of.axis(),
                of.of(),
                slice(of.shift(), block),
                ofRows ? columns(of.weight(), block) : rows(of.weight(), block));
    }

    private static Term slice(Term of, Block block) {
        return new Term(
                of.function(),
                of.of(),
                slice(of.shift(), block),
                rows(of.rowWeight(), block),
                columns(of.columnWeight(), block));
    }

    private static Shift slice(Shift of, Block block) {
        return new Shift(of.sign(), rows(of.rows(), block), columns(of.columns(), block));
    }

    private static @Nullable Scalars rows(@Nullable Scalars values, Block block) {
        return slice(values, block.rowFrom, block.rowTo);
    }

    private static @Nullable Scalars columns(@Nullable Scalars values, Block block) {
        return slice(values, block.columnFrom, block.columnTo);
    }

    private static @Nullable Scalars slice(@Nullable Scalars values, int from, int to) {
        return values == null || values.size() == 1 ? values : values.slice(from, to);
    }
}
