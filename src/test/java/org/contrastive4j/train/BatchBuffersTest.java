package org.contrastive4j.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.Set;
import org.contrastive4j.data.Batch;
import org.contrastive4j.support.TinyPairs;
import org.junit.jupiter.api.Test;

/** Padding of captions; {@link CapturedStepTest} tests the contents of the buffers. */
class BatchBuffersTest {
    @Test
    void paddedLength_ofAnyCaption_isOneOfAtMostEight() {
        assertEquals(8, BatchBuffers.paddedLength(1, 20));
        assertEquals(8, BatchBuffers.paddedLength(8, 20));
        assertEquals(16, BatchBuffers.paddedLength(9, 20));
        assertEquals(20, BatchBuffers.paddedLength(17, 20));
        assertEquals(6, BatchBuffers.paddedLength(2, 6));
        for (int longest = 1; longest < 600; longest++) {
            Set<Integer> lengths = new HashSet<>();
            for (int tokens = 1; tokens <= longest; tokens++) {
                int padded = BatchBuffers.paddedLength(tokens, longest);
                assertTrue(padded >= tokens && padded <= longest, tokens + " of " + longest + " became " + padded);
                lengths.add(padded);
            }
            assertTrue(lengths.size() <= 8, longest + ": " + lengths);
        }
    }

    @Test
    void padded_batch_keepsTokensAndLengths() {
        Batch batch = TinyPairs.batch(5, 3);
        Batch padded = batch.padded(11);
        assertEquals(11, padded.maxTokens());
        assertArrayEquals(batch.lengths(), padded.lengths());
        for (int k = 0; k < 5; k++) {
            for (int t = 0; t < 11; t++) {
                int expected = t < batch.maxTokens() ? batch.tokens()[k * batch.maxTokens() + t] : 0;
                assertEquals(expected, padded.tokens()[k * 11 + t], "token " + t + " of caption " + k);
            }
        }
    }
}
