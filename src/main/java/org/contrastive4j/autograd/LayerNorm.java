package org.contrastive4j.autograd;

import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/** y = gamma (x - mean) rstd + beta per row; inputs x [..., w], gamma [w], beta [w]. Backward as in NormOps. */
final class LayerNorm extends Function {
    private final double epsilon;

    @SuppressWarnings("NullAway.Init") // assigned by forward, which runs before backward
    private Tensor mean;

    @SuppressWarnings("NullAway.Init") // assigned by forward, which runs before backward
    private Tensor rstd;

    LayerNorm(double epsilon) {
        super("layer_norm");
        this.epsilon = epsilon;
    }

    @Override
    protected Tensor[] forward(Forward f) {
        Tensor x = f.input(0);
        Tensor y = f.allocate(x.shape());
        mean = f.keep(f.allocateParameter(Shape.of(x.shape().rows())));
        rstd = f.keep(f.allocateParameter(Shape.of(x.shape().rows())));
        f.ops().norm().layerNorm(x, f.input(1), f.input(2), epsilon, y, mean, rstd);
        f.save(0, 1);
        return new Tensor[] {y};
    }

    @Override
    protected void backward(Backward b) {
        Tensor dGamma = b.wants(1) ? b.accumulator(1) : null;
        Tensor dBeta = b.wants(2) ? b.accumulator(2) : null;
        Tensor dx = b.allocateLike(0);
        b.ops().norm().layerNormBackward(b.input(0), b.input(1), mean, rstd, b.outputGradient(0), dx, dGamma, dBeta);
        if (dGamma != null) {
            b.accumulate(1, dGamma);
        }
        if (dBeta != null) {
            b.accumulate(2, dBeta);
        }
        if (b.wants(0)) {
            b.accumulate(0, dx);
        }
    }
}
