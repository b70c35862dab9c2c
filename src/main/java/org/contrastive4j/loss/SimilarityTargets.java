package org.contrastive4j.loss;

import java.util.Arrays;
import java.util.List;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Of;
import org.contrastive4j.ops.PairTileOps.PairFunction;
import org.contrastive4j.ops.PairTileOps.Pairs;
import org.contrastive4j.ops.PairTileOps.Reduced;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.PairTileOps.Term;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Soft targets from the similarities of a teacher: q_ij = softmax_j(scale &lt;a_i, b_j&gt;) over the pairs that are not
 * ignored.
 *
 * <p>The product q y is computed as a gradient of the pair engine, so the table q is never stored. With rows [a_i, 0]
 * and columns [b_j, y_j], the logits are those of the teacher, and the gradient of row i is sum_j q_ij [b_j, y_j]. Its
 * right half is (q y)_i.
 *
 * <p>Memory: linear in n + m, 3 (n + m) d + d d elements and the workspace of the pair engine.
 *
 * <p>Cost: 2 n m d flops once, and 6 n m (2 d) flops for each product; half of that for y = b.
 *
 * <p>Source: Li et al., Align before fuse, 2021, section 3.4.
 *
 * <p>Tested by {@code SoftTargetsTest}.
 */
final class SimilarityTargets implements SoftTargets {
    private final Pairs teacher;
    private final List<Term> softmax;

    /**
     * Creates targets from unit representations of the teacher. The caller keeps ownership of a and b, which must stay
     * open as long as the targets are used.
     *
     * @param a [n, d] unit rows of the teacher
     * @param b [m, d] unit columns of the teacher
     * @param scale above 0
     */
    SimilarityTargets(Ops ops, Tensor a, Tensor b, double scale) {
        this(ops, new Pairs(a, b, scale, Pairing.of(b.dim(0), withoutTargets(a.dim(0)))));
    }

    SimilarityTargets(Ops ops, Pairs teacher) {
        this(
                teacher,
                List.of(new Term(
                        PairFunction.EXP,
                        Of.BOTH,
                        Shift.rows(
                                minusLogSums(ops, teacher, List.of(Axis.ROWS)).get(0)),
                        null,
                        null)));
    }

    private SimilarityTargets(Pairs teacher, List<Term> softmax) {
        this.teacher = teacher;
        this.softmax = softmax;
    }

    /** Returns (softmax_j + softmax_i) / 2, the mean of row targets and column targets; its rows need not sum to 1. */
    static SimilarityTargets symmetric(Ops ops, Tensor a, Tensor b, double scale) {
        Pairs teacher = new Pairs(a, b, scale, Pairing.of(b.dim(0), withoutTargets(a.dim(0))));
        List<double[]> shifts = minusLogSums(ops, teacher, List.of(Axis.ROWS, Axis.COLUMNS));
        return new SimilarityTargets(
                teacher,
                List.of(
                        new Term(PairFunction.EXP, Of.BOTH, Shift.rows(shifts.get(0)), halves(a.dim(0)), null),
                        new Term(PairFunction.EXP, Of.BOTH, Shift.columns(shifts.get(1)), null, halves(b.dim(0)))));
    }

    private static double[] halves(int size) {
        double[] halves = new double[size];
        Arrays.fill(halves, 0.5);
        return halves;
    }

    private static List<double[]> minusLogSums(Ops ops, Pairs teacher, List<Axis> axes) {
        List<double[]> all = ops
                .pairTiles()
                .reduce(
                        teacher,
                        axes.stream()
                                .map(axis -> Reduction.logSumExp(axis, Of.BOTH, Shift.NONE))
                                .toList())
                .get()
                .stream()
                .map(Reduced::values)
                .toList();
        for (double[] logSums : all) {
            for (int i = 0; i < logSums.length; i++) {
                LossOptionException.require(
                        Double.isFinite(logSums[i]),
                        "expected at least one pair that is not ignored, with a finite similarity, in row " + i
                                + " of the teacher, got a log-sum-exp of " + logSums[i]);
                logSums[i] = -logSums[i];
            }
        }
        return all;
    }

    static int[] withoutTargets(int n) {
        int[] none = new int[n];
        Arrays.fill(none, Pairing.NONE);
        return none;
    }

    @Override
    public int n() {
        return teacher.x().dim(0);
    }

    @Override
    public int m() {
        return teacher.y().dim(0);
    }

    @Override
    public void apply(Ops ops, Tensor y, Tensor out) {
        requireShapes(y, out);
        if (y == teacher.y()) {
            ops.pairTiles()
                    .gradient(teacher, softmax, new PairwiseOps.Gradients(out, null, null, null), 1 / teacher.scale());
            return;
        }
        int d = teacher.x().dim(1);
        try (Tensor left = widened(ops, teacher.x(), null, y.dim(1));
                Tensor right = widened(ops, teacher.y(), y, y.dim(1));
                Tensor product = ops.allocateParameter(left.shape())) {
            ops.pairTiles()
                    .gradient(
                            new Pairs(left, right, teacher.scale(), teacher.pairing()),
                            softmax,
                            new PairwiseOps.Gradients(product, null, null, null),
                            1 / teacher.scale());
            copyRightHalf(ops, product, d, out);
        }
    }

    @Override
    public void applyTransposed(Ops ops, Tensor x, Tensor out) {
        requireShapes(out, x);
        int d = teacher.x().dim(1);
        try (Tensor left = widened(ops, teacher.x(), x, x.dim(1));
                Tensor right = widened(ops, teacher.y(), null, x.dim(1));
                Tensor product = ops.allocateParameter(right.shape())) {
            ops.pairTiles()
                    .gradient(
                            new Pairs(left, right, teacher.scale(), teacher.pairing()),
                            softmax,
                            new PairwiseOps.Gradients(null, product, null, null),
                            1 / teacher.scale());
            copyRightHalf(ops, product, d, out);
        }
    }

    /**
     * Returns the peak bytes that a product with {@code d} columns allocates, for a teacher of width {@code
     * teacherWidth}.
     */
    static long workspaceBytes(Ops ops, int n, int m, int teacherWidth, int d) {
        long wide = teacherWidth + (long) d;
        return ((n + m + (long) Math.max(n, m)) * wide + Math.max(teacherWidth, d) * wide)
                        * ops.parameterDtype().bytes()
                + ops.pairTiles().workspaceBytes(n, m, (int) wide);
    }

    /** Returns the concatenation [left, right] along the columns; a null right half is zeros. */
    private static Tensor widened(Ops ops, Tensor left, @Nullable Tensor right, int width) {
        int d = left.dim(1);
        Tensor wide = ops.allocateParameter(left.dim(0), d + width);
        try {
            addColumns(ops, left, 0, wide, 0);
            if (right != null) {
                addColumns(ops, right, d, wide, 1);
            }
            return wide;
        } catch (RuntimeException noMemory) {
            wide.close();
            throw noMemory;
        }
    }

    /** Computes wide = beta wide, then adds {@code part} to the columns that start at {@code offset}. */
    private static void addColumns(Ops ops, Tensor part, int offset, Tensor wide, double beta) {
        try (Tensor select = selector(ops, part.dim(1), offset, wide.dim(1))) {
            ops.matrix().gemm(false, false, 1, part, select, beta, wide);
        }
    }

    private static void copyRightHalf(Ops ops, Tensor wide, int d, Tensor out) {
        try (Tensor select = selector(ops, out.dim(1), d, wide.dim(1))) {
            ops.matrix().gemm(false, true, 1, wide, select, 0, out);
        }
    }

    /** Returns a matrix [rows, width] with a 1 at column from + k of each row k. */
    private static Tensor selector(Ops ops, int rows, int from, int width) {
        double[] ones = new double[rows * width];
        for (int k = 0; k < rows; k++) {
            ones[k * width + from + k] = 1;
        }
        return ops.parameterTensor(Shape.of(rows, width), ones);
    }
}
