package org.contrastive4j.loss;

import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;

/**
 * A distribution q_i over m columns for each of n rows, q_ij &gt;= 0 and sum_j q_ij = 1, never as a table: a
 * cross-entropy needs only products of the matrix with representations.
 */
public sealed interface SoftTargets permits SparseTargets, LowRankTargets, SimilarityTargets, MixedTargets {
    /** The largest difference of the sum of a row from 1. */
    double TOLERANCE = 1e-5;

    /**
     * Returns the number of rows.
     *
     * @return n
     */
    int n();

    /**
     * Returns the number of columns.
     *
     * @return m
     */
    int m();

    /**
     * Computes out = q y.
     *
     * @param ops backend of the tensors
     * @param y [m, d]; read
     * @param out [n, d]; overwritten
     */
    void apply(Ops ops, Tensor y, Tensor out);

    /**
     * Computes out = q^T x.
     *
     * @param ops backend of the tensors
     * @param x [n, d]; read
     * @param out [m, d]; overwritten
     */
    void applyTransposed(Ops ops, Tensor x, Tensor out);

    /**
     * Computes out = q y - y for n = m: the difference from hard targets on the diagonal.
     *
     * <p>Numerics: sparse and similarity targets, and mixtures of them, have full relative accuracy however small the
     * difference is; others have that of q y.
     *
     * @param ops backend of the tensors
     * @param y [n, d]; read
     * @param out [n, d]; written
     */
    default void applyDifference(Ops ops, Tensor y, Tensor out) {
        apply(ops, y, out);
        ops.pointwise().axpy(-1, y, out);
    }

    /**
     * Computes out = q^T x - x for n = m, as {@link #applyDifference}.
     *
     * @param ops backend of the tensors
     * @param x [n, d]; read
     * @param out [n, d]; written
     */
    default void applyDifferenceTransposed(Ops ops, Tensor x, Tensor out) {
        applyTransposed(ops, x, out);
        ops.pointwise().axpy(-1, x, out);
    }

    /**
     * Returns targets given by few weights a row.
     *
     * @param m columns
     * @param offsets n + 1 numbers: the weights of row i are those from offsets[i] up to offsets[i + 1]
     * @param columns of the weights
     * @param weights above 0; those of a row sum to 1
     * @return the targets
     * @throws LossOptionException when a row is no distribution
     * @throws ShapeException when sizes do not fit
     */
    static SoftTargets sparse(int m, int[] offsets, int[] columns, double[] weights) {
        return new SparseTargets(m, offsets, columns, weights);
    }

    /**
     * Returns hard targets: all weight of row i on column i.
     *
     * @param n rows
     * @param m columns, at least n
     * @return the targets
     */
    static SoftTargets diagonal(int n, int m) {
        return SparseTargets.diagonal(n, m);
    }

    /**
     * Returns targets q = a b^T of two narrow matrices.
     *
     * @param a [n, r]; read, stays the caller's
     * @param b [m, r]; read, stays the caller's
     * @return the targets
     * @throws LossOptionException when a row of the product is no distribution
     */
    static SoftTargets lowRank(Tensor a, Tensor b) {
        return new LowRankTargets(a, b);
    }

    /**
     * Returns the softmax over columns of a teacher's similarities, q_i = softmax_j scale &lt;a_i, b_j&gt;.
     *
     * @param ops backend
     * @param a [n, e] unit rows; read, stays the caller's
     * @param b [m, e] unit rows; read, stays the caller's
     * @param scale of the similarities
     * @return the targets
     */
    static SoftTargets similarity(Ops ops, Tensor a, Tensor b, double scale) {
        return new SimilarityTargets(ops, a, b, scale);
    }

    /**
     * Returns share soft + (1 - share) hard.
     *
     * @param share in [0, 1]
     * @param soft targets
     * @param hard targets of the same sizes
     * @return the mixture
     */
    static SoftTargets mixed(double share, SoftTargets soft, SoftTargets hard) {
        return new MixedTargets(share, soft, hard);
    }

    /**
     * Checks that the weights of a row are a distribution.
     *
     * @param row number of the row, for the message
     * @param least smallest weight of the row
     * @param sum of the weights of the row
     * @throws LossOptionException when a weight is negative or NaN, or the sum differs from 1 by more than
     *     {@link #TOLERANCE}
     */
    static void requireDistribution(int row, double least, double sum) {
        LossOptionException.require(
                least >= 0 && Math.abs(sum - 1) <= TOLERANCE,
                "soft targets of row " + row
                        + " sum to " + sum + ", the least of them is " + least
                        + "; expected a distribution: none below 0, sum 1; divide each row by its sum");
    }

    /**
     * Checks the shapes of representations.
     *
     * @param ofColumns [m, d]
     * @param ofRows [n, d]
     * @throws ShapeException when they do not fit
     */
    default void requireShapes(Tensor ofColumns, Tensor ofRows) {
        if (ofColumns.dim(0) != m() || ofRows.dim(0) != n() || ofColumns.dim(1) != ofRows.dim(1)) {
            throw new ShapeException("soft targets of " + n() + " rows and " + m() + " columns, given " + ofRows
                    + " for rows and " + ofColumns + " for columns");
        }
    }
}
