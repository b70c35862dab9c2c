package org.contrastive4j.internal.numeric;

import java.util.Arrays;

/**
 * The counter-based random number generator Philox4x32-10: 128 random bits from a 128-bit counter and a 64-bit key,
 * without state.
 *
 * <p>Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011; the words equal those of Random123.
 */
public final class Philox {
    private static final long M0 = 0xD2511F53L;
    private static final long M1 = 0xCD9E8D57L;
    private static final int W0 = 0x9E3779B9;
    private static final int W1 = 0xBB67AE85;

    private Philox() {}

    /**
     * Computes the four words of one counter.
     *
     * @param c0 first word of the counter
     * @param c1 second word
     * @param c2 third word
     * @param c3 fourth word
     * @param k0 first word of the key
     * @param k1 second word of the key
     * @param out at least four elements; the first four are written
     */
    public static void block(int c0, int c1, int c2, int c3, int k0, int k1, int[] out) {
        for (int round = 0; round < 10; round++) {
            long p0 = M0 * (c0 & 0xFFFFFFFFL);
            long p1 = M1 * (c2 & 0xFFFFFFFFL);
            int n0 = (int) (p1 >>> 32) ^ c1 ^ k0;
            int n2 = (int) (p0 >>> 32) ^ c3 ^ k1;
            c0 = n0;
            c1 = (int) p1;
            c2 = n2;
            c3 = (int) p0;
            k0 += W0;
            k1 += W1;
        }
        out[0] = c0;
        out[1] = c1;
        out[2] = c2;
        out[3] = c3;
    }

    /**
     * Computes the words of consecutive counters in loops that vectorise: words[k][b] is word k, unsigned, of the
     * counter (first + b, c1, c2, c3). The words equal those of {@link #block}.
     *
     * @param first first word of the first counter
     * @param count number of counters
     * @param c1 second word of each counter
     * @param c2 third word
     * @param c3 fourth word
     * @param k0 first word of the key
     * @param k1 second word of the key
     * @param words four arrays of at least {@code count} elements; written
     */
    public static void blocks(int first, int count, int c1, int c2, int c3, int k0, int k1, long[][] words) {
        long[] w0 = words[0];
        long[] w1 = words[1];
        long[] w2 = words[2];
        long[] w3 = words[3];
        for (int b = 0; b < count; b++) {
            w0[b] = (first + b) & 0xFFFFFFFFL;
        }
        Arrays.fill(w1, 0, count, c1 & 0xFFFFFFFFL);
        Arrays.fill(w2, 0, count, c2 & 0xFFFFFFFFL);
        Arrays.fill(w3, 0, count, c3 & 0xFFFFFFFFL);
        for (int round = 0; round < 10; round++) {
            round(w0, w1, w2, w3, count, k0 & 0xFFFFFFFFL, k1 & 0xFFFFFFFFL);
            k0 += W0;
            k1 += W1;
        }
    }

    private static void round(long[] w0, long[] w1, long[] w2, long[] w3, int count, long k0, long k1) {
        for (int b = 0; b < count; b++) {
            long p0 = M0 * w0[b];
            long p1 = M1 * w2[b];
            w0[b] = (p1 >>> 32) ^ w1[b] ^ k0;
            w1[b] = p1 & 0xFFFFFFFFL;
            w2[b] = (p0 >>> 32) ^ w3[b] ^ k1;
            w3[b] = p0 & 0xFFFFFFFFL;
        }
    }

    /**
     * Returns a word as a number in [0, 1) with 24 random bits.
     *
     * @param word 32 random bits
     * @return the number
     */
    public static float uniform(int word) {
        return (word >>> 8) * 0x1p-24f;
    }

    /**
     * Returns the smallest unsigned word that dropout with probability p keeps.
     *
     * @param p probability of dropping an element
     * @return the threshold
     */
    public static long keepThreshold(double p) {
        return (long) Math.ceil(p * 0x1p32);
    }
}
