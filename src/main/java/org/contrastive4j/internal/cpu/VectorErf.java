package org.contrastive4j.internal.cpu;

/** The normal distribution function for arrays, in loops that the JIT compiler vectorises. */
final class VectorErf {
    private static final float INVERSE_SQRT2 = 0.70710678f;
    private static final float P = 0.3275911f;

    private VectorErf() {}

    /**
     * Computes y = Phi(x) = erfc(-x / sqrt 2) / 2 with an absolute error below 3e-7.
     *
     * <p>With z = |x| / sqrt 2 and t = 1 / (1 + p z): erfc(z) = t (a1 + t (a2 + t (a3 + t (a4 + t a5)))) exp(-z^2).
     * Source: Abramowitz and Stegun, Handbook of mathematical functions, 7.1.26.
     */
    static void normal(float[] x, float[] y, int count) {
        for (int i = 0; i < count; i++) {
            float z = x[i] * INVERSE_SQRT2;
            y[i] = -z * z;
        }
        VectorExp.exp(y, 0, count);
        for (int i = 0; i < count; i++) { // y = Phi(-|x|)
            float t = 1f / Math.fma(P * INVERSE_SQRT2, Math.abs(x[i]), 1f);
            float p = Math.fma(t, 1.061405429f, -1.453152027f);
            p = Math.fma(t, p, 1.421413741f);
            p = Math.fma(t, p, -0.284496736f);
            p = Math.fma(t, p, 0.254829592f);
            y[i] *= 0.5f * p * t;
        }
        for (int i = 0; i < count; i++) { // 1 - y where x is positive: sign is 0 or 1, and any value does at x = 0
            float sign = Math.min(Math.max(x[i] * 1e38f, 0f), 1f);
            y[i] = Math.fma(sign, 1f - 2f * y[i], y[i]);
        }
    }
}
