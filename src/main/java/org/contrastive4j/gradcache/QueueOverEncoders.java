package org.contrastive4j.gradcache;

import java.util.List;
import java.util.function.DoubleSupplier;
import java.util.function.Function;
import org.contrastive4j.loss.QueueContrast;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.tensor.Tensor;

/**
 * {@link QueueContrast} over four encoders: two trained ones, then their momentum encoders, frozen, in the same order.
 * The queues are left as they are: the caller enqueues the keys once the step is done.
 *
 * @param ids of a batch's samples, [n] I32 or null
 * @param alpha share of the momentum encoders' targets at the present step, see {@link
 *     org.contrastive4j.loss.Distillation}
 */
public record QueueOverEncoders<B>(QueueContrast loss, Function<B, Tensor> ids, DoubleSupplier alpha)
        implements RepresentationLoss<B, PairwiseOps.Result> {
    /** Without distillation. */
    public QueueOverEncoders(QueueContrast loss, Function<B, Tensor> ids) {
        this(loss, ids, () -> 0);
    }

    @Override
    public PairwiseOps.Result valueAndGradient(
            B batch, List<Tensor> representations, List<Tensor> gradients, double gradientScale) {
        requireFour(representations);
        if (gradients.get(2) != null || gradients.get(3) != null) {
            throw new ShapeException("momentum encoders get no gradient; freeze their parameters");
        }
        return loss.valueAndGradient(
                representations.get(0),
                representations.get(1),
                representations.get(2),
                representations.get(3),
                ids.apply(batch),
                alpha.getAsDouble(),
                gradients.get(0),
                gradients.get(1),
                gradientScale);
    }

    @Override
    public long workspaceBytes(List<Tensor> representations) {
        requireFour(representations);
        return loss.workspaceBytes(
                representations.get(0).dim(0), representations.get(0).dim(1));
    }

    private static void requireFour(List<Tensor> representations) {
        if (representations.size() != 4) {
            throw new ShapeException(
                    "a queue takes two encoders and their two momentum encoders, given " + representations.size());
        }
    }
}
