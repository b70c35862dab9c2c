package org.contrastive4j.internal.sim.exec;

import java.util.Arrays;
import org.contrastive4j.internal.parse.Type;

/**
 * c + sum of a_k b_k as tensor cores compute it: exact products, all terms aligned to the largest exponent and cut off
 * toward zero, one exact sum, cut off again to f32 (or rounded to f16).
 *
 * <p>Hopper keeps 25 bits below the largest exponent and takes all k of an instruction at once; Ampere and Ada keep 24
 * and take k in two halves, one after the other. Exponents of products are those of the factors added, not normalised.
 * Source: Xie et al., MMA-Sim, 2025 (bit-exact against hardware); Khattak and Mikaitis, Accurate models of NVIDIA
 * tensor cores, 2025.
 *
 * <p>Tested by {@code MmaConformanceTest}.
 */
final class TensorCore {
    private static final int HOPPER_BITS = 25;
    private static final int AMPERE_BITS = 24;
    private static final int FP8_BITS = 13;

    private final int bits;
    private final int step;
    private final int leastA;

    /**
     * @param architecture 80, 86, 89 or 90
     * @param k of the instruction
     */
    TensorCore(int architecture, Type inputs, int k) {
        this(architecture, inputs, k, 1);
    }

    /**
     * @param k stored elements of the instruction
     * @param sparsity columns of A for each stored element: 2 of a sparse product
     */
    TensorCore(int architecture, Type inputs, int k, int sparsity) {
        boolean hopper = architecture >= 90;
        boolean fp8 = inputs.bytes() == 1;
        bits = fp8 ? FP8_BITS : hopper ? HOPPER_BITS : AMPERE_BITS;
        step = sparsity * (hopper || k * inputs.bytes() < 32 ? k : k / 2);
        leastA = inputs == Type.F16 ? -14 : inputs == Type.E4M3 ? -6 : inputs == Type.E5M2 ? -14 : -126;
    }

    /** Numbers with their exponents, as the aligner sees them. */
    static final class Vector {
        final double[] values;
        final int[] exponents;

        Vector(int n) {
            values = new double[n];
            exponents = new int[n];
        }

        void set(int index, double value, int least) {
            values[index] = value;
            exponents[index] = value == 0 ? Integer.MIN_VALUE / 4 : Math.max(least, Math.getExponent(value));
        }

        /** Returns rows of k columns with zeros but at the columns of the stored elements. */
        Vector spread(int[] columns, int stored, int k) {
            Vector dense = new Vector(values.length / stored * k);
            Arrays.fill(dense.exponents, Integer.MIN_VALUE / 4);
            for (int i = 0; i < values.length; i++) {
                int at = i / stored * k + columns[i];
                dense.values[at] = values[i];
                dense.exponents[at] = exponents[i];
            }
            return dense;
        }
    }

    Vector vector(int n) {
        return new Vector(n);
    }

    void set(Vector vector, int index, double value) {
        vector.set(index, value, leastA);
    }

    /** Bits of c + a[at ...] . b[bt ...] over k elements, as f32. */
    long dot(long c, Vector a, int at, Vector b, int bt, int k) {
        long result = c;
        for (int from = 0; from < k; from += step) {
            result = part(Numbers.f32(result), a, at + from, b, bt + from, Math.min(step, k - from), Type.F32);
        }
        return result;
    }

    /** Returns the sum of whole numbers in 32 bits, which wraps around or is clamped. */
    static long dotWhole(long c, Vector a, int at, Vector b, int bt, int k, boolean clamped) {
        long sum = (int) c;
        for (int i = 0; i < k; i++) {
            sum += (long) (a.values[at + i] * b.values[bt + i]);
        }
        return (clamped ? Math.max(Integer.MIN_VALUE, Math.min(Integer.MAX_VALUE, sum)) : sum) & 0xFFFFFFFFL;
    }

    /** The same accumulated in f16, rounded to nearest. */
    long dotF16(long c, Vector a, int at, Vector b, int bt, int k) {
        long result = c;
        for (int from = 0; from < k; from += step) {
            result = part(
                    Numbers.decode(result, Type.F16), a, at + from, b, bt + from, Math.min(step, k - from), Type.F16);
        }
        return result;
    }

    private long part(double c, Vector a, int at, Vector b, int bt, int n, Type to) {
        int top = c == 0 ? Integer.MIN_VALUE / 2 : Math.max(-126, Math.getExponent(c));
        for (int k = 0; k < n; k++) {
            top = Math.max(top, a.exponents[at + k] + b.exponents[bt + k]);
        }
        if (top < -1000) {
            return Numbers.encode(c + 0.0, to, Numbers.Rounding.ZERO);
        }
        if (top > 1000 || !Double.isFinite(c)) {
            return special(c, a, at, b, bt, n, to);
        }
        double unit = Math.scalb(1.0, bits - top);
        long sum = (long) (c * unit);
        for (int k = 0; k < n; k++) {
            double product = a.values[at + k] * b.values[bt + k];
            if (!(Math.abs(product) < Double.POSITIVE_INFINITY)) {
                return special(c, a, at, b, bt, n, to);
            }
            sum += (long) (product * unit);
        }
        double exact = Math.scalb((double) sum, top - bits);
        if (to == Type.F32 && Math.abs(exact) >= 0x1p128) { // cutting off does not make an overflow finite
            return Numbers.bits(exact > 0 ? Float.POSITIVE_INFINITY : Float.NEGATIVE_INFINITY);
        }
        return Numbers.encode(exact, to, to == Type.F16 ? Numbers.Rounding.NEAREST : Numbers.Rounding.ZERO);
    }

    /** Infinities and NaN. */
    private static long special(double c, Vector a, int at, Vector b, int bt, int n, Type to) {
        double sum = c;
        for (int k = 0; k < n; k++) {
            sum += a.values[at + k] * b.values[bt + k];
        }
        return Numbers.encode(sum, to, Numbers.Rounding.NEAREST);
    }

    /** The number that a tensor core reads from bits: tf32 without its low mantissa bits. */
    static double input(long bits, Type type) {
        if (!type.isFloat()) {
            return Numbers.whole(bits, type);
        }
        return type == Type.TF32 ? Numbers.f32(bits & 0xFFFFE000L) : Numbers.decode(bits, type);
    }
}
