package org.contrastive4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.contrastive4j.Backend;
import org.contrastive4j.data.BatchMaker;
import org.contrastive4j.data.Pair;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.data.Tokenizer;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.support.PairFiles;
import org.contrastive4j.support.TinyPairs;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Assignment of pictures to classes by words of their captions. */
class ClassificationTest {
    @TempDir
    Path folder;

    private interface Work {
        void run(Ops ops, PairDataset data, Embedder embedder, List<Integer> all);
    }

    private void with(Work work) throws IOException {
        StringBuilder rows = new StringBuilder("image,caption\n");
        for (int k = 0; k < 24; k++) {
            Files.write(folder.resolve(k + ".png"), PairFiles.png(8, 8, k));
            rows.append(k)
                    .append(".png,")
                    .append(k % 2 == 0 ? "Red thing" : "a small fire truck")
                    .append('\n');
        }
        PairDataset data = PairDataset.open(Files.writeString(folder.resolve("x.csv"), rows), true);
        List<Integer> all = data.pairs().stream().map(Pair::id).toList();
        Tokenizer tokenizer =
                Tokenizer.train(data.pairs().stream().map(Pair::caption).toList(), 23, 99);
        DualEncoder.Config tiny = TinyPairs.model(0);
        DualEncoder.Config sizes =
                new DualEncoder.Config(tiny.image(), tiny.text().withVocabulary(tokenizer.size()));
        try (Ops ops = Backend.open("cpu");
                DualEncoder model = new DualEncoder(ops, sizes, 1)) {
            work.run(ops, data, new Embedder(ops, model, data, new BatchMaker(data, tokenizer, 8, 6, 1)), all);
        }
    }

    @Test
    void zeroShot_comparesClassNamesWithoutCaseAndBlanks() throws IOException {
        with((ops, data, embedder, all) -> {
            Classification classification =
                    new Classification(ops, data, embedder, List.of("RED", " Fire  truck "), List.of("{}", "a {}"));
            assertEquals(List.of(), classification.unmatched(all));
            Classification.Result zeroShot = classification.zeroShot(all);
            assertEquals(24, zeroShot.pictures());
            assertEquals(0, zeroShot.unlabelled());
            assertEquals(0.5, zeroShot.largestClass());
            assertEquals(1, zeroShot.top5());
            assertEquals(24, classification.linearProbe(all, all).result().pictures());
        });
    }

    @Test
    void unmatched_returnsClassesThatOccurInNoCaption() throws IOException {
        with((ops, data, embedder, all) -> {
            Classification classification =
                    new Classification(ops, data, embedder, List.of("red", "zebra"), List.of("{}"));
            assertEquals(List.of("zebra"), classification.unmatched(all));
            assertEquals(12, classification.zeroShot(all).unlabelled());
            assertTrue(assertThrows(
                            IllegalArgumentException.class,
                            () -> new Classification(ops, data, embedder, List.of("red", "Red"), List.of("{}")))
                    .getMessage()
                    .contains("two different classes"));
        });
    }
}
