package org.contrastive4j.ops.cpu;

import java.util.Arrays;
import org.contrastive4j.memory.HostStorage;
import org.contrastive4j.ops.AttentionOps;
import org.contrastive4j.ops.Indices;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/** Softmax attention in f32, a task per sample. */
final class CpuAttentionOps extends AttentionOps {
    CpuAttentionOps() {
        super(DType.F32);
    }

    @Override
    protected void attentionUnchecked(int batch, int tokens, int width, Tensor qkv, int heads, boolean causal,
            Tensor lengths, Tensor out, Tensor logSumExp) {
        int[] keys = Indices.readOr(tokens, batch, "attention", "lengths", lengths, tokens + 1);
        Workers.run(batch, b -> {
            float[] in = load(qkv, b, 0);
            float[] result = Scratch.floats(1, tokens * width);
            float[] lse = Scratch.floats(2, heads * tokens);
            for (int h = 0; h < heads; h++) {
                new AttentionHead(h, heads, tokens, keys[b], width, causal).forward(in, result, lse);
            }
            store(result, out, b);
            store(lse, logSumExp, b);
        });
    }

    @Override
    protected void attentionBackwardUnchecked(int batch, int tokens, int width, Tensor qkv, int heads, boolean causal,
            Tensor lengths, Tensor out, Tensor logSumExp, Tensor dOut, Tensor dQkv) {
        int[] keys = Indices.readOr(tokens, batch, "attentionBackward", "lengths", lengths, tokens + 1);
        Workers.run(batch, b -> {
            float[] in = load(qkv, b, 0);
            float[] result = load(out, b, 1);
            float[] lse = load(logSumExp, b, 2);
            float[] dResult = load(dOut, b, 3);
            float[] dIn = Scratch.floats(4, tokens * 3 * width);
            Arrays.fill(dIn, keys[b] * 3 * width, tokens * 3 * width, 0);
            for (int h = 0; h < heads; h++) {
                new AttentionHead(h, heads, tokens, keys[b], width, causal).backward(in, result, lse, dResult, dIn);
            }
            store(dIn, dQkv, b);
        });
    }

    private static float[] load(Tensor tensor, int sample, int slot) {
        int size = sampleSize(tensor);
        float[] values = Scratch.floats(slot, size);
        ((HostStorage) tensor.storage()).load(tensor.offset() + (long) sample * size, values, 0, size);
        return values;
    }

    private static void store(float[] values, Tensor tensor, int sample) {
        int size = sampleSize(tensor);
        ((HostStorage) tensor.storage()).store(tensor.offset() + (long) sample * size, values, 0, size);
    }

    private static int sampleSize(Tensor tensor) {
        return tensor.dim(1) * tensor.dim(2);
    }
}
