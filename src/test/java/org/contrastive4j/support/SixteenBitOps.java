package org.contrastive4j.support;

import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.contrastive4j.memory.Memory;
import org.contrastive4j.ops.AttentionOps;
import org.contrastive4j.ops.MatrixOps;
import org.contrastive4j.ops.NormOps;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.ops.PointwiseOps.RandomKey;
import org.contrastive4j.ops.SequenceOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/**
 * Reference implementation of operations on 16-bit activations: converts them to f32, computes on an f32 backend, and
 * rounds each result once. 16-bit kernels agree with it up to the order of their sums.
 */
public final class SixteenBitOps extends Ops {
    private final Ops wide;
    private final DType dtype;
    private final PointwiseOps pointwise;
    private final Families families;

    /**
     * @param wide in f32; closed with this
     * @param dtype BF16 or F16
     */
    public SixteenBitOps(Ops wide, DType dtype) {
        this.wide = wide;
        this.dtype = dtype;
        pointwise = new Pointwise();
        families = new Families(
                new Matrix(),
                pointwise,
                new Norm(),
                new Attention(),
                new Sequence(),
                wide.pairwise(),
                wide.pairTiles(),
                wide.update());
    }

    /** The f32 copies of the tensors of one operation. */
    private final class Call implements AutoCloseable {
        private final List<Tensor> copies = new ArrayList<>();
        private final Map<Tensor, Tensor> results = new IdentityHashMap<>();

        /** Returns an f32 copy of an activation, and any other tensor or null itself. */
        Tensor in(Tensor tensor) {
            return tensor == null || tensor.dtype() != dtype ? tensor : copy(tensor);
        }

        /** Returns the same, and writes the copy back after the operation. */
        Tensor out(Tensor tensor) {
            Tensor given = in(tensor);
            if (given != tensor) {
                results.put(tensor, given);
            }
            return given;
        }

        /** Returns an operand of a product, rounded to 16 bits. */
        Tensor operand(Tensor tensor) {
            if (tensor.dtype() == dtype) {
                return copy(tensor);
            }
            try (Tensor rounded = Tensor.allocate(memory(), dtype, tensor.shape())) {
                rounded.set(tensor.toDoubles());
                return copy(rounded);
            }
        }

        private Tensor copy(Tensor tensor) {
            Tensor copy = wide.allocate(tensor.shape());
            copies.add(copy);
            copy.set(tensor.toDoubles());
            return copy;
        }

        @Override
        public void close() {
            copies.forEach(Tensor::close);
        }
    }

    private void call(Consumer<Call> body) {
        try (Call call = new Call()) {
            body.accept(call);
            call.results.forEach((tensor, result) -> tensor.set(result.toDoubles()));
        }
    }

    private final class Matrix extends MatrixOps {
        Matrix() {
            super(dtype, pointwise);
        }

        private boolean isWide(Tensor a, Tensor b, Tensor c) {
            return a.dtype() != dtype && b.dtype() != dtype && c.dtype() != dtype;
        }

        @Override
        protected void gemmUnchecked(
                boolean transA,
                boolean transB,
                int m,
                int n,
                int k,
                double alpha,
                Tensor a,
                Tensor b,
                double beta,
                Tensor c) {
            call(f -> wide.matrix()
                    .gemm(
                            transA,
                            transB,
                            alpha,
                            isWide(a, b, c) ? a : f.operand(a),
                            isWide(a, b, c) ? b : f.operand(b),
                            beta,
                            f.out(c)));
        }

        @Override
        protected void batchedGemmUnchecked(
                boolean transA,
                boolean transB,
                int batch,
                int m,
                int n,
                int k,
                double alpha,
                Tensor a,
                Tensor b,
                double beta,
                Tensor c) {
            call(f -> wide.matrix()
                    .batchedGemm(
                            transA,
                            transB,
                            alpha,
                            isWide(a, b, c) ? a : f.operand(a),
                            isWide(a, b, c) ? b : f.operand(b),
                            beta,
                            f.out(c)));
        }

        @Override
        protected void linearUnchecked(int rows, int in, int out, Tensor x, Tensor w, Tensor bias, Tensor y) {
            call(f -> wide.matrix()
                    .linear(isWide(x, w, y) ? x : f.operand(x), isWide(x, w, y) ? w : f.operand(w), bias, f.out(y)));
        }

        @Override
        protected void biasGradientUnchecked(int rows, int width, Tensor dy, Tensor dBias) {
            call(f -> wide.matrix().biasGradient(f.in(dy), dBias));
        }
    }

    private final class Pointwise extends PointwiseOps {
        Pointwise() {
            super(dtype);
        }

        @Override
        protected void fillUnchecked(Tensor y, double value) {
            call(f -> wide.pointwise().fill(f.out(y), value));
        }

        @Override
        protected void copyUnchecked(Tensor x, Tensor y) {
            call(f -> wide.pointwise().copy(f.in(x), f.out(y)));
        }

        @Override
        protected void castUnchecked(Tensor x, Tensor y) {
            y.set(x.toDoubles());
        }

        @Override
        protected void addUnchecked(Tensor a, Tensor b, Tensor y) {
            call(f -> wide.pointwise().add(f.in(a), f.in(b), f.out(y)));
        }

        @Override
        protected void axpyUnchecked(double alpha, Tensor x, Tensor y) {
            call(f -> wide.pointwise().axpy(alpha, f.in(x), f.out(y)));
        }

        @Override
        protected void scaleUnchecked(double alpha, Tensor x, Tensor y) {
            call(f -> wide.pointwise().scale(alpha, f.in(x), f.out(y)));
        }

        @Override
        protected void geluUnchecked(Gelu kind, Tensor x, Tensor y) {
            call(f -> wide.pointwise().gelu(kind, f.in(x), f.out(y)));
        }

        @Override
        protected void geluBackwardUnchecked(Gelu kind, Tensor x, Tensor dy, Tensor dx) {
            call(f -> wide.pointwise().geluBackward(kind, f.in(x), f.in(dy), f.out(dx)));
        }

        @Override
        protected void dropoutUnchecked(Tensor x, Tensor sampleIds, double p, RandomKey key, Tensor y) {
            call(f -> wide.pointwise().dropout(f.in(x), sampleIds, p, key, f.out(y)));
        }
    }

    private final class Norm extends NormOps {
        Norm() {
            super(dtype);
        }

        @Override
        protected void layerNormUnchecked(
                int rows,
                int width,
                Tensor x,
                Tensor gamma,
                Tensor beta,
                double epsilon,
                Tensor y,
                Tensor mean,
                Tensor rstd) {
            call(f -> wide.norm().layerNorm(f.in(x), gamma, beta, epsilon, f.out(y), mean, rstd));
        }

        @Override
        protected void layerNormBackwardUnchecked(
                int rows,
                int width,
                Tensor x,
                Tensor gamma,
                Tensor mean,
                Tensor rstd,
                Tensor dy,
                Tensor dx,
                Tensor dGamma,
                Tensor dBeta) {
            call(f -> wide.norm().layerNormBackward(f.in(x), gamma, mean, rstd, f.in(dy), f.out(dx), dGamma, dBeta));
        }

        @Override
        protected void l2NormalizeUnchecked(int rows, int width, Tensor x, Tensor y, Tensor inverseNorm) {
            wide.norm().l2Normalize(x, y, inverseNorm);
        }

        @Override
        protected void l2NormalizeBackwardUnchecked(
                int rows, int width, Tensor y, Tensor inverseNorm, Tensor dy, Tensor dx) {
            wide.norm().l2NormalizeBackward(y, inverseNorm, dy, dx);
        }
    }

    private final class Attention extends AttentionOps {
        Attention() {
            super(dtype);
        }

        @Override
        protected void attentionUnchecked(
                int batch,
                int tokens,
                int width,
                Tensor qkv,
                int heads,
                boolean causal,
                Tensor lengths,
                Tensor out,
                Tensor logSumExp) {
            call(f -> wide.attention().attention(f.in(qkv), heads, causal, lengths, f.out(out), logSumExp));
        }

        @Override
        protected void attentionBackwardUnchecked(
                int batch,
                int tokens,
                int width,
                Tensor qkv,
                int heads,
                boolean causal,
                Tensor lengths,
                Tensor out,
                Tensor logSumExp,
                Tensor dOut,
                Tensor dQkv) {
            call(f -> wide.attention()
                    .attentionBackward(
                            f.in(qkv), heads, causal, lengths, f.in(out), logSumExp, f.in(dOut), f.out(dQkv)));
        }
    }

    private final class Sequence extends SequenceOps {
        Sequence() {
            super(dtype);
        }

        @Override
        protected void embeddingUnchecked(Tensor ids, Tensor table, Tensor y) {
            call(f -> wide.sequence().embedding(ids, table, f.out(y)));
        }

        @Override
        protected void embeddingBackwardUnchecked(Tensor ids, Tensor dy, Tensor dTable) {
            call(f -> wide.sequence().embeddingBackward(ids, f.in(dy), dTable));
        }

        @Override
        protected void addPositionsUnchecked(Tensor x, Tensor positions, Tensor y) {
            call(f -> wide.sequence().addPositions(f.in(x), positions, f.out(y)));
        }

        @Override
        protected void addPositionsBackwardUnchecked(Tensor dy, Tensor dPositions) {
            call(f -> wide.sequence().addPositionsBackward(f.in(dy), dPositions));
        }

        @Override
        protected void prependTokenUnchecked(Tensor x, Tensor token, Tensor y) {
            call(f -> wide.sequence().prependToken(f.in(x), token, f.out(y)));
        }

        @Override
        protected void prependTokenBackwardUnchecked(Tensor dy, Tensor dx, Tensor dToken) {
            call(f -> wide.sequence().prependTokenBackward(f.in(dy), f.out(dx), dToken));
        }

        @Override
        protected void patchifyUnchecked(Tensor x, int kernel, int stride, int padding, Tensor y) {
            call(f -> wide.sequence().patchify(f.in(x), kernel, stride, padding, f.out(y)));
        }

        @Override
        protected void patchifyBackwardUnchecked(Tensor dy, int kernel, int stride, int padding, Tensor dx) {
            call(f -> wide.sequence().patchifyBackward(f.in(dy), kernel, stride, padding, f.out(dx)));
        }

        @Override
        protected void meanPoolUnchecked(Tensor x, Tensor lengths, Tensor y) {
            call(f -> wide.sequence().meanPool(f.in(x), lengths, f.out(y)));
        }

        @Override
        protected void meanPoolBackwardUnchecked(Tensor dy, Tensor lengths, Tensor dx) {
            call(f -> wide.sequence().meanPoolBackward(f.in(dy), lengths, f.out(dx)));
        }

        @Override
        protected void selectTokenUnchecked(Tensor x, Tensor lengths, Tensor y) {
            call(f -> wide.sequence().selectToken(f.in(x), lengths, f.out(y)));
        }

        @Override
        protected void selectTokenBackwardUnchecked(Tensor dy, Tensor lengths, Tensor dx) {
            call(f -> wide.sequence().selectTokenBackward(f.in(dy), lengths, f.out(dx)));
        }
    }

    @Override
    public String name() {
        return wide.name() + " with activations of " + dtype;
    }

    @Override
    public DType dtype() {
        return dtype;
    }

    @Override
    public Memory memory() {
        return wide.memory();
    }

    @Override
    public Families families() {
        return families;
    }
}
