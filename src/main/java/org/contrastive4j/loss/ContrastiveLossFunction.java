package org.contrastive4j.loss;

import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Tensor;

/**
 * A {@link ContrastiveLoss} as one node of a tape; inputs u [n, d], v [m, d] and the loss's own parameters, output [1].
 *
 * <p>Forward computes the gradients as well when it is recorded; backward only scales them.
 */
public final class ContrastiveLossFunction extends LossFunction {
    private final ContrastiveLoss loss;
    private final PairLabels labels;

    public ContrastiveLossFunction(ContrastiveLoss loss, PairLabels labels) {
        super("contrastive_loss", loss.parameters());
        this.loss = loss;
        this.labels = labels;
    }

    @Override
    PairwiseOps.Result compute(Tensor u, Tensor v, PairwiseOps.Gradients wanted) {
        return loss.compute(u, v, labels, wanted, 1);
    }
}
