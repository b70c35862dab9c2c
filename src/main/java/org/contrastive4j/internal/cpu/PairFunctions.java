package org.contrastive4j.internal.cpu;

import java.util.Arrays;
import org.contrastive4j.ops.PairTileOps.PairFunction;

/** {@link PairFunction} for arrays, in loops that the JIT compiler vectorises. */
final class PairFunctions {
    private static final float HUGE = 1e38f; // times any difference of two logits is beyond 1

    private PairFunctions() {}

    /** z[0, count) = f(z); {@code other} is overwritten. */
    static void apply(PairFunction function, float[] z, float[] other, int count) {
        switch (function) {
            case ONE -> Arrays.fill(z, 0, count, 1);
            case IDENTITY -> {}
            case EXP -> VectorExp.exp(z, 0, count);
            case SIGMOID -> sigmoid(z, count);
            case SOFTPLUS -> softplus(z, other, count);
            case HINGE -> {
                for (int j = 0; j < count; j++) {
                    z[j] = Math.max(z[j], 0f);
                }
            }
            case STEP -> {
                for (int j = 0; j < count; j++) {
                    z[j] = Math.min(Math.max(z[j] * HUGE, 0f), 1f);
                }
            }
            case EQUAL -> {
                for (int j = 0; j < count; j++) {
                    z[j] = 1f - Math.min(Math.abs(z[j]) * HUGE, 1f);
                }
            }
        }
    }

    private static void sigmoid(float[] z, int count) {
        for (int j = 0; j < count; j++) {
            z[j] = -z[j];
        }
        VectorExp.exp(z, 0, count);
        for (int j = 0; j < count; j++) {
            z[j] = 1f / (1f + z[j]);
        }
    }

    /**
     * max(z, 0) + ln(1 + e), e = exp(-|z|) in (0, 1]. ln(1 + e) = 2 artanh(u), u = e / (2 + e) at most 1/3, whose
     * series to u^13 is exact to f32 and keeps the relative accuracy of a small e.
     */
    private static void softplus(float[] z, float[] e, int count) {
        for (int j = 0; j < count; j++) {
            e[j] = -Math.abs(z[j]);
        }
        VectorExp.exp(e, 0, count);
        for (int j = 0; j < count; j++) {
            e[j] = e[j] / (2f + e[j]);
        }
        for (int j = 0; j < count; j++) {
            float u = e[j];
            float v = u * u;
            float p = Math.fma(v, 2f / 13, 2f / 11);
            p = Math.fma(v, p, 2f / 9);
            p = Math.fma(v, p, 2f / 7);
            p = Math.fma(v, p, 2f / 5);
            p = Math.fma(v, p, 2f / 3);
            e[j] = Math.fma(u * v, p, 2f * u);
        }
        for (int j = 0; j < count; j++) {
            z[j] = Math.max(z[j], 0f) + e[j];
        }
    }
}
