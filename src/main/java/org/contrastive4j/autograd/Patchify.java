package org.contrastive4j.autograd;

import org.contrastive4j.ops.SequenceOps;
import org.contrastive4j.tensor.Tensor;

/**
 * The windows of pictures [b, h, w, c] as rows [b, windows, kernel kernel c]. Backward sums the windows at each
 * element.
 */
final class Patchify extends Function {
    private final int kernel;
    private final int stride;
    private final int padding;

    Patchify(int kernel, int stride, int padding) {
        super("patchify");
        this.kernel = kernel;
        this.stride = stride;
        this.padding = padding;
    }

    @Override
    protected Tensor[] forward(Forward f) {
        Tensor x = f.input(0);
        int windows = SequenceOps.patches(x.dim(1), kernel, stride, padding)
                * SequenceOps.patches(x.dim(2), kernel, stride, padding);
        Tensor y = f.allocate(x.dim(0), windows, kernel * kernel * x.dim(3));
        f.ops().sequence().patchify(x, kernel, stride, padding, y);
        return new Tensor[] {y};
    }

    @Override
    protected void backward(Backward b) {
        Tensor dx = b.allocateLike(0);
        Tensor sums = dx.dtype() == b.ops().dtype() ? dx : b.allocate(dx.shape()); // pictures may be of f32
        b.ops().sequence().patchifyBackward(b.outputGradient(0), kernel, stride, padding, sums);
        if (sums != dx) {
            b.ops().pointwise().cast(sums, dx);
        }
        b.accumulate(0, dx);
    }
}
