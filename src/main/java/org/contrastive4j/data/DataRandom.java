package org.contrastive4j.data;

import org.contrastive4j.internal.numeric.Philox;

/** Random numbers named by what they are for: no state, so no order of asking matters. */
final class DataRandom {
    /** Apart from the layers of a model, which count up from 0 under the same seed. */
    private static final int DATA = 1 << 31;

    static final int START = 1;
    static final int ORDER = 2;
    static final int PICTURE = 3;
    static final int TEXT = 4;
    static final int BUFFER = 5;
    static final int CROP = 6;
    static final int COLOUR = 7;

    private final long seed;

    DataRandom(long seed) {
        this.seed = seed;
    }

    /** 32 random bits for the index-th use of (purpose, item, epoch). */
    int word(int purpose, int item, int epoch, int index) {
        int[] words = new int[4];
        Philox.block(index >>> 2, item, purpose | DATA, epoch, (int) seed, (int) (seed >>> 32), words);
        return words[index & 3];
    }

    /** A number in [0, 1). */
    float uniform(int purpose, int item, int epoch, int index) {
        return Philox.uniform(word(purpose, item, epoch, index));
    }

    /** A permutation of 0 ... n - 1 for an epoch (Fisher-Yates). */
    int[] permutation(int n, int epoch) {
        int[] order = new int[n];
        for (int i = 0; i < n; i++) {
            order[i] = i;
        }
        for (int i = n - 1; i > 0; i--) {
            int j = (int) ((word(ORDER, i, epoch, 0) & 0xFFFFFFFFL) * (i + 1) >>> 32);
            int swapped = order[i];
            order[i] = order[j];
            order[j] = swapped;
        }
        return order;
    }
}
