package org.contrastive4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
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

/** Search for pictures by text. */
class SearchTest {
    private static final int PICTURES = 6;

    @TempDir
    Path folder;

    @Test
    void find_ofPicturesWithSeveralCaptions_returnsDistinctPictures() throws IOException {
        search(true, search -> {
            assertEquals(4, distinctPictures(search.find("red thing", 4)));
            assertEquals(PICTURES, search.find("red thing", 100).size());
            assertEquals(5, search.row("red thing", 2, 5, 8).cells().size());
        });
    }

    @Test
    void find_withAnUnreadablePicture_leavesItOut() throws IOException {
        search(false, search -> {
            assertEquals(PICTURES - 1, search.find("red thing", 100).size());
            assertEquals(
                    PICTURES - 1, search.row("red thing", 2, 100, 8).cells().size());
        });
    }

    /** Opens a search of pictures with three captions each; one picture may be unreadable. */
    private void search(boolean readable, Consumer<Search> test) throws IOException {
        StringBuilder rows = new StringBuilder("image,caption\n");
        for (int k = 0; k < PICTURES; k++) {
            Files.write(folder.resolve(k + ".png"), PairFiles.png(8, 8, k));
            for (String colour : List.of("red", "green", "blue")) {
                rows.append(k)
                        .append(".png,")
                        .append(colour)
                        .append(" thing ")
                        .append(k)
                        .append('\n');
            }
        }
        if (!readable) {
            Files.writeString(folder.resolve("4.png"), "no picture");
        }
        PairDataset data = PairDataset.open(Files.writeString(folder.resolve("x.csv"), rows), readable);
        List<Integer> all = data.pairs().stream().map(Pair::id).toList();
        Tokenizer tokenizer =
                Tokenizer.train(data.pairs().stream().map(Pair::caption).toList(), 23, 99);
        DualEncoder.Config tiny = TinyPairs.model(0);
        DualEncoder.Config sizes =
                new DualEncoder.Config(tiny.image(), tiny.text().withVocabulary(tokenizer.size()));
        try (Ops ops = Backend.open("cpu");
                DualEncoder model = new DualEncoder(ops, sizes, 1);
                Search search = new Search(
                        ops, data, new Embedder(ops, model, data, new BatchMaker(data, tokenizer, 8, 6, 1)), all)) {
            test.accept(search);
        }
    }

    private static long distinctPictures(List<Search.Match> matches) {
        return matches.stream().map(match -> match.sample() / 3).distinct().count();
    }
}
