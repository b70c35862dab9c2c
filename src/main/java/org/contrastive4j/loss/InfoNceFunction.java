package org.contrastive4j.loss;

import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Tensor;

/**
 * {@link InfoNce} as one node of a tape; inputs u [n, d], v [m, d] and the loss's own parameters, output [1].
 *
 * <p>Forward computes the gradients as well when it is recorded; backward only scales them.
 */
public final class InfoNceFunction extends LossFunction {
    private final InfoNce loss;
    private final Tensor targets;

    /** @param targets as in {@link InfoNce#valueAndGradient} */
    public InfoNceFunction(InfoNce loss, Tensor targets) {
        super("info_nce", loss.parameters());
        this.loss = loss;
        this.targets = targets;
    }

    @Override
    PairwiseOps.Result compute(Tensor u, Tensor v, PairwiseOps.Gradients wanted) {
        return loss.compute(u, v, targets, wanted, 1, null);
    }
}
