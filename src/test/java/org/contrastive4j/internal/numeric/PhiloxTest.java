package org.contrastive4j.internal.numeric;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

/** Philox4x32-10 against the known answers of Random123. */
class PhiloxTest {
    private static void check(int[] counter, int[] key, int... expected) {
        int[] words = new int[4];
        Philox.block(counter[0], counter[1], counter[2], counter[3], key[0], key[1], words);
        assertArrayEquals(expected, words);
    }

    @Test
    void block_knownAnswers() {
        check(new int[4], new int[2], 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8);
        check(new int[] {-1, -1, -1, -1}, new int[] {-1, -1}, 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd);
        check(
                new int[] {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                new int[] {0xa4093822, 0x299f31d0},
                0xd16cfe09,
                0x94fdcceb,
                0x5001e420,
                0x24126ea1);
    }

    @Test
    void blocks_equalsBlock() {
        long[][] many = new long[4][100];
        Philox.blocks(-3, 100, 5, -6, 7, 0x12345678, -9, many);
        int[] one = new int[4];
        for (int b = 0; b < 100; b++) {
            Philox.block(b - 3, 5, -6, 7, 0x12345678, -9, one);
            for (int k = 0; k < 4; k++) {
                assertEquals(one[k], (int) many[k][b]);
                assertEquals(one[k] & 0xFFFFFFFFL, many[k][b]);
            }
        }
    }
}
