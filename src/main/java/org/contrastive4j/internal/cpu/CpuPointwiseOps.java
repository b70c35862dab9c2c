package org.contrastive4j.internal.cpu;

import java.util.Arrays;
import org.contrastive4j.internal.memory.HostStorage;
import org.contrastive4j.internal.numeric.Philox;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.ops.PointwiseOps.RandomKey;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/**
 * Elementwise operations, one block of a few KiB at a time.
 *
 * <p>Tested by {@code ElementaryOpsTest} and {@code BackendAgreementTest}.
 */
final class CpuPointwiseOps extends PointwiseOps {
    private static final float QUICK_SLOPE = 1.702f;
    private static final float TANH_SLOPE = (float) (2 * Math.sqrt(2 / Math.PI));
    private static final float TANH_CUBIC = 0.044715f;
    private static final float INVERSE_SQRT2 = 0.70710678f;
    private static final float INVERSE_SQRT_2PI = 0.39894228f;

    private static final int COUNTERS = 512; // of Philox at a time
    private static final ThreadLocal<long[][]> WORDS = ThreadLocal.withInitial(() -> new long[4][COUNTERS]);

    CpuPointwiseOps() {
        super(DType.F32);
    }

    @Override
    protected void fillUnchecked(Tensor y, double value) {
        float v = (float) value;
        Rows.elements(y.size(), (at, count) -> {
            float[] block = Scratch.floats(0, count);
            Arrays.fill(block, 0, count, v);
            Rows.store(y, at, count, block);
        });
    }

    @Override
    protected void copyUnchecked(Tensor x, Tensor y) {
        if (x.dtype() == DType.I32) {
            y.set(x.toInts());
            return;
        }
        if (x.dtype() != DType.F32) {
            castUnchecked(x, y);
            return;
        }
        Rows.elements(x.size(), (at, count) -> Rows.store(y, at, count, Rows.load(x, at, count, 0)));
    }

    @Override
    protected void castUnchecked(Tensor x, Tensor y) {
        y.set(x.toDoubles());
    }

    @Override
    protected void addUnchecked(Tensor a, Tensor b, Tensor y) {
        Rows.elements(y.size(), (at, count) -> {
            float[] left = Rows.load(a, at, count, 0);
            float[] right = Rows.load(b, at, count, 1);
            for (int i = 0; i < count; i++) {
                left[i] += right[i];
            }
            Rows.store(y, at, count, left);
        });
    }

    @Override
    protected void axpyUnchecked(double alpha, Tensor x, Tensor y) {
        float factor = (float) alpha;
        Rows.elements(y.size(), (at, count) -> {
            float[] from = Rows.load(x, at, count, 0);
            float[] to = Rows.load(y, at, count, 1);
            for (int i = 0; i < count; i++) {
                to[i] = Math.fma(factor, from[i], to[i]);
            }
            Rows.store(y, at, count, to);
        });
    }

    @Override
    protected void scaleUnchecked(double alpha, Tensor x, Tensor y) {
        float factor = (float) alpha;
        Rows.elements(y.size(), (at, count) -> {
            float[] block = Rows.load(x, at, count, 0);
            for (int i = 0; i < count; i++) {
                block[i] *= factor;
            }
            Rows.store(y, at, count, block);
        });
    }

    @Override
    protected void geluUnchecked(Gelu kind, Tensor x, Tensor y) {
        Rows.elements(y.size(), (at, count) -> {
            float[] value = Rows.load(x, at, count, 0);
            float[] gate = Scratch.floats(1, count);
            gate(kind, value, gate, count);
            for (int i = 0; i < count; i++) {
                value[i] *= gate[i];
            }
            Rows.store(y, at, count, value);
        });
    }

    @Override
    protected void geluBackwardUnchecked(Gelu kind, Tensor x, Tensor dy, Tensor dx) {
        Rows.elements(dx.size(), (at, count) -> {
            float[] value = Rows.load(x, at, count, 0);
            float[] gate = Scratch.floats(1, count);
            gate(kind, value, gate, count);
            float[] slope = Scratch.floats(4, count);
            slope(kind, value, gate, slope, count);
            float[] gradient = Rows.load(dy, at, count, 3);
            for (int i = 0; i < count; i++) {
                gradient[i] *= Math.fma(value[i], slope[i], gate[i]);
            }
            Rows.store(dx, at, count, gradient);
        });
    }

    /**
     * Computes gate with gelu(x) = x gate(x): Phi(x), sigmoid(1.702 x), or, as (1 + tanh u) / 2 = sigmoid(2 u),
     * sigmoid(sqrt(8 / pi) (x + 0.044715 x^3)).
     */
    private static void gate(Gelu kind, float[] x, float[] gate, int count) {
        if (kind == Gelu.EXACT) {
            VectorErf.normal(x, gate, count);
            return;
        }
        for (int i = 0; i < count; i++) {
            gate[i] = kind == Gelu.QUICK ? -QUICK_SLOPE * x[i] : -TANH_SLOPE * (x[i] + TANH_CUBIC * x[i] * x[i] * x[i]);
        }
        VectorExp.exp(gate, 0, count);
        for (int i = 0; i < count; i++) {
            gate[i] = 1f / (1f + gate[i]);
        }
    }

    /** Computes slope = gate'(x). */
    private static void slope(Gelu kind, float[] x, float[] gate, float[] slope, int count) {
        if (kind == Gelu.QUICK) {
            for (int i = 0; i < count; i++) {
                slope[i] = QUICK_SLOPE * gate[i] * (1f - gate[i]);
            }
            return;
        }
        if (kind == Gelu.TANH) {
            for (int i = 0; i < count; i++) {
                float inner = TANH_SLOPE * (1f + 3f * TANH_CUBIC * x[i] * x[i]);
                float product = gate[i] * (1f - gate[i]);
                slope[i] = product == 0f ? 0f : inner * product; // the factor alone may overflow
            }
            return;
        }
        for (int i = 0; i < count; i++) {
            float v = x[i] * INVERSE_SQRT2;
            slope[i] = -v * v;
        }
        VectorExp.exp(slope, 0, count);
        for (int i = 0; i < count; i++) {
            slope[i] *= INVERSE_SQRT_2PI;
        }
    }

    @Override
    protected void dropoutUnchecked(Tensor x, Tensor sampleIds, double p, RandomKey key, Tensor y) {
        int samples = x.dim(0);
        int width = Math.toIntExact(x.size() / samples);
        int[] ids = new int[samples];
        ((HostStorage) sampleIds.storage()).load(sampleIds.offset(), ids, 0, samples);
        float scale = (float) (1 / (1 - p));
        long threshold = Philox.keepThreshold(p);
        Workers.run(samples, s -> {
            float[] block = Rows.load(x, (long) s * width, width, 0);
            mask(block, width, ids[s], threshold, scale, key);
            Rows.store(y, (long) s * width, width, block);
        });
    }

    private static void mask(float[] values, int width, int sample, long threshold, float scale, RandomKey key) {
        long[][] words = WORDS.get();
        int k0 = (int) key.seed();
        int k1 = (int) (key.seed() >>> 32);
        for (int first = 0; 4 * first < width; first += COUNTERS) {
            int count = Math.min(COUNTERS, (width + 3) / 4 - first);
            Philox.blocks(first, count, sample, key.layer(), key.step(), k0, k1, words);
            for (int k = 0; k < 4; k++) {
                apply(
                        values,
                        4 * first + k,
                        Math.min(count, (width - 4 * first - k + 3) / 4),
                        words[k],
                        threshold,
                        scale);
            }
        }
    }

    /** Multiplies values[at + 4 b] by scale where words[b] reaches the threshold, by 0 elsewhere. */
    private static void apply(float[] values, int at, int count, long[] words, long threshold, float scale) {
        for (int b = 0; b < count; b++) {
            int dropped = (int) (words[b] - threshold >>> 63);
            values[at + 4 * b] *= scale * (1 - dropped);
        }
    }
}
