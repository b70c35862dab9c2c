package org.contrastive4j.gradcache;

import java.util.List;
import java.util.function.Function;
import org.contrastive4j.loss.InfoNce;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.tensor.Tensor;

/**
 * {@link InfoNce} between the first encoder's representations and the second's.
 *
 * @param targets of a batch, null for row i belongs to column i; see {@link InfoNce#valueAndGradient}
 */
public record InfoNceOverEncoders<B>(InfoNce loss, Function<B, Tensor> targets)
        implements RepresentationLoss<B, PairwiseOps.Result> {

    /** Row i belongs to column i. */
    public static <B> InfoNceOverEncoders<B> pairs(InfoNce loss) {
        return new InfoNceOverEncoders<>(loss, batch -> null);
    }

    /** The same loss without waiting for its result: for steps that are recorded. */
    public RepresentationLoss<B, Deferred<PairwiseOps.Result>> later() {
        InfoNceOverEncoders<B> same = this;
        return new RepresentationLoss<>() {
            @Override
            public Deferred<PairwiseOps.Result> valueAndGradient(
                    B batch, List<Tensor> representations, List<Tensor> gradients, double gradientScale) {
                requireTwo(representations);
                return loss.valueAndGradientLater(
                        representations.get(0),
                        representations.get(1),
                        targets.apply(batch),
                        gradients.get(0),
                        gradients.get(1),
                        gradientScale);
            }

            @Override
            public long workspaceBytes(List<Tensor> representations) {
                return same.workspaceBytes(representations);
            }
        };
    }

    @Override
    public PairwiseOps.Result valueAndGradient(
            B batch, List<Tensor> representations, List<Tensor> gradients, double gradientScale) {
        requireTwo(representations);
        return loss.valueAndGradient(
                representations.get(0),
                representations.get(1),
                targets.apply(batch),
                gradients.get(0),
                gradients.get(1),
                gradientScale,
                null);
    }

    @Override
    public long workspaceBytes(List<Tensor> representations) {
        requireTwo(representations);
        return loss.workspaceBytes(
                representations.get(0).dim(0),
                representations.get(1).dim(0),
                representations.get(0).dim(1));
    }

    private static void requireTwo(List<Tensor> representations) {
        if (representations.size() != 2) {
            throw new ShapeException("InfoNCE compares two encoders, given " + representations.size());
        }
    }
}
