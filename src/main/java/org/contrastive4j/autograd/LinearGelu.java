package org.contrastive4j.autograd;

import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * y = gelu(z), z = x w + bias; inputs x [..., in], w [in, out] and bias [out]: {@link Linear} and
 * {@link Gelu} fused, so that a backend can compute both in one kernel. Saves z for backward.
 *
 * <p>Backward: dz = dy gelu'(z), then as {@link Linear}.
 */
final class LinearGelu extends Function {
    private final PointwiseOps.Gelu kind;

    @SuppressWarnings("NullAway.Init") // assigned by forward, which runs before backward
    private Tensor z;

    LinearGelu(PointwiseOps.Gelu kind) {
        super("linear_gelu");
        this.kind = kind;
    }

    @Override
    protected Tensor[] forward(Forward f) {
        Tensor x = f.input(0);
        Tensor w = f.input(1);
        Shape shape = x.shape().withLast(w.dim(-1));
        z = f.keep(f.allocate(shape));
        Tensor y = f.allocate(shape);
        f.ops().matrix().linearGelu(kind, x, w, f.input(2), z, y);
        Linear.save(f);
        return new Tensor[] {y};
    }

    @Override
    protected void backward(Backward b) {
        Tensor dz = b.ownOutputGradient(0);
        b.ops().pointwise().geluBackward(kind, z, dz, dz);
        Linear.backward(b, true, dz);
    }
}
