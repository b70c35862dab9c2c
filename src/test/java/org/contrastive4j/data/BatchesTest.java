package org.contrastive4j.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Set;
import org.contrastive4j.data.BatchOrder.Identities;
import org.contrastive4j.support.PairFiles;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Splits, batches, augmentation, tokens, and the loader that puts them together. */
class BatchesTest {
    private static final Augmentation STRONG = new Augmentation(0.2, 0.3, 20, 0.3, 0.5, 0.5);

    @TempDir
    Path folder;

    private PairDataset data(int concepts) {
        return PairDataset.open(PairFiles.folder(folder, concepts), true);
    }

    private static Identities identities(PairDataset data) {
        List<String> captions = data.pairs().stream().map(Pair::caption).toList();
        return new Identities(data, Tokenizer.train(captions, 200, 1), 16);
    }

    private static BatchOrder order(PairDataset data, int batch, long seed) {
        return BatchOrder.of(data, Splits.of(data, "", 0, 1), identities(data), batch, seed);
    }

    private static int[] samples(BatchOrder order, int step) {
        return order.from(step).next().samples();
    }

    @Test
    void batches_wholeEpoch_holdEachConceptOnceAndDrawEvenly() {
        PairDataset data = data(23);
        Iterator<BatchOrder.Planned> batches = order(data, 7, 5).from(0);
        int[] shown = new int[data.pairs().size()];
        for (int epoch = 0; epoch < 60; epoch++) {
            Set<String> ofEpoch = new HashSet<>();
            for (int b = 0; b < 3; b++) {
                BatchOrder.Planned batch = batches.next();
                assertEquals(epoch, batch.epoch());
                for (int id : batch.samples()) {
                    assertTrue(ofEpoch.add(data.pair(id).concept()), "epoch " + epoch + " shows a concept twice");
                    shown[id]++;
                }
            }
        }
        for (int count : shown) {
            assertTrue(count >= 8 && count <= 28, Arrays.toString(shown)); // 60 * 21 / 69 = 18 on average
        }
        int[] later = samples(order(data, 7, 5), 53);
        assertArrayEquals(later, samples(order(data, 7, 5), 53), "random access");
        assertFalse(Arrays.equals(later, samples(order(data, 7, 6), 53)), "the seed matters");
        assertThrows(IllegalArgumentException.class, () -> order(data, 7, 5).from(-1));
    }

    @Test
    void batches_moreThanTheConcepts_areRefusedWithTheLargestSize() {
        PairDataset data = data(5);
        String message =
                assertThrows(DataException.class, () -> order(data, 6, 1)).getMessage();
        assertTrue(message.contains("choose 2 to 5"), message);
        assertThrows(DataException.class, () -> order(data, 1, 1));
    }

    @Test
    void split_anyOrder_isTheSameAndNeverEmpty() {
        PairDataset data = data(20);
        Splits splits = Splits.of(data, "b", 0.25, 9);
        int unseen = splits.tests().get("new-concept").size();
        assertTrue(unseen > 0 && unseen < 12, "a quarter of 20 concepts");
        assertEquals(20 - unseen, splits.tests().get("new-design").size());
        assertEquals(unseen, splits.tests().get("new-both").size());
        assertEquals(2 * (20 - unseen), splits.train().size());
        Splits without = Splits.of(data, "", 0.25, 9);
        assertEquals(Set.of("new-concept"), without.tests().keySet());
        assertEquals(unseen, without.tests().get("new-concept").size());
        assertEquals(3 * (20 - unseen), without.train().size());
        assertTrue(assertThrows(DataException.class, () -> Splits.of(data, "x", 0.1, 1))
                .getMessage()
                .contains("[a, b, c]"));
        assertThrows(DataException.class, () -> Splits.of(data, "b", 0.999, 1));
        assertThrows(IllegalArgumentException.class, () -> Splits.of(data, "b", 1, 1));
    }

    private static float[] augmented(
            Augmentation augmentation, long seed, int epoch, int sample, byte[] picture, int size) {
        float[] target = new float[picture.length];
        new PictureAugmentation(augmentation, Preprocessing.symmetric(size), new DataRandom(seed))
                .apply(picture, sample, epoch, target, 0);
        return target;
    }

    @Test
    void augment_sameSeedEpochAndSample_isTheSame() {
        byte[] picture = data(3).picture(0, 12);
        float[] once = augmented(STRONG, 1, 2, 3, picture, 12);
        assertArrayEquals(once, augmented(STRONG, 1, 2, 3, picture, 12));
        assertFalse(Arrays.equals(once, augmented(STRONG, 2, 2, 3, picture, 12)));
        assertFalse(Arrays.equals(once, augmented(STRONG, 1, 3, 3, picture, 12)));
        assertFalse(Arrays.equals(once, augmented(STRONG, 1, 2, 4, picture, 12)));
        for (float value : once) {
            assertTrue(value >= -1 && value <= 1);
        }
        float[] plain = augmented(Augmentation.none(), 1, 2, 3, picture, 12);
        for (int i = 0; i < plain.length; i++) {
            assertEquals(((picture[i] & 255) / 255f - 0.5f) / 0.5f, plain[i], 1e-6f);
        }
        String caption = "one two three four five six";
        DataRandom random = new DataRandom(1);
        assertEquals(STRONG.caption(caption, random, 5, 6), STRONG.caption(caption, random, 5, 6));
        Set<String> seen = new HashSet<>();
        for (int epoch = 0; epoch < 30; epoch++) {
            String kept = STRONG.caption(caption, random, 5, epoch);
            assertTrue(!kept.isEmpty() && List.of(caption.split(" ")).containsAll(List.of(kept.split(" "))));
            seen.add(kept);
        }
        assertTrue(seen.size() > 10);
        assertEquals(caption, Augmentation.none().caption(caption, random, 5, 6));
        assertThrows(IllegalArgumentException.class, () -> new Augmentation(0, 1, 0, 0, 0, 0));
    }

    @Test
    void tokenizer_unseenWords_areSplitAndRoundTrip() throws IOException {
        List<String> captions = List.of(
                "Grinning face: happy, smile", "smiling cat", "cat with happy face", "Ünïcode flag", "flagpole");
        Tokenizer tokenizer = Tokenizer.train(captions, 200, 2);
        for (String caption : captions) {
            assertEquals(String.join(" ", Tokenizer.words(caption)), tokenizer.decode(tokenizer.encode(caption, 99)));
        }
        assertEquals(1, tokenizer.encode("cat", 9).length, "a frequent word is one token");
        int[] unseen = tokenizer.encode("facecat", 9);
        assertTrue(unseen.length > 1 && Arrays.stream(unseen).noneMatch(id -> id == Tokenizer.UNKNOWN));
        assertArrayEquals(new int[] {Tokenizer.UNKNOWN}, tokenizer.encode("???", 9));
        assertTrue(Arrays.stream(tokenizer.encode("жук", 9)).allMatch(id -> id == Tokenizer.UNKNOWN));
        Tokenizer whole = Tokenizer.train(captions, 500, 1);
        assertTrue(whole.vocabulary().wholeWords());
        assertArrayEquals(
                whole.encode("happy cat", 9), whole.encode("happy facecat cat", 9), "an unseen word among seen ones");
        assertTrue(whole.encode("facecat", 9).length > 1, "an unseen word alone");
        assertEquals(3, tokenizer.encode("grinning face happy smile", 3).length);
        assertTrue(Arrays.stream(tokenizer.encode("smiling flagpole", 50))
                .allMatch(id -> id > 0 && id < tokenizer.size()));
        assertEquals(tokenizer.vocabulary(), Tokenizer.train(captions, 200, 2).vocabulary());
        ObjectMapper json = new ObjectMapper();
        Tokenizer travelled = new Tokenizer(
                json.readValue(json.writeValueAsString(tokenizer.vocabulary()), Tokenizer.Vocabulary.class));
        assertArrayEquals(tokenizer.encode("happy flagpole cats", 50), travelled.encode("happy flagpole cats", 50));
        assertTrue(Tokenizer.train(captions, 60, 2).size() <= 60, "characters come first, then merges up to the size");
    }

    private BatchMaker maker(PairDataset data) {
        return new BatchMaker(
                data, Tokenizer.train(data.pairs().stream().map(Pair::caption).toList(), 60, 2), 8, 5, 4);
    }

    private static void assertEqualBatches(Batch a, Batch b) {
        assertArrayEquals(a.sampleIds(), b.sampleIds());
        assertArrayEquals(a.pictures(), b.pictures());
        assertArrayEquals(a.tokens(), b.tokens());
        assertArrayEquals(a.lengths(), b.lengths());
    }

    @Test
    void loader_anyThreadsOrResume_returnsTheSameBatches() {
        PairDataset data = data(11);
        BatchOrder plan = order(data, 4, 1);
        List<Batch> straight = new ArrayList<>();
        try (BatchLoader loader = new BatchLoader(plan, maker(data), STRONG, 0, 9, 1, 1)) {
            while (loader.hasNext()) {
                straight.add(loader.next());
            }
        }
        assertEquals(9, straight.size());
        try (BatchLoader loader = new BatchLoader(plan, maker(data), STRONG, 5, 9, 3, 4)) {
            for (int k = 5; k < 9; k++) {
                assertEqualBatches(straight.get(k), loader.next());
            }
            assertFalse(loader.hasNext());
            assertThrows(IllegalStateException.class, loader::next);
        }
        Batch batch = straight.get(0);
        assertEquals(4, batch.pairs());
        assertEquals(4 * 8 * 8 * 3, batch.pictures().length);
        assertEquals(4 * batch.maxTokens(), batch.tokens().length);
    }

    @Test
    void loader_failureInAWorker_reachesTheCaller() throws IOException {
        PairDataset data = data(6);
        Files.delete(folder.resolve("a1.png"));
        Files.delete(folder.resolve("b1.png"));
        Files.delete(folder.resolve("c1.png"));
        BatchOrder plan = order(data, 6, 1);
        try (BatchLoader loader = new BatchLoader(plan, maker(data), STRONG, 0, 3, 2, 2)) {
            DataException failed = assertThrows(DataException.class, loader::next);
            assertTrue(failed.getMessage().contains("1.png"), failed.getMessage());
            loader.close();
            loader.close();
            assertThrows(IllegalStateException.class, loader::next);
        }
    }
}
