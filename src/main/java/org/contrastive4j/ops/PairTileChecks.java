package org.contrastive4j.ops;

import java.util.Arrays;
import java.util.List;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Factors;
import org.contrastive4j.ops.PairTileOps.Pairs;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.PairTileOps.Term;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * The argument checks of {@link PairTileOps}.
 *
 * <p>Tested by {@code CpuPairTileOpsTest}.
 */
record PairTileChecks(DType dtype) {
    void reduce(Pairs pairs, List<Reduction> reductions) {
        pairs("reduce", pairs);
        for (Reduction reduction : reductions) {
            shift("reduce", pairs.pairing(), reduction.shift());
            boolean rows = reduction.axis() == Axis.ROWS;
            Pairing pairing = pairs.pairing();
            count("reduce", "weight", reduction.weight(), rows ? pairing.m() : pairing.n());
        }
    }

    void gradient(Pairs pairs, List<Term> terms, PairwiseOps.Gradients gradients) {
        pairs("gradient", pairs);
        for (Term term : terms) {
            shift("gradient", pairs.pairing(), term.shift());
            count("gradient", "row weight", term.rowWeight(), pairs.pairing().n());
            count(
                    "gradient",
                    "column weight",
                    term.columnWeight(),
                    pairs.pairing().m());
        }
        for (Tensor scalar : Arrays.asList(gradients.dLogScale(), gradients.dBias())) {
            if (scalar != null) {
                Checks.shape("gradient", "dLogScale or dBias", scalar, dtype, 1);
            }
        }
    }

    void products(Pairs pairs, List<Term> terms, Factors factors, PairwiseOps.Gradients products) {
        gradient(pairs, terms, products);
        int width = factors.width();
        int n = pairs.pairing().n();
        int m = pairs.pairing().m();
        if (products.dx() != null) {
            Checks.shape("products", "columns", factors.columns(), dtype, m, width);
            Checks.shape("products", "dx", products.dx(), dtype, n, width);
        }
        if (products.dy() != null) {
            Checks.shape("products", "rows", factors.rows(), dtype, n, width);
            Checks.shape("products", "dy", products.dy(), dtype, m, width);
        }
    }

    /** Checks rows, scale and guide. */
    void pairs(String op, Pairs pairs) {
        Checks.rank(op, "x", pairs.x(), dtype, 2);
        Checks.rank(op, "y", pairs.y(), dtype, 2);
        Pairing pairing = pairs.pairing();
        Checks.that(
                pairs.x().dim(1) == pairs.y().dim(1) && pairs.x().dim(1) >= 1,
                op,
                "widths differ: x is " + pairs.x() + ", y is " + pairs.y());
        Checks.that(
                pairs.x().dim(0) == pairing.n() && pairs.y().dim(0) == pairing.m(),
                op,
                "the pairing is of " + pairing.n() + " x " + pairing.m() + ", x is " + pairs.x() + ", y is "
                        + pairs.y());
        Checks.that(
                pairs.scale().size() == 1
                        && (!pairs.scale().isOnHost()
                                || pairs.scale().at(0) > 0
                                        && Double.isFinite(pairs.scale().at(0))),
                op,
                "expected a finite scale above 0, got " + pairs.scale());
        Pairing.Guide guide = pairing.guide();
        if (guide != null) {
            Checks.rank(op, "guide rows", guide.rows(), dtype, 2);
            Checks.shape(
                    op,
                    "guide columns",
                    guide.columns(),
                    dtype,
                    pairing.m(),
                    guide.rows().dim(1));
            Checks.shape(
                    op,
                    "guide rows",
                    guide.rows(),
                    dtype,
                    pairing.n(),
                    guide.rows().dim(1));
            count(op, "guide limits of rows", Scalars.of(guide.rowLimits()), pairing.n());
            count(op, "guide limits of columns", Scalars.of(guide.columnLimits()), pairing.m());
        }
    }

    private static void shift(String op, Pairing pairing, Shift shift) {
        Checks.that(shift.sign() == 1 || shift.sign() == -1, op, "expected a sign of 1 or -1, got " + shift.sign());
        count(op, "shift of rows", shift.rows(), pairing.n());
        count(op, "shift of columns", shift.columns(), pairing.m());
    }

    private static void count(String op, String what, @Nullable Scalars given, int expected) {
        Checks.that(
                given == null || given.size() == expected || given.size() == 1,
                op,
                "expected " + expected + " scalars as " + what + ", got " + (given == null ? 0 : given.size()));
    }

    /** Checks a gradient that may be null. */
    void like(String what, @Nullable Tensor gradient, Tensor of) {
        if (gradient != null) {
            Checks.like("gradient", what, gradient, of);
        }
    }
}
