package org.contrastive4j.internal.cpu;

import java.util.Arrays;
import org.contrastive4j.internal.backend.Indices;
import org.contrastive4j.ops.AttentionOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** Softmax attention in f32, one task per sample. */
final class CpuAttentionOps extends AttentionOps {
    private static final int LSE = 3; // scratch array

    CpuAttentionOps() {
        super(DType.F32);
    }

    @Override
    protected void attentionUnchecked(
            int batch,
            int tokens,
            int width,
            Tensor qkv,
            int heads,
            boolean causal,
            @Nullable Tensor lengths,
            Tensor out,
            Tensor logSumExp) {
        int[] keys = Indices.readOr(tokens, batch, "attention", "lengths", lengths, tokens + 1);
        int queries = heads * tokens;
        Workers.run(batch, b -> {
            float[] lse = Scratch.floats(LSE, queries);
            if (keys[b] == 0) {
                clear(out, b, 0);
                Arrays.fill(lse, 0, queries, Float.NEGATIVE_INFINITY);
            } else {
                new AttentionSample(heads, tokens, keys[b], width, causal)
                        .forward(address(qkv, b), address(out, b), lse);
            }
            Rows.store(logSumExp, (long) b * queries, queries, lse);
        });
    }

    @Override
    protected void attentionBackwardUnchecked(
            int batch,
            int tokens,
            int width,
            Tensor qkv,
            int heads,
            boolean causal,
            @Nullable Tensor lengths,
            Tensor out,
            Tensor logSumExp,
            Tensor dOut,
            Tensor dQkv) {
        int[] keys = Indices.readOr(tokens, batch, "attentionBackward", "lengths", lengths, tokens + 1);
        int queries = heads * tokens;
        Workers.run(batch, b -> {
            clear(dQkv, b, keys[b]);
            if (keys[b] > 0) {
                float[] lse = Rows.load(logSumExp, (long) b * queries, queries, LSE);
                new AttentionSample(heads, tokens, keys[b], width, causal)
                        .backward(address(qkv, b), lse, address(dOut, b), address(dQkv, b));
            }
        });
    }

    /** Writes zeros to the rows of a sample from {@code row} on. */
    private static void clear(Tensor tensor, int sample, int row) {
        int count = (tensor.dim(1) - row) * tensor.dim(2);
        float[] zeros = Scratch.floats(0, count);
        Arrays.fill(zeros, 0, count, 0);
        Rows.store(tensor, ((long) sample * tensor.dim(1) + row) * tensor.dim(2), count, zeros);
    }

    private static long address(Tensor tensor, int sample) {
        return Blas.address(tensor) + (long) sample * tensor.dim(1) * tensor.dim(2) * Float.BYTES;
    }
}
