package org.contrastive4j.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.data.BatchOrder.Identities;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Shards that are read in order: where a run continues, and which pairs are one concept. */
class StreamOrderTest {
    private static final int SHARDS = 30;
    private static final int OF_SHARD = 200; // more pairs in all than the shuffle buffer holds
    private static final int BATCH = 64;
    private static final Tokenizer TOKENIZER = Tokenizer.train(List.of("zero one two three 1 2 3"), 60, 2);

    @TempDir
    Path folder;

    private void shards() {
        byte[] png = ShardsTest.png(0xFF0000);
        for (int s = 0; s < SHARDS; s++) {
            TarBytes tar = new TarBytes();
            for (int k = 0; k < OF_SHARD; k++) {
                tar.file(k + ".png", png).text(k + ".txt", digits(s * OF_SHARD + k));
            }
            tar.write(folder.resolve(String.format("%02d.tar", s)));
        }
    }

    /** A caption of its own for each number, made of characters that the tokenizer knows. */
    private static String digits(int number) {
        return Integer.toString(number, 3)
                .replace('0', '3')
                .chars()
                .mapToObj(c -> String.valueOf((char) c))
                .reduce("", (a, b) -> a + " " + b);
    }

    private static BatchOrder order(PairDataset data) {
        return new StreamOrder(data, Splits.of(data, "", 0, 1), new Identities(data, TOKENIZER, 16), BATCH, 1);
    }

    private PairDataset open() {
        return PairDataset.open(folder, false);
    }

    private static int indexed(PairDataset data) {
        return ((Shards) data.store()).indexed();
    }

    @Test
    void from_aPosition_continuesWithoutReadingEarlierShards() {
        shards();
        PairDataset whole = open();
        BatchOrder.Batches batches = order(whole).from(0);
        int stop = 110; // in the second epoch of 93 batches
        for (int k = 0; k < stop; k++) {
            batches.next();
        }
        BatchOrder.Position position = batches.position();
        List<BatchOrder.Planned> expected = new ArrayList<>();
        for (int k = 0; k < 100; k++) {
            expected.add(batches.next());
        }
        assertEquals(1, expected.get(0).epoch());
        assertEquals(2, expected.get(99).epoch(), "the next epoch is compared too");

        PairDataset data = open();
        BatchOrder order = order(data);
        int before = indexed(data);
        BatchOrder.Batches resumed = order.from(stop, position);
        assertTrue(indexed(data) <= before + 1, "only the current shard is indexed, got " + indexed(data));
        for (BatchOrder.Planned planned : expected) {
            BatchOrder.Planned next = resumed.next();
            assertEquals(planned.epoch(), next.epoch());
            assertArrayEquals(planned.samples(), next.samples());
            assertArrayEquals(planned.spares(), next.spares());
        }
        assertArrayEquals(
                expected.get(5).samples(), order(open()).from(stop + 5).next().samples(), "by the number of the step");
    }

    @Test
    void loader_returnsThePositionOfTheNextBatch() {
        shards();
        PairDataset data = open();
        BatchMaker maker = new BatchMaker(data, TOKENIZER, 4, 16, 1);
        try (BatchLoader loader = new BatchLoader(order(data), maker, Augmentation.none(), 0, 12, 1, 2)) {
            for (int k = 0; k < 7; k++) {
                loader.next();
            }
            BatchOrder.Position position = loader.position(7);
            int[] expected = loader.next().sampleIds();
            try (BatchLoader other = new BatchLoader(order(data), maker, Augmentation.none(), 7, position, 12, 1, 2)) {
                assertArrayEquals(expected, other.next().sampleIds());
            }
            while (loader.hasNext()) {
                loader.next();
            }
            assertEquals(loader.position(12).epoch(), 0, "also after the last step");
        }
    }

    @Test
    void splits_ofShards_areNotKnownBeforeTheyAreAskedFor() {
        shards();
        PairDataset data = open();
        Splits splits = Splits.of(data, "", 0.1, 1);
        order(data).from(0).next();
        assertFalse(splits.isKnown());
        splits.tests();
        assertTrue(splits.isKnown());
    }

    @Test
    void labels_ofPicturesConceptsAndTokensInTheWindow_areOneWhereOneIsEqual() {
        byte[] png = ShardsTest.png(0xFF0000);
        TarBytes tar = new TarBytes();
        String[] json = {
            "{\"caption\":\"one 1\"}",
            "{\"caption\":\"ONE, 1.\"}", // the tokens of 0
            "{\"caption\":\"two 2\",\"sha256\":\"ab\"}",
            "{\"caption\":\"three 3\",\"sha256\":\"ab\"}", // the picture of 2
            "{\"caption\":\"zero 1 2\",\"concept\":\"c\"}",
            "{\"caption\":\"zero 2 1\",\"concept\":\"c\"}", // the concept of 4
            "{\"caption\":\"zero 3\"}"
        };
        for (int k = 0; k < json.length; k++) {
            tar.file(k + ".png", png).text(k + ".json", json[k]);
        }
        PairDataset data = PairDataset.open(tar.write(folder.resolve("x.tar")), false);
        Identities identities = new Identities(data, TOKENIZER, 16);
        int[] ids = data.ids();
        int[] labels = identities.labels(new int[] {ids[0], ids[2], ids[4], ids[6], ids[1], ids[3], ids[5], -7});
        assertEquals(labels[0], labels[4], "tokens");
        assertEquals(labels[1], labels[5], "picture");
        assertEquals(labels[2], labels[6], "concept");
        assertEquals(-7, labels[7], "unknown pairs");
        assertEquals(5, java.util.Arrays.stream(labels).distinct().count());
        int[] apart = identities.labels(new int[] {ids[0], ids[2]});
        assertNotEquals(apart[0], apart[1]);
        assertArrayEquals(
                labels, identities.labels(new int[] {ids[0], ids[2], ids[4], ids[6], ids[1], ids[3], ids[5], -7}));
    }
}
