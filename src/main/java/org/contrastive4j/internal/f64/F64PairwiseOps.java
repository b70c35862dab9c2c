package org.contrastive4j.internal.f64;

import org.contrastive4j.internal.backend.Indices;
import org.contrastive4j.internal.memory.HostStorage;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** InfoNCE row by row in two passes: one over all logits for the sums, one for the gradients. */
final class F64PairwiseOps extends PairwiseOps {
    F64PairwiseOps() {
        super(DType.F64);
    }

    @Override
    protected Deferred<Result> infoNceUnchecked(
            int n,
            int m,
            int d,
            InfoNce inputs,
            @Nullable Gradients gradients,
            double gradientScale,
            @Nullable Tensor hardestNegative) {
        int[] targets = targets(n, m, inputs.targets());
        InfoNcePass pass = new InfoNcePass(
                n,
                m,
                d,
                Doubles.load(inputs.x()),
                Doubles.load(inputs.y()),
                targets,
                Math.exp(Doubles.load(inputs.logScale())[0]),
                inputs.bias() == null ? 0 : Doubles.load(inputs.bias())[0],
                inputs.rowWeight(),
                inputs.columnWeight());
        pass.forward();
        if (gradients != null) {
            pass.backward(gradientScale, gradients);
        }
        if (hardestNegative != null) {
            ((HostStorage) hardestNegative.storage()).store(hardestNegative.offset(), pass.hardest(), 0, n);
        }
        return Deferred.of(pass.result());
    }

    private static int[] targets(int n, int m, @Nullable Tensor given) {
        if (given != null) {
            return Indices.read("infoNce", "targets", given, m);
        }
        int[] diagonal = new int[n];
        for (int i = 0; i < n; i++) {
            diagonal[i] = i;
        }
        return diagonal;
    }

    /**
     * Returns the bytes of copies of x and y, of as many gradients if requested, and of the statistics of each row
     * and column.
     */
    @Override
    public long workspaceBytes(int n, int m, int d, boolean withGradients) {
        return Double.BYTES * ((long) (n + m) * d * (withGradients ? 2 : 1) + 4L * n + 6L * m)
                + Integer.BYTES * (2L * n + 2L * m);
    }
}
