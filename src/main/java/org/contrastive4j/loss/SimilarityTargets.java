package org.contrastive4j.loss;

import java.util.Arrays;
import java.util.List;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairFunction;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Of;
import org.contrastive4j.ops.PairTileOps.Pairs;
import org.contrastive4j.ops.PairTileOps.Reduced;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.PairTileOps.Term;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * Soft targets that a teacher's similarities give: q_i = softmax_j of scale &lt;a_i, b_j&gt; over the pairs that are
 * not ignored.
 *
 * <p>A product q y is a gradient of the tiled engine: with rows [a, 0] and columns [b, y] the logits are the teacher's,
 * and sum_j q_ij [b_j, y_j] has q y as its right half. So memory stays linear: 3 (n + m) d and d d beyond the engine's.
 * Cost: 2 n m d flops once, 6 n m (2 d) for each product, half of that for y = b.
 *
 * <p>Source: Li et al., Align before fuse, 2021, section 3.4.
 */
final class SimilarityTargets implements SoftTargets {
    private final Pairs teacher;
    private final List<Term> softmax;

    /**
     * @param a [n, d] unit rows of the teacher; read, also later, and not closed
     * @param b [m, d] the teacher's unit columns; read, also later, and not closed
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

    /** (softmax_j + softmax_i) / 2: the mean of both ways' targets, whose rows alone do not sum to 1. */
    static SimilarityTargets bothWays(Ops ops, Tensor a, Tensor b, double scale) {
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
                        "row " + i + " of the"
                                + " teacher has no similarity that is a number and not ignored: it gives no "
                                + "distribution");
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
            rightHalf(ops, product, d, out);
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
            rightHalf(ops, product, d, out);
        }
    }

    /** Most bytes of tensors that a product with {@code d} columns allocates, for a teacher of another width. */
    static long workspaceBytes(Ops ops, int n, int m, int teacherWidth, int d) {
        long wide = teacherWidth + (long) d;
        return ((n + m + (long) Math.max(n, m)) * wide + Math.max(teacherWidth, d) * wide)
                        * ops.parameterDtype().bytes()
                + ops.pairTiles().workspaceBytes(n, m, (int) wide);
    }

    /** [given, other], zeros for an other of null. */
    private static Tensor widened(Ops ops, Tensor given, Tensor other, int width) {
        int d = given.dim(1);
        Tensor wide = ops.allocateParameter(given.dim(0), d + width);
        try {
            place(ops, given, 0, wide, 0);
            if (other != null) {
                place(ops, other, d, wide, 1);
            }
            return wide;
        } catch (RuntimeException noMemory) {
            wide.close();
            throw noMemory;
        }
    }

    /** wide = beta wide, plus the part at columns from {@code at} on. */
    private static void place(Ops ops, Tensor part, int at, Tensor wide, double beta) {
        try (Tensor select = selector(ops, part.dim(1), at, wide.dim(1))) {
            ops.matrix().gemm(false, false, 1, part, select, beta, wide);
        }
    }

    private static void rightHalf(Ops ops, Tensor wide, int d, Tensor out) {
        try (Tensor select = selector(ops, out.dim(1), d, wide.dim(1))) {
            ops.matrix().gemm(false, true, 1, wide, select, 0, out);
        }
    }

    /** [rows, width] with a 1 at column from + k of each row k. */
    private static Tensor selector(Ops ops, int rows, int from, int width) {
        double[] ones = new double[rows * width];
        for (int k = 0; k < rows; k++) {
            ones[k * width + from + k] = 1;
        }
        return ops.parameterTensor(Shape.of(rows, width), ones);
    }
}
