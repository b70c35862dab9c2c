package org.contrastive4j.loss;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.contrastive4j.autograd.Function;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.Tape;
import org.contrastive4j.autograd.Variable;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A {@link ContrastiveLoss} as one node of a tape. Forward computes the gradients as well when it is recorded; backward
 * scales them.
 */
public final class LossFunction extends Function {
    private final ContrastiveLoss loss;
    private final PairLabels labels;
    private PairwiseOps.@Nullable Result result;
    private @Nullable Tensor @Nullable [] gradients;

    /**
     * Creates the node's function; its inputs are u [n, d], v [m, d] and the loss's own parameters, its output is [1].
     *
     * @param loss to compute
     * @param labels which pairs are positive
     */
    public LossFunction(ContrastiveLoss loss, PairLabels labels) {
        super("contrastive_loss");
        this.loss = loss;
        this.labels = labels;
    }

    /**
     * Applies the function to representations and the loss's own parameters.
     *
     * @param tape that records it
     * @param u [n, d] raw representations
     * @param v [m, d] raw representations
     * @return the loss, [1]
     */
    public Variable apply(Tape tape, Variable u, Variable v) {
        List<Variable> inputs = new ArrayList<>(List.of(u, v));
        inputs.addAll(loss.parameters());
        return tape.apply(this, inputs.toArray(new Variable[0]));
    }

    /**
     * Returns the statistics of the forward pass.
     *
     * @return null before it
     */
    public PairwiseOps.@Nullable Result result() {
        return result;
    }

    @Override
    protected Tensor[] forward(Forward f) {
        PairwiseOps.Gradients outputs = null;
        if (f.isRecorded()) {
            List<Parameter> parameters = loss.parameters();
            gradients = new Tensor[2 + parameters.size()];
            for (int k = 0; k < gradients.length; k++) {
                gradients[k] = f.wants(k) ? f.keep(f.allocateLike(k)) : null;
                if (k >= 2 && gradients[k] != null) {
                    f.ops().pointwise().fill(gradients[k], 0);
                }
            }
            outputs = new PairwiseOps.Gradients(
                    gradients[0], gradients[1], gradients[2], gradients.length > 3 ? gradients[3] : null);
        }
        result = loss.compute(f.input(0), f.input(1), labels, new ContrastiveLoss.Outputs(outputs, 1, null))
                .get();
        Tensor value = f.allocateParameter(Shape.of(1));
        value.set(result.loss());
        return new Tensor[] {value};
    }

    @Override
    protected void backward(Backward b) {
        double seed = b.outputGradient(0).toDoubles()[0];
        @Nullable Tensor[] recorded = Objects.requireNonNull(gradients, "backward without a recorded forward pass");
        for (int k = 0; k < recorded.length; k++) {
            Tensor gradient = recorded[k];
            if (gradient != null) {
                b.ops().pointwise().scale(seed, gradient, gradient);
                b.accumulate(k, gradient);
            }
        }
    }
}
