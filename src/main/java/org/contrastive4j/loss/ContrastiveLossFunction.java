package org.contrastive4j.loss;

import org.contrastive4j.autograd.Function;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * A {@link ContrastiveLoss} as one node of a tape; inputs u [n, d], v [m, d] and the loss's own parameters, output [1].
 *
 * <p>Forward computes the gradients as well when it is recorded; backward only scales them.
 */
public final class ContrastiveLossFunction extends Function {
    private final ContrastiveLoss loss;
    private final PairLabels labels;
    private PairwiseOps.Result result;
    private Tensor[] gradients;

    public ContrastiveLossFunction(ContrastiveLoss loss, PairLabels labels) {
        super("contrastive_loss");
        this.loss = loss;
        this.labels = labels;
    }

    /** Statistics of the forward pass. */
    public PairwiseOps.Result result() {
        return result;
    }

    @Override
    protected Tensor[] forward(Forward f) {
        PairwiseOps.Gradients wanted = null;
        if (f.isRecorded()) {
            gradients = new Tensor[2 + loss.parameters().size()];
            for (int k = 0; k < gradients.length; k++) {
                gradients[k] = f.wants(k) ? f.keep(f.allocateLike(k)) : null;
                if (k >= 2 && gradients[k] != null) {
                    f.ops().pointwise().fill(gradients[k], 0);
                }
            }
            wanted = new PairwiseOps.Gradients(
                    gradients[0], gradients[1], gradients[2], gradients.length > 3 ? gradients[3] : null);
        }
        result = loss.compute(f.input(0), f.input(1), labels, wanted, 1);
        Tensor value = f.allocateParameter(Shape.of(1));
        value.set(result.loss());
        return new Tensor[] {value};
    }

    @Override
    protected void backward(Backward b) {
        double seed = b.outputGradient(0).toDoubles()[0];
        for (int k = 0; k < gradients.length; k++) {
            if (gradients[k] != null) {
                b.ops().pointwise().scale(seed, gradients[k], gradients[k]);
                b.add(k, gradients[k]);
            }
        }
    }
}
