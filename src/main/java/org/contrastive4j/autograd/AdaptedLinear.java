package org.contrastive4j.autograd;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.ops.MatrixOps;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * y = x w + bias + scale dropout(x) A^T B^T: a linear layer with low-rank adapters on ranges of its columns.
 *
 * <p>Inputs: x [..., in], w [in, out], an optional bias [out], then A [rank, in] and B [columns, rank] of each adapter.
 * The weight may have 16 bits with activations of any type: it is then converted into a temporary tensor for each
 * product. While w is frozen, neither w nor the activations that only its gradient needs are saved.
 *
 * <p>Backward with h = dropout(x) A^T: dh = scale dy B, dB += scale dy^T h, dA += dh^T dropout(x), and dx = dy w^T +
 * dropout(dh A). Source: Hu et al., LoRA: low-rank adaptation of large language models, ICLR 2022.
 *
 * <p>Tested by {@code LoraAdapterTest}.
 */
final class AdaptedLinear extends Function {
    private final boolean biased;
    private final boolean representations;
    private final List<Functions.AdapterRange> ranges;
    private final double scale;
    private final Functions.@Nullable AdapterDropout dropout;
    private final List<Tensor> hidden = new ArrayList<>();

    /**
     * Describes the layer.
     *
     * @param biased whether the third input is a bias
     * @param representations whether y is of the type of parameters
     * @param ranges one adapter each; may be empty
     * @param scale of every adapter
     * @param dropout null for none
     */
    AdaptedLinear(
            boolean biased,
            boolean representations,
            List<Functions.AdapterRange> ranges,
            double scale,
            Functions.@Nullable AdapterDropout dropout) {
        super("adapted_linear");
        this.biased = biased;
        this.representations = representations;
        this.ranges = List.copyOf(ranges);
        this.scale = scale;
        this.dropout = dropout;
    }

    private int a(int adapter) {
        return (biased ? 3 : 2) + 2 * adapter;
    }

    private int b(int adapter) {
        return a(adapter) + 1;
    }

    @Override
    protected Tensor[] forward(Forward f) {
        Tensor x = f.input(0);
        Tensor w = f.input(1);
        MatrixOps matrix = f.ops().matrix();
        Shape shape = x.shape().withLast(w.dim(-1));
        Tensor y = representations ? f.allocateParameter(shape) : f.allocate(shape);
        matrix.linear(x, widened(w, f.ops(), f::allocate), biased ? f.input(2) : null, y);
        Tensor dropped = dropped(x, f.ops(), like -> f.allocate(x.dtype(), like));
        for (int k = 0; k < ranges.size(); k++) {
            Tensor ups = f.allocateParameter(Shape.of(w.dim(-1), ranges.get(k).rank()));
            embed(f.ops(), ranges.get(k), f.input(b(k)), ups);
            Tensor low = f.keep(f.allocate(x.shape().rows(), ranges.get(k).rank()));
            matrix.gemm(false, true, 1, rows(dropped), f.input(a(k)), 0, low);
            matrix.gemm(false, true, scale, low, ups, 1, rows(y));
            hidden.add(low);
        }
        save(f);
        return new Tensor[] {y};
    }

    private void save(Forward f) {
        boolean adapters = false;
        for (int k = 0; k < ranges.size(); k++) {
            adapters |= f.wants(a(k));
            f.save(a(k), b(k));
        }
        if (f.wants(1) || adapters) {
            f.save(0);
        }
        if (f.wants(0)) {
            f.save(1);
        }
    }

    /**
     * Writes B into the rows of {@code ups} [out, rank] that belong to its output columns, and zeros into all others.
     */
    private static void embed(Ops ops, Functions.AdapterRange range, Tensor b, Tensor ups) {
        if (range.columns() < ups.dim(0)) {
            ops.pointwise().fill(ups, 0);
        }
        ops.pointwise().copy(b, ups.rows(range.firstColumn(), range.firstColumn() + range.columns()));
    }

    private Tensor dropped(Tensor x, Ops ops, java.util.function.Function<Shape, Tensor> allocate) {
        if (dropout == null || ranges.isEmpty()) {
            return x;
        }
        Tensor dropped = allocate.apply(x.shape());
        ops.pointwise().dropout(x, dropout.sampleIds(), dropout.p(), dropout.key(), dropped);
        return dropped;
    }

    @Override
    protected void backward(Backward b) {
        Tensor dy = rows(b.outputGradient(0));
        MatrixOps matrix = b.ops().matrix();
        if (b.wants(1)) {
            Tensor dw = b.accumulator(1);
            matrix.gemm(true, false, 1, rows(b.input(0)), dy, 1, dw);
            b.accumulate(1, dw);
        }
        if (biased && b.wants(2)) {
            Tensor dBias = b.accumulator(2);
            matrix.biasGradient(dy, dBias);
            b.accumulate(2, dBias);
        }
        Tensor dx = null;
        if (b.wants(0)) {
            dx = b.allocateLike(0);
            matrix.gemm(false, true, 1, dy, widened(b.input(1), b.ops(), b::allocate), 0, rows(dx));
        }
        if (!ranges.isEmpty()) {
            adapters(b, dy, dx);
        }
        if (dx != null) {
            b.accumulate(0, dx);
        }
    }

    private void adapters(Backward b, Tensor dy, @Nullable Tensor dx) {
        MatrixOps matrix = b.ops().matrix();
        Tensor dropped = null; // computed for the first adapter that is trained
        Tensor through = dx; // gradient of the adapters' input; of dropout(x) where there is dropout
        if (dropout != null && dx != null) {
            through = b.allocate(dx.dtype(), dx.shape());
            b.ops().pointwise().fill(through, 0);
        }
        for (int k = 0; k < ranges.size(); k++) {
            Functions.AdapterRange range = ranges.get(k);
            Tensor ups = b.allocate(b.ops().parameterDtype(), Shape.of(dy.dim(1), range.rank()));
            embed(b.ops(), range, b.input(b(k)), ups);
            Tensor dLow = b.allocate(Shape.of(dy.dim(0), range.rank()));
            matrix.gemm(false, false, scale, dy, ups, 0, dLow);
            if (b.wants(a(k))) {
                Tensor dA = b.accumulator(a(k));
                if (dropped == null) {
                    Tensor x = b.input(0);
                    dropped = dropped(x, b.ops(), like -> b.allocate(x.dtype(), like));
                }
                matrix.gemm(true, false, 1, dLow, rows(dropped), 1, dA);
                b.accumulate(a(k), dA);
            }
            if (b.wants(b(k))) {
                matrix.gemm(true, false, scale, dy, hidden.get(k), 0, ups);
                b.accumulate(b(k), ups.rows(range.firstColumn(), range.firstColumn() + range.columns()));
            }
            if (through != null) {
                matrix.gemm(false, false, 1, dLow, b.input(a(k)), 1, rows(through));
            }
        }
        if (dropout != null && dx != null && through != null) {
            b.ops().pointwise().dropout(through, dropout.sampleIds(), dropout.p(), dropout.key(), through);
            b.ops().pointwise().axpy(1, through, dx);
        }
    }

    /** Converts a 16-bit weight to the activation type, unless it has that type; returns any other weight unchanged. */
    private static Tensor widened(Tensor w, Ops ops, java.util.function.Function<Shape, Tensor> allocate) {
        boolean sixteen = w.dtype() == DType.F16 || w.dtype() == DType.BF16;
        if (!sixteen || w.dtype() == ops.dtype()) {
            return w;
        }
        Tensor wide = allocate.apply(w.shape());
        ops.pointwise().cast(w, wide);
        return wide;
    }

    private static Tensor rows(Tensor t) {
        return t.reshape(t.shape().rows(), t.dim(-1));
    }
}
