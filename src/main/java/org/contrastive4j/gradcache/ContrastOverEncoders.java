package org.contrastive4j.gradcache;

import java.util.List;
import java.util.function.Function;
import org.contrastive4j.loss.ContrastiveLoss;
import org.contrastive4j.loss.PairLabels;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.tensor.Tensor;

/**
 * Any {@link ContrastiveLoss} between the first encoder's representations and the second's.
 *
 * @param labels of a batch
 */
public record ContrastOverEncoders<B>(ContrastiveLoss loss, Function<B, PairLabels> labels)
        implements RepresentationLoss<B, PairwiseOps.Result> {

    /** Row i belongs to column i. */
    public static <B> ContrastOverEncoders<B> pairs(ContrastiveLoss loss) {
        return new ContrastOverEncoders<>(loss, batch -> PairLabels.DIAGONAL);
    }

    @Override
    public PairwiseOps.Result valueAndGradient(
            B batch, List<Tensor> representations, List<Tensor> gradients, double gradientScale) {
        requireTwo(representations);
        return loss.valueAndGradient(
                representations.get(0),
                representations.get(1),
                labels.apply(batch),
                gradients.get(0),
                gradients.get(1),
                gradientScale);
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
            throw new ShapeException("a contrastive loss compares two encoders, given " + representations.size());
        }
    }
}
