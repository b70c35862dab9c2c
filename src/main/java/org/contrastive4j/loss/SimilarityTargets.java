package org.contrastive4j.loss;

import java.util.Arrays;
import java.util.List;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.loss.SoftTargetContrast.SoftTargets;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Factors;
import org.contrastive4j.ops.PairTileOps.Of;
import org.contrastive4j.ops.PairTileOps.PairFunction;
import org.contrastive4j.ops.PairTileOps.Pairs;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.PairTileOps.Term;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.Scalars;
import org.contrastive4j.tensor.Tensor;

/**
 * Soft targets from the similarities of a teacher: q_ij = softmax_j(scale &lt;a_i, b_j&gt;).
 *
 * <p>The pair engine computes the product q y, so the table q is never stored. Memory: n scalars and the workspace of
 * the pair engine. Cost: 2 n m d flops once, and 4 n m d for each product.
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

    private SimilarityTargets(Ops ops, Pairs teacher) {
        this.teacher = teacher;
        double[] shift = ops.pairTiles()
                .reduce(teacher, List.of(Reduction.logSumExp(Axis.ROWS, Of.BOTH, Shift.NONE)))
                .get()
                .get(0)
                .values()
                .clone();
        for (int i = 0; i < shift.length; i++) {
            LossOptionException.require(
                    Double.isFinite(shift[i]),
                    "expected a finite similarity in row " + i + " of the teacher, got a log-sum-exp of " + shift[i]);
            shift[i] = -shift[i];
        }
        softmax = List.of(new Term(PairFunction.EXP, Of.BOTH, Shift.rows(Scalars.of(shift)), null, null));
    }

    static int[] withoutTargets(int n) {
        int[] none = new int[n];
        Arrays.fill(none, Pairing.NONE);
        return none;
    }

    /** The differences from the diagonal, computed without cancellation. */
    private TeacherDifference difference(Ops ops) {
        Pairs diagonal = new Pairs(teacher.x(), teacher.y(), teacher.scale(), Pairing.diagonal(n(), m()));
        Scalars weight = Scalars.of(1).over(teacher.scale());
        return new TeacherDifference(ops, ops.pairTiles().hostScope(), diagonal, List.of(Axis.ROWS), weight);
    }

    @Override
    public void applyDifference(Ops ops, Tensor y, Tensor out) {
        requireShapes(y, out);
        difference(ops).products(new Factors(null, y), out, null);
    }

    @Override
    public void applyDifferenceTransposed(Ops ops, Tensor x, Tensor out) {
        requireShapes(out, x);
        difference(ops).products(new Factors(x, null), null, out);
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
        ops.pairTiles()
                .products(
                        teacher,
                        softmax,
                        new Factors(null, y),
                        out,
                        null,
                        1 / teacher.scale().at(0));
    }

    @Override
    public void applyTransposed(Ops ops, Tensor x, Tensor out) {
        requireShapes(out, x);
        ops.pairTiles()
                .products(
                        teacher,
                        softmax,
                        new Factors(x, null),
                        null,
                        out,
                        1 / teacher.scale().at(0));
    }
}
