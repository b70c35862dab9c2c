package org.contrastive4j.loss;

import java.util.List;
import org.contrastive4j.autograd.Function;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * A loss of pairs as one node of a tape; inputs u [n, d], v [m, d] and the loss's own parameters, output [1].
 *
 * <p>Forward computes the gradients as well when it is recorded; backward only scales them.
 */
abstract class LossFunction extends Function {
    private final List<Parameter> parameters;
    private PairwiseOps.Result result;
    private Tensor[] gradients;

    LossFunction(String name, List<Parameter> parameters) {
        super(name);
        this.parameters = parameters;
    }

    /** The value, and gradients added to {@code wanted} unless that is null. */
    abstract PairwiseOps.Result compute(Tensor u, Tensor v, PairwiseOps.Gradients wanted);

    /** Statistics of the forward pass. */
    public final PairwiseOps.Result result() {
        return result;
    }

    @Override
    protected final Tensor[] forward(Forward f) {
        PairwiseOps.Gradients wanted = null;
        if (f.isRecorded()) {
            gradients = new Tensor[2 + parameters.size()];
            for (int k = 0; k < gradients.length; k++) {
                gradients[k] = f.wants(k) ? f.keep(f.allocateLike(k)) : null;
                if (k >= 2 && gradients[k] != null) {
                    f.ops().pointwise().fill(gradients[k], 0);
                }
            }
            wanted = new PairwiseOps.Gradients(
                    gradients[0], gradients[1], gradients[2], gradients.length > 3 ? gradients[3] : null);
        }
        result = compute(f.input(0), f.input(1), wanted);
        Tensor value = f.allocateParameter(Shape.of(1));
        value.set(result.loss());
        return new Tensor[] {value};
    }

    @Override
    protected final void backward(Backward b) {
        double seed = b.outputGradient(0).toDoubles()[0];
        for (int k = 0; k < gradients.length; k++) {
            if (gradients[k] != null) {
                b.ops().pointwise().scale(seed, gradients[k], gradients[k]);
                b.add(k, gradients[k]);
            }
        }
    }
}
