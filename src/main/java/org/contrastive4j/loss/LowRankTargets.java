package org.contrastive4j.loss;

import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.loss.SoftTargetContrast.SoftTargets;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;

/**
 * Soft targets q = a b^T of rank r: say, shares of r clusters for each row, and of columns within each cluster.
 *
 * <p>All of a and b are at least 0, and a (b^T 1) = 1. Memory of a product: r d. Cost: 2 (n + m) r d flops.
 */
final class LowRankTargets implements SoftTargets {
    private final Tensor a;
    private final Tensor b;

    /**
     * @param a [n, r]; read, also later, and not closed
     * @param b [m, r]; read, also later, and not closed
     * @throws ShapeException when ranks differ
     * @throws LossOptionException when a row is no distribution
     */
    LowRankTargets(Tensor a, Tensor b) {
        if (a.shape().rank() != 2 || b.shape().rank() != 2 || a.dim(1) != b.dim(1) || a.dim(1) < 1) {
            throw new ShapeException("factors are " + a + " and " + b + ", expected [n, r] and [m, r]");
        }
        this.a = a;
        this.b = b;
        int r = a.dim(1);
        double[] ofColumns = b.toDoubles();
        double[] sums = new double[r];
        double leastOfColumns = Double.POSITIVE_INFINITY;
        for (int k = 0; k < ofColumns.length; k++) {
            sums[k % r] += ofColumns[k];
            leastOfColumns = Math.min(leastOfColumns, ofColumns[k]);
        }
        double[] ofRows = a.toDoubles();
        for (int i = 0; i < n(); i++) {
            double sum = 0;
            double least = leastOfColumns;
            for (int k = 0; k < r; k++) {
                sum += ofRows[i * r + k] * sums[k];
                least = Math.min(least, ofRows[i * r + k]);
            }
            SoftTargets.requireDistribution(i, least, sum);
        }
    }

    @Override
    public int n() {
        return a.dim(0);
    }

    @Override
    public int m() {
        return b.dim(0);
    }

    @Override
    public void apply(Ops ops, Tensor y, Tensor out) {
        requireShapes(y, out);
        product(ops, b, y, a, out);
    }

    @Override
    public void applyTransposed(Ops ops, Tensor x, Tensor out) {
        requireShapes(out, x);
        product(ops, a, x, b, out);
    }

    /** to = left right^T from. */
    private static void product(Ops ops, Tensor right, Tensor from, Tensor left, Tensor to) {
        try (Tensor inner = ops.allocateParameter(right.dim(1), from.dim(1))) {
            ops.matrix().gemm(true, false, 1, right, from, 0, inner);
            ops.matrix().gemm(false, false, 1, left, inner, 0, to);
        }
    }
}
