package org.contrastive4j.loss;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.loss.SoftTargetContrast.SoftTargets;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;

/**
 * Soft targets of few columns each, in compressed rows: row i has columns[k] with weight weights[k] for offsets[i]
 * &lt;= k &lt; offsets[i + 1]; a column that is listed twice gets both weights.
 *
 * <p>Products are sums in f64, on the host, in the order given: memory 8 (n + m) d on the heap, cost 2 d flops for each
 * weight.
 *
 * <p>Tested by {@code SoftTargetsTest}.
 */
final class SparseTargets implements SoftTargets {
    private final int m;
    private final int[] offsets;
    private final int[] columns;
    private final double[] weights;

    /**
     * @param offsets n + 1 numbers, from 0, not falling, to the number of weights
     * @throws ShapeException when sizes do not fit or a column is outside [0, m)
     * @throws LossOptionException when the weights of a row are no distribution
     */
    SparseTargets(int m, int[] offsets, int[] columns, double[] weights) {
        if (offsets.length < 2
                || offsets[0] != 0
                || columns.length != weights.length
                || offsets[offsets.length - 1] != weights.length) {
            throw new ShapeException(offsets.length + " offsets for " + columns.length + " columns and "
                    + weights.length + " weights; expected n + 1 offsets, from 0 to the number of weights");
        }
        this.m = m;
        this.offsets = offsets.clone();
        this.columns = columns.clone();
        this.weights = weights.clone();
        for (int i = 0; i < n(); i++) {
            if (offsets[i + 1] < offsets[i] || offsets[i + 1] > weights.length) {
                throw new ShapeException("offsets of row " + i + " are " + offsets[i] + " and " + offsets[i + 1]);
            }
            double sum = 0;
            double least = Double.POSITIVE_INFINITY;
            for (int k = offsets[i]; k < offsets[i + 1]; k++) {
                if (columns[k] < 0 || columns[k] >= m) {
                    throw new ShapeException("row " + i + " has column " + columns[k] + ", expected 0 to " + (m - 1));
                }
                sum += weights[k];
                least = Math.min(least, weights[k]);
            }
            SoftTargets.requireDistribution(i, least, sum);
        }
    }

    /** All weight of row i on column i. */
    static SparseTargets diagonal(int n, int m) {
        double[] ones = new double[n];
        Arrays.fill(ones, 1);
        return new SparseTargets(
                m, IntStream.rangeClosed(0, n).toArray(), IntStream.range(0, n).toArray(), ones);
    }

    @Override
    public int n() {
        return offsets.length - 1;
    }

    @Override
    public int m() {
        return m;
    }

    @Override
    public void apply(Ops ops, Tensor y, Tensor out) {
        requireShapes(y, out);
        product(y, out, false, 0);
    }

    @Override
    public void applyTransposed(Ops ops, Tensor x, Tensor out) {
        requireShapes(out, x);
        product(x, out, true, 0);
    }

    @Override
    public void applyDifference(Ops ops, Tensor y, Tensor out) {
        requireShapes(y, out);
        product(y, out, false, -1);
    }

    @Override
    public void applyDifferenceTransposed(Ops ops, Tensor x, Tensor out) {
        requireShapes(out, x);
        product(x, out, true, -1);
    }

    /** to = own from + q from; with {@code own} not 0 the matrix is square. */
    private void product(Tensor from, Tensor to, boolean transposed, double own) {
        int d = from.dim(1);
        double[] source = from.toDoubles();
        double[] result = new double[(int) to.size()];
        for (int k = 0; k < result.length && own != 0; k++) {
            result[k] = own * source[k];
        }
        for (int i = 0; i < n(); i++) {
            for (int k = offsets[i]; k < offsets[i + 1]; k++) {
                int read = (transposed ? i : columns[k]) * d;
                int write = (transposed ? columns[k] : i) * d;
                for (int c = 0; c < d; c++) {
                    result[write + c] += weights[k] * source[read + c];
                }
            }
        }
        to.set(result);
    }
}
