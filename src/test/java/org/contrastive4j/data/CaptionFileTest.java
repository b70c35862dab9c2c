package org.contrastive4j.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.contrastive4j.data.PairDataset.LeftOut;
import org.contrastive4j.support.PairFiles;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Caption files as people write them. */
class CaptionFileTest {
    @TempDir
    Path folder;

    @BeforeEach
    void pictures() throws IOException {
        for (String name : List.of("a.png", "b.png", "c.png")) {
            Files.write(folder.resolve(name), PairFiles.png(8, 8, name.charAt(0)));
        }
    }

    private Path write(String name, String text) {
        try {
            return Files.writeString(folder.resolve(name), text);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    @Test
    void rowWithSurplusFields_isLeftOutAndNamesItsLine() {
        Path csv = write("x.csv", "image,caption\na.png,a man, a dog and a ball\nb.png,two\nc.png,three\n");
        PairDataset data = PairDataset.open(csv, false);
        assertEquals(2, data.pairs().size());
        LeftOut.Entry entry = data.leftOut().entries().get(0);
        assertTrue(entry.key().endsWith("x.csv line 2"), entry.key());
        assertEquals("surplus fields", entry.reason());
        String message = assertThrows(DataException.class, () -> PairDataset.open(csv, true))
                .getMessage();
        assertTrue(message.contains("x.csv line 2: surplus fields (3 fields, the header has 2"), message);
        Path tsv = write("x.tsv", "image\tcaption\na.png\tone\nb.png\ttwo\tand a tab\nc.png\tthree\n");
        message = assertThrows(DataException.class, () -> PairDataset.open(tsv, true))
                .getMessage();
        assertTrue(message.contains("x.tsv line 3: surplus fields"), message);
    }

    @Test
    void read_again_returnsTheSameRows() {
        StringBuilder text = new StringBuilder("\uFEFFimage,caption,concept,group,split\n");
        for (int k = 0; k < 40_000; k++) { // more than are kept
            text.append(k % 3 == 0 ? "a.png" : "./b.png")
                    .append(k % 7 == 0 ? ",\"over\ntwo \"\"lines\"\", ä " : ",\"plain ")
                    .append(k)
                    .append("\",concept ")
                    .append(k % 5)
                    .append(",g,")
                    .append(k % 2 == 0 ? "train" : "val")
                    .append('\n');
        }
        PairDataset data = PairDataset.open(write("x.csv", text.toString()), false);
        assertEquals(40_000, data.ids().length);
        for (int id : new int[] {0, 1, 6, 7, 21, 777, 39_998, 39_999}) {
            Pair pair = data.pair(id);
            assertEquals((id % 7 == 0 ? "over\ntwo \"lines\", ä " : "plain ") + id, pair.caption());
            assertEquals("concept " + id % 5, pair.concept());
            assertEquals(id % 3 == 0 ? "a.png" : "b.png", pair.picture());
            assertEquals(id % 2 == 0 ? "train" : "val", pair.split());
        }
        int before = (39_999 + 6) / 7; // rows over two lines before the last
        assertTrue(
                data.pair(39_999).source().endsWith("line " + (2 + 39_999 + before)),
                data.pair(39_999).source());
    }

    @Test
    void splitsOfTheDataSet_areKept() {
        PairDataset data = PairDataset.open(
                write(
                        "x.csv",
                        "image,caption,split\na.png,one,train\nb.png,two,restval\nc.png,three,val\na.png,four,test\n"),
                false);
        Splits splits = Splits.of(data, "", 0.5, 1);
        assertEquals(List.of(0, 1), splits.train());
        assertEquals(Map.of("val", List.of(2), "test", List.of(3)), splits.tests());
    }

    @Test
    void addedConcepts_changeNoOtherSide() {
        StringBuilder rows = new StringBuilder("image,caption,concept\n");
        Map<String, Boolean> before = sides(rows, 0, 60);
        Map<String, Boolean> after = sides(rows, 60, 80);
        before.forEach((concept, trained) -> assertEquals(trained, after.get(concept), concept));
        assertEquals(80, after.size());
    }

    private Map<String, Boolean> sides(StringBuilder rows, int from, int to) {
        for (int k = from; k < to; k++) {
            rows.append("a.png,caption ")
                    .append(k)
                    .append(",concept ")
                    .append(k)
                    .append('\n');
        }
        PairDataset data = PairDataset.open(write("x.csv", rows.toString()), false);
        Splits splits = Splits.of(data, "", 0.3, 1);
        Map<String, Boolean> sides = new java.util.HashMap<>();
        data.pairs().forEach(pair -> sides.put(pair.concept(), splits.isTrained(pair)));
        return sides;
    }

    @Test
    void fingerprint_changesWithTheCaptions() {
        String one = PairDataset.open(write("x.csv", "image,caption\na.png,one\nb.png,two\n"), false)
                .fingerprint();
        String shifted = PairDataset.open(write("x.csv", "image,caption\na.png,two\nb.png,one\n"), false)
                .fingerprint();
        assertFalse(one.equals(shifted));
        assertEquals(64 + 1 + 64, one.length());
    }

    @Test
    void fingerprint_changesWithEveryPictureOfASmallDataSet_andNotWithTheirTimes() throws IOException {
        Path file = write("x.csv", "image,caption\na.png,one\n\"s.png#xywh=0,0,1,1\",two\n");
        Files.write(folder.resolve("a.png"), new byte[9000]);
        Files.write(folder.resolve("s.png"), new byte[9000]);
        String before = PairDataset.open(file, false).fingerprint();
        for (String name : List.of("a.png", "s.png")) {
            byte[] bytes = new byte[9000];
            bytes[5000] = 1;
            Files.write(folder.resolve(name), bytes);
            assertNotEquals(before, PairDataset.open(file, false).fingerprint(), name);
            Files.write(folder.resolve(name), new byte[9000]);
            Files.setLastModifiedTime(folder.resolve(name), FileTime.fromMillis(0));
            assertEquals(before, PairDataset.open(file, false).fingerprint(), name);
        }
    }

    /** Of files after the first bytes only both ends, then only the size count. */
    @Test
    void fileContents_beyondItsLimits_readsEndsThenSizes() throws IOException {
        String[] texts = new String[4];
        for (int changed = 0; changed < texts.length; changed++) {
            FileContents contents = new FileContents(10_000, 1);
            for (int k = 0; k < 3; k++) {
                byte[] bytes = new byte[9000 + k];
                bytes[changed == k + 1 ? 4500 : 100] = 1;
                Path file = Files.write(folder.resolve(k + ".bin"), bytes);
                contents.add(k + ".bin", file);
            }
            texts[changed] = contents.text();
        }
        assertNotEquals(texts[0], texts[1], "whole");
        assertNotEquals(texts[0], texts[2], "the changed byte was at an end");
        assertEquals(texts[0], texts[3], "only the size counts");
    }

    @Test
    void leftOutFile_hasKeyReasonAndCause() throws IOException {
        PairDataset data = PairDataset.open(
                write("x.csv", "image,caption\na.png,one\nb.png,two\nmissing.png,three\nc.png, \n"), false);
        data.check((done, total) -> {});
        Path file = folder.resolve("left-out.tsv");
        Files.writeString(file, data.leftOut().table());
        List<String> lines = Files.readAllLines(file);
        assertEquals("key\treason\tcause", lines.get(0));
        assertTrue(lines.get(1).endsWith("x.csv line 5\tempty caption\t"), lines.get(1));
        assertTrue(lines.get(2).endsWith("x.csv line 4\tunreadable picture\tmissing.png: no such file"), lines.get(2));
    }

    @Test
    void randomText_isReadOrRefusedWithADataException() {
        fuzz(500, 1);
    }

    /** {@code -Dfuzz.cases=100000} runs that many cases. */
    @Test
    @Tag("exhaustive")
    void randomText_manyCases() {
        fuzz(Integer.getInteger("fuzz.cases", 2_000), Long.getLong("fuzz.seed", 2));
    }

    private void fuzz(int cases, long seed) {
        String[] parts = {
            "a.png", "b.png", ",", "\t", "\"", "\n", "\r\n", "one", "two", " ", "ä", "\u0000", "\uD83D\uDE00"
        };
        Random random = new Random(seed);
        for (int k = 0; k < cases; k++) {
            boolean tabs = random.nextBoolean();
            StringBuilder text = new StringBuilder(tabs ? "image\tcaption\n" : "image,caption\n");
            int length = random.nextInt(60);
            for (int i = 0; i < length; i++) {
                text.append(parts[random.nextInt(parts.length)]);
            }
            Path file = write(tabs ? "f.tsv" : "f.csv", text.toString());
            try {
                PairDataset data = PairDataset.open(file, false);
                CaptionFile again = CaptionFile.open(file, new LeftOut());
                again.forgetPairs();
                for (int id : data.ids()) {
                    assertEquals(data.pair(id), again.pair(id), "case " + k + " " + text);
                }
            } catch (DataException | IOException refused) {
                assertTrue(refused.getMessage() != null && !refused.getMessage().isEmpty());
            }
        }
    }

    @Test
    void open_withBrokenQuotes_namesLineAndRemedyWithoutJavaNames() {
        String message = assertThrows(
                        DataException.class,
                        () -> PairDataset.open(write("x.csv", "image,caption\na.png,\"one\" x\nb.png,two\n"), false))
                .getMessage();
        assertTrue(message.contains("line: 2") && message.contains("double the marks inside"), message);
        assertFalse(message.contains("Exception"), message);
    }

    /** As Flickr8k is distributed: captions.txt beside the folder Images. */
    @Test
    void captionsTxt_withPicturesInImages_isRead() throws IOException {
        Path flickr = Files.createDirectories(folder.resolve("flickr/Images")).getParent();
        Files.write(flickr.resolve("Images/1.jpg"), PairFiles.png(8, 8, 1));
        Files.write(flickr.resolve("Images/2.jpg"), PairFiles.png(8, 8, 2));
        Files.writeString(
                flickr.resolve("captions.txt"),
                "image,caption\n1.jpg,\"A dog , and a \"\"cat\"\" .\"\n1.jpg,A cat .\n2.jpg,A bird .\n");
        PairDataset data = PairDataset.open(flickr, true);
        assertEquals(3, data.pairs().size());
        assertEquals("A dog , and a \"cat\" .", data.pair(0).caption());
    }

    /** Names that macOS wrote are decomposed, those of a caption file are mostly composed. */
    @Test
    void picture_namedInTheOtherUnicodeForm_isFound() throws IOException {
        Files.write(folder.resolve("cafe\u0301.png"), PairFiles.png(8, 8, 1));
        Files.write(folder.resolve("\u00fc.png"), PairFiles.png(8, 8, 2));
        Path csv = write("x.csv", "image,caption\ncaf\u00e9.png,one\nu\u0308.png,two\n");
        assertEquals(2, PairDataset.open(csv, true).pairs().size());
    }

    @Test
    void filesOfOtherFormats_areRefusedWithWhatToDo() {
        Path semicolons = write("s.csv", "image;caption\na.png;one\n");
        assertTrue(assertThrows(DataException.class, () -> PairDataset.open(semicolons, false))
                .getMessage()
                .contains("another separator"));
        Path coco = write("captions_train2017.json", "{}");
        assertTrue(assertThrows(DataException.class, () -> PairDataset.open(coco, false))
                .getMessage()
                .contains("COCO"));
    }
}
