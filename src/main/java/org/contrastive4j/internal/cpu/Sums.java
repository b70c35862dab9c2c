package org.contrastive4j.internal.cpu;

/** Sums along a row: eight running sums, which the JIT compiler keeps in separate registers, added in a fixed order. */
final class Sums {
    private Sums() {}

    static float sum(float[] x, int count) {
        float s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
        int i = 0;
        for (; i + 8 <= count; i += 8) {
            s0 += x[i];
            s1 += x[i + 1];
            s2 += x[i + 2];
            s3 += x[i + 3];
            s4 += x[i + 4];
            s5 += x[i + 5];
            s6 += x[i + 6];
            s7 += x[i + 7];
        }
        for (; i < count; i++) {
            s0 += x[i];
        }
        return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7));
    }

    static float dot(float[] x, float[] y, int count) {
        float s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
        int i = 0;
        for (; i + 8 <= count; i += 8) {
            s0 = Math.fma(x[i], y[i], s0);
            s1 = Math.fma(x[i + 1], y[i + 1], s1);
            s2 = Math.fma(x[i + 2], y[i + 2], s2);
            s3 = Math.fma(x[i + 3], y[i + 3], s3);
            s4 = Math.fma(x[i + 4], y[i + 4], s4);
            s5 = Math.fma(x[i + 5], y[i + 5], s5);
            s6 = Math.fma(x[i + 6], y[i + 6], s6);
            s7 = Math.fma(x[i + 7], y[i + 7], s7);
        }
        for (; i < count; i++) {
            s0 = Math.fma(x[i], y[i], s0);
        }
        return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7));
    }

    /** Returns the index of the first largest element; NaN is never the largest. */
    static int largestAt(float[] x, int count) {
        int best = 0;
        float largest = x[0];
        for (int i = 1; i < count; i++) {
            if (x[i] > largest) {
                largest = x[i];
                best = i;
            }
        }
        return best;
    }

    /**
     * Returns 1 / |x| with squares summed in f64, so that they neither overflow nor underflow; 0 for a row of zeros and
     * for a subnormal |x|, whose reciprocal is not finite in f32.
     */
    static double inverseNorm(float[] x, int from, int count) {
        double norm = Math.sqrt(sumOfSquares(x, from, count));
        return norm < Float.MIN_NORMAL ? 0 : 1 / norm;
    }

    static double sumOfSquares(float[] x, int from, int count) {
        double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
        int i = 0;
        for (; i + 4 <= count; i += 4) {
            s0 += (double) x[from + i] * x[from + i];
            s1 += (double) x[from + i + 1] * x[from + i + 1];
            s2 += (double) x[from + i + 2] * x[from + i + 2];
            s3 += (double) x[from + i + 3] * x[from + i + 3];
        }
        for (; i < count; i++) {
            s0 += (double) x[from + i] * x[from + i];
        }
        return (s0 + s1) + (s2 + s3);
    }
}
