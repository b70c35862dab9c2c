package org.contrastive4j.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Set;
import org.contrastive4j.data.BatchOrder.Identities;
import org.contrastive4j.support.PairFiles;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Picture, concept and tokens are three identities; none of them is in a batch twice. */
class IdentitiesTest {
    @TempDir
    Path folder;

    private PairDataset csv(String rows) {
        try {
            for (int k = 0; k < 8; k++) {
                Files.write(folder.resolve(k + ".png"), PairFiles.png(8, 8, k));
            }
            return PairDataset.open(Files.writeString(folder.resolve("x.csv"), "image,caption\n" + rows), false);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Tokenizer tokenizer(PairDataset data) {
        return Tokenizer.train(data.pairs().stream().map(Pair::caption).toList(), 500, 1);
    }

    private static BatchOrder order(PairDataset data, int batch) {
        Identities identities = new Identities(data, tokenizer(data), 16);
        return BatchOrder.of(data, Splits.of(data, "", 0, 1), identities, batch, 1);
    }

    @Test
    void fiveCaptionsOfAPicture_areNeverInOneBatch_andAllAreShown() {
        StringBuilder rows = new StringBuilder();
        for (int k = 0; k < 8; k++) {
            for (int c = 0; c < 5; c++) {
                rows.append(k)
                        .append(".png,caption ")
                        .append(c)
                        .append(" of picture ")
                        .append(k)
                        .append('\n');
            }
        }
        PairDataset data = csv(rows.toString());
        Iterator<BatchOrder.Planned> batches = order(data, 8).from(0);
        Set<Integer> shown = new HashSet<>();
        for (int epoch = 0; epoch < 5; epoch++) {
            Set<String> pictures = new HashSet<>();
            for (int id : batches.next().samples()) {
                assertTrue(pictures.add(data.pair(id).picture()));
                shown.add(id);
            }
        }
        assertEquals(40, shown.size(), "five epochs show all captions");
    }

    @Test
    void captionsWithEqualTokens_areNeverInOneBatch() {
        PairDataset data = csv("0.png,A dog.\n1.png,a dog\n2.png,a  dog\n3.png,a cat\n4.png,a bird\n5.png,a fish\n");
        Identities identities = new Identities(data, tokenizer(data), 16);
        assertEquals(identities.label(0), identities.label(1));
        assertEquals(identities.label(0), identities.label(2));
        assertNotEquals(identities.label(0), identities.label(3));
        Iterator<BatchOrder.Planned> batches = order(data, 4).from(0);
        for (int k = 0; k < 20; k++) {
            int dogs = 0;
            for (int id : batches.next().samples()) {
                dogs += id < 3 ? 1 : 0;
            }
            assertTrue(dogs <= 1, "batch " + k);
        }
        assertTrue(assertThrows(DataException.class, () -> order(data, 5))
                .getMessage()
                .contains("only 4 pairs"));
    }

    @Test
    void captionsOfEmojiOnly_areRefusedBeforeTraining() {
        PairDataset data = csv("0.png,\uD83D\uDE00\n1.png,\uD83D\uDE01\n2.png,\uD83D\uDE02\n3.png,\uD83D\uDE03\n");
        Tokenizer tokenizer = tokenizer(data);
        assertEquals(1.0, tokenizer.unknownShare(List.of("\uD83D\uDE00", "\uD83D\uDE01"), 16));
        assertTrue(assertThrows(DataException.class, () -> order(data, 4))
                .getMessage()
                .contains("only 1 pairs of the training data have different pictures, concepts and captions"));
    }

    @Test
    void decomposedAndComposedSpellings_haveEqualTokens() {
        Tokenizer tokenizer = Tokenizer.train(List.of("caf\u00e9 noir", "un caf\u00e9"), 200, 1);
        assertArrayEquals(tokenizer.encode("caf\u00e9", 9), tokenizer.encode("cafe\u0301", 9));
    }

    @Test
    void tokenizerTraining_takesSecondsFor20000Words() {
        List<String> captions = new ArrayList<>();
        java.util.Random random = new java.util.Random(1);
        for (int k = 0; k < 20_000; k++) {
            StringBuilder word = new StringBuilder();
            for (int i = 0; i < 4 + random.nextInt(8); i++) {
                word.append((char) ('a' + (int) (26 * Math.pow(random.nextDouble(), 2))));
            }
            captions.add(word + " " + word);
        }
        long start = System.nanoTime();
        Tokenizer tokenizer = Tokenizer.train(captions, 8_000, 2);
        double seconds = (System.nanoTime() - start) / 1e9;
        assertEquals(8_000, tokenizer.size());
        assertTrue(seconds < 30, seconds + " s; counting all pairs anew for each merge takes minutes");
    }

    /** Merges are those of the plain algorithm, which counts all pairs anew each time. */
    @Test
    void incrementalTraining_givesTheMergesOfThePlainAlgorithm() {
        List<String> captions =
                List.of("aaaa aaab banana bandana", "ababab banana aab", "xyxyxyx yxyx aaaaa", "banana");
        List<List<String>> words = new ArrayList<>();
        captions.forEach(caption -> Tokenizer.words(caption).forEach(word -> words.add(Tokenizer.characters(word))));
        List<List<String>> expected = new ArrayList<>();
        while (true) {
            java.util.TreeMap<String, Integer> counts = new java.util.TreeMap<>();
            for (List<String> word : words) {
                for (int i = 0; i + 1 < word.size(); i++) {
                    counts.merge(word.get(i) + "\0" + word.get(i + 1), 1, Integer::sum);
                }
            }
            String best = counts.entrySet().stream()
                    .filter(e -> e.getValue() >= 2)
                    .max(java.util.Map.Entry.<String, Integer>comparingByValue()
                            .thenComparing(java.util.Map.Entry.<String, Integer>comparingByKey()
                                    .reversed()))
                    .map(java.util.Map.Entry::getKey)
                    .orElse(null);
            if (best == null) {
                break;
            }
            String[] pair = best.split("\0");
            expected.add(List.of(pair));
            for (List<String> word : words) {
                for (int i = 0; i + 1 < word.size(); i++) {
                    if (word.get(i).equals(pair[0]) && word.get(i + 1).equals(pair[1])) {
                        word.set(i, pair[0] + pair[1]);
                        word.remove(i + 1);
                    }
                }
            }
        }
        assertEquals(expected, Tokenizer.train(captions, 1_000, 2).vocabulary().merges());
    }

    private PairDataset shards(int shards, int pairs) {
        for (int s = 0; s < shards; s++) {
            TarBytes tar = new TarBytes();
            for (int k = 0; k < pairs; k++) {
                int n = s * pairs + k;
                tar.file(n + ".png", PairFiles.png(6, 6, n)).text(n + ".txt", "word" + n + (n % 9 == 0 ? "" : " more"));
            }
            tar.write(folder.resolve(s + ".tar"));
        }
        return PairDataset.open(folder, false);
    }

    @Test
    void shards_showEveryPairOnceAnEpoch_andContinueWhereTheyStopped() {
        PairDataset data = shards(5, 20);
        Iterator<BatchOrder.Planned> batches = order(data, 9).from(0);
        List<int[]> all = new ArrayList<>();
        for (int epoch = 0; epoch < 3; epoch++) {
            Set<Integer> shown = new HashSet<>();
            for (int b = 0; b < 11; b++) {
                BatchOrder.Planned planned = batches.next();
                assertEquals(epoch, planned.epoch());
                all.add(planned.samples());
                for (int id : planned.samples()) {
                    assertTrue(shown.add(id), "a pair twice in an epoch");
                }
            }
        }
        assertFalse(java.util.Arrays.equals(all.get(0), all.get(11)), "epochs have their own order");
        Iterator<BatchOrder.Planned> resumed = order(shards(5, 20), 9).from(17);
        for (int k = 17; k < 33; k++) {
            assertArrayEquals(all.get(k), resumed.next().samples(), "step " + k);
        }
    }

    @Test
    void pictureThatCannotBeRead_isReplacedInItsBatch() throws IOException {
        PairDataset data = csv("0.png,zero\n1.png,one\n2.png,two\n3.png,three\n4.png,four\n5.png,five\n");
        Files.delete(folder.resolve("2.png"));
        BatchMaker maker = new BatchMaker(data, tokenizer(data), 8, 4, 1);
        Iterator<BatchOrder.Planned> batches = order(data, 4).from(0);
        for (int k = 0; k < 6; k++) {
            Set<Integer> ids = new HashSet<>();
            for (int id : maker.make(batches.next(), Augmentation.none()).sampleIds()) {
                assertTrue(id != 2 && ids.add(id));
            }
        }
        assertEquals(
                List.of("unreadable picture"),
                List.copyOf(data.leftOut().counts().keySet()));
        assertEquals(1, data.leftOut().total(), "counted once");
    }
}
