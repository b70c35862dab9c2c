package org.contrastive4j.autograd;

import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * y = x w + bias; inputs x [..., in], w [in, out] and, optionally, bias [out]. y is of the type of activations, or of
 * that of parameters for representations, which a loss takes.
 *
 * <p>Backward: dx = dy w^T, dw += x^T dy, dBias += sum of the rows of dy.
 */
final class Linear extends Function {
    private final boolean biased;
    private final boolean representations;

    Linear(boolean biased) {
        this(biased, false);
    }

    /** @param representations whether y is of the type of parameters */
    Linear(boolean biased, boolean representations) {
        super("linear");
        this.biased = biased;
        this.representations = representations;
    }

    @Override
    protected Tensor[] forward(Forward f) {
        Tensor x = f.input(0);
        Tensor w = f.input(1);
        Shape shape = x.shape().withLast(w.dim(-1));
        Tensor y = representations ? f.allocateParameter(shape) : f.allocate(shape);
        f.ops().matrix().linear(x, w, biased ? f.input(2) : null, y);
        save(f);
        return new Tensor[] {y};
    }

    /** Saves what {@link #backward(Backward, boolean, Tensor)} reads: x for dw, w for dx. */
    static void save(Forward f) {
        if (f.wants(1)) {
            f.save(0);
        }
        if (f.wants(0)) {
            f.save(1);
        }
    }

    @Override
    protected void backward(Backward b) {
        backward(b, biased, b.outputGradient(0));
    }

    /** Gives their gradients to x, w and bias; dy is that of x w + bias. */
    static void backward(Backward b, boolean biased, Tensor outputGradient) {
        Tensor dy = rows(outputGradient);
        if (b.wants(1)) {
            Tensor dw = b.accumulator(1);
            b.ops().matrix().gemm(true, false, 1, rows(b.input(0)), dy, 1, dw);
            b.accumulate(1, dw);
        }
        if (biased && b.wants(2)) {
            Tensor dBias = b.accumulator(2);
            b.ops().matrix().biasGradient(dy, dBias);
            b.accumulate(2, dBias);
        }
        if (b.wants(0)) {
            Tensor dx = b.allocateLike(0);
            b.ops().matrix().gemm(false, true, 1, dy, b.input(1), 0, rows(dx));
            b.accumulate(0, dx);
        }
    }

    private static Tensor rows(Tensor t) {
        return t.reshape(t.shape().rows(), t.dim(-1));
    }
}
