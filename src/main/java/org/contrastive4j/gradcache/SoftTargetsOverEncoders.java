package org.contrastive4j.gradcache;

import java.util.List;
import java.util.function.Function;
import org.contrastive4j.loss.SoftTargetContrast;
import org.contrastive4j.loss.SoftTargets;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.tensor.Tensor;

/**
 * {@link SoftTargetContrast} between the first encoder's representations and the second's.
 *
 * @param ofRows targets of a batch's rows
 * @param ofColumns targets of its columns; giving null for rows alone
 */
public record SoftTargetsOverEncoders<B>(
        SoftTargetContrast loss, Function<B, SoftTargets> ofRows, Function<B, SoftTargets> ofColumns)
        implements RepresentationLoss<B, PairwiseOps.Result> {
    @Override
    public PairwiseOps.Result valueAndGradient(
            B batch, List<Tensor> representations, List<Tensor> gradients, double gradientScale) {
        requireTwo(representations);
        return loss.valueAndGradient(
                representations.get(0),
                representations.get(1),
                ofRows.apply(batch),
                ofColumns.apply(batch),
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
            throw new ShapeException("soft targets compare two encoders, given " + representations.size());
        }
    }
}
