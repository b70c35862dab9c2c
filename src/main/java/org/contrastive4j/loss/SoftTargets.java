package org.contrastive4j.loss;

import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.tensor.Tensor;

/**
 * A distribution q_i over m columns for each of n rows, q_ij &gt;= 0 and sum_j q_ij = 1, never as a table: a
 * cross-entropy needs only products of the matrix with representations.
 */
public sealed interface SoftTargets permits SparseTargets, LowRankTargets, SimilarityTargets, MixedTargets {
    /** How far from 1 the sum of a row may be. */
    double TOLERANCE = 1e-5;

    /** Rows. */
    int n();

    /** Columns. */
    int m();

    /**
     * out = q y.
     *
     * @param y [m, d]; read
     * @param out [n, d]; written
     */
    void apply(Ops ops, Tensor y, Tensor out);

    /**
     * out = q^T x.
     *
     * @param x [n, d]; read
     * @param out [m, d]; written
     */
    void applyTransposed(Ops ops, Tensor x, Tensor out);

    /** share soft + (1 - share) hard; share in [0, 1]. */
    static SoftTargets mixed(double share, SoftTargets soft, SoftTargets hard) {
        return new MixedTargets(share, soft, hard);
    }

    /** @throws LossOptionException when a weight is negative or no number, or a row's weights do not sum to 1 */
    static void requireDistribution(int row, double least, double sum) {
        LossOptionException.require(
                least >= 0 && Math.abs(sum - 1) <= TOLERANCE,
                "soft targets of row " + row
                        + " sum to " + sum + ", the least of them is " + least
                        + "; wanted a distribution: none below 0, sum 1; divide each row by its sum");
    }

    /** Refuses tensors that do not fit. */
    default void requireShapes(Tensor ofColumns, Tensor ofRows) {
        if (ofColumns.dim(0) != m() || ofRows.dim(0) != n() || ofColumns.dim(1) != ofRows.dim(1)) {
            throw new ShapeException("soft targets of " + n() + " rows and " + m() + " columns, given " + ofRows
                    + " for rows and " + ofColumns + " for columns");
        }
    }
}
