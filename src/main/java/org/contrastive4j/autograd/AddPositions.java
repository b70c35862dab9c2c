package org.contrastive4j.autograd;

import org.contrastive4j.tensor.Tensor;

/**
 * y[b, t] = x[b, t] + positions[t]; inputs x [b, t, w], positions [at least t, w]. Backward sums dy
 * over b for positions.
 */
final class AddPositions extends Function {
    AddPositions() {
        super("add_positions");
    }

    @Override
    protected Tensor[] forward(Forward f) {
        Tensor y = f.allocate(f.input(0).shape());
        f.ops().sequence().addPositions(f.input(0), f.input(1), y);
        return new Tensor[] {y};
    }

    @Override
    protected void backward(Backward b) {
        if (b.wants(1)) {
            Tensor dPositions = b.accumulator(1);
            b.ops().sequence().addPositionsBackward(b.outputGradient(0), dPositions);
            b.accumulate(1, dPositions);
        }
        if (b.wants(0)) {
            b.accumulate(0, b.outputGradient(0));
        }
    }
}
