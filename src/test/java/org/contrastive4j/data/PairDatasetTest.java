package org.contrastive4j.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.zip.GZIPOutputStream;
import javax.imageio.ImageIO;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.contrastive4j.support.PairFiles;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Reading pairs: every source gives the same, every fault has its sentence. */
class PairDatasetTest {
    @TempDir
    Path folder;

    private Path write(String name, String text) throws IOException {
        return Files.writeString(folder.resolve(name), text);
    }

    private static Map<String, Integer> leftOut(PairDataset data) {
        return data.check((decoded, total) -> {}).counts();
    }

    private static String refusal(Path path, boolean strict) {
        return assertThrows(DataException.class, () -> PairDataset.open(path, strict))
                .getMessage();
    }

    @Test
    void open_folderWithTsv_readsItsPairs() {
        PairDataset data = PairDataset.open(PairFiles.folder(folder, 4), true);
        assertEquals(12, data.pairs().size());
        assertEquals(List.of("a", "b", "c"), data.groups());
        Pair sample = data.pair(4);
        assertEquals(new Pair(4, "b1.png", "thing1: word1 kind1", "c1", "b", "", sample.source()), sample);
        assertEquals(12 * 12 * 3, data.picture(4, 12).length);
        assertEquals(Map.of(), leftOut(data));
    }

    @Test
    void open_csvWithQuotes_readsItsPairs() throws IOException {
        Files.write(folder.resolve("x.png"), PairFiles.png(8, 8, 1));
        Files.write(folder.resolve("y.png"), PairFiles.png(8, 8, 2));
        write("captions.csv", "image,caption\nx.png,\"one, with a comma\"\ny.png,two\nx.png,two\n");
        PairDataset data = PairDataset.open(folder, true);
        assertEquals("one, with a comma", data.pair(0).caption());
        assertNull(data.pair(1).concept());
        assertTrue(data.sameConcept(0, 2), "one picture");
        assertFalse(data.sameConcept(0, 1));
    }

    @Test
    void open_mediaFragments_cropsTheSheet() throws IOException {
        Files.write(folder.resolve("sheet.png"), PairFiles.png(20, 10, 1));
        write(
                "captions.tsv",
                "image\tcaption\nsheet.png#xywh=0,0,10,10\tleft\nsheet.png#xywh=10,0,10,10\tright\n"
                        + "sheet.png\tboth\nsheet.png#xywh=11,0,10,10\toutside\n");
        PairDataset data = PairDataset.open(folder, false);
        byte[] right = data.picture(1, 10);
        byte[] whole = data.picture(2, 10); // its central square
        assertArrayEquals(Arrays.copyOfRange(whole, 5 * 3, 10 * 3), Arrays.copyOfRange(right, 0, 5 * 3));
        assertEquals(Map.of("unreadable picture", 1), leftOut(data));
        assertTrue(refusal(folder, true)
                .contains("line 5: unreadable picture (sheet.png#xywh=11,0,10,10: rectangle outside its "
                        + "sheet of 20 x 10)"));
    }

    private Path shards(boolean packed) throws IOException {
        Path shards = Files.createDirectories(folder.resolve(packed ? "packed" : "plain"));
        for (int s = 0; s < 2; s++) {
            Path file = shards.resolve("shard-" + s + (packed ? ".tar.gz" : ".tar"));
            try (OutputStream out = Files.newOutputStream(file);
                    TarArchiveOutputStream tar = new TarArchiveOutputStream(packed ? new GZIPOutputStream(out) : out)) {
                for (int k = 0; k < 3; k++) {
                    String key = "dir/pair" + s + k;
                    member(tar, key + ".png", PairFiles.png(9, 9, 10 * s + k));
                    member(tar, key + ".txt", ("caption " + s + k).getBytes(StandardCharsets.UTF_8));
                    member(tar, key + ".json", ("{\"concept\":\"k" + k + "\"}").getBytes(StandardCharsets.UTF_8));
                }
            }
        }
        return shards;
    }

    private static void member(TarArchiveOutputStream tar, String name, byte[] bytes) throws IOException {
        TarArchiveEntry entry = new TarArchiveEntry(name);
        entry.setSize(bytes.length);
        tar.putArchiveEntry(entry);
        tar.write(bytes);
        tar.closeArchiveEntry();
    }

    @Test
    void open_shardsPlainOrPacked_readsTheSamePairs() throws IOException {
        PairDataset plain = PairDataset.open(shards(false), true);
        PairDataset packed = PairDataset.open(shards(true), true);
        assertEquals(6, plain.pairs().size());
        for (int k = 0; k < 6; k++) {
            int id = plain.ids()[k];
            assertEquals(plain.pair(id).caption(), packed.pair(id).caption());
            assertEquals("caption " + k / 3 + k % 3, plain.pair(id).caption());
            assertEquals("k" + k % 3, plain.pair(id).concept());
            assertArrayEquals(plain.picture(id, 9), packed.picture(id, 9));
        }
        PairDataset one = PairDataset.open(folder.resolve("plain/shard-1.tar"), true);
        assertArrayEquals(plain.picture(plain.ids()[4], 9), one.picture(one.ids()[1], 9));
    }

    @Test
    void open_truncatedShard_isRefused() throws IOException {
        Path shard = shards(false).resolve("shard-0.tar");
        byte[] bytes = Files.readAllBytes(shard);
        Files.write(shard, Arrays.copyOf(bytes, 700));
        assertTrue(refusal(folder.resolve("plain"), true).contains("shard-0.tar"));
    }

    @Test
    void open_damagedMembers_leavesOutOnlyTheirPairs() throws IOException {
        Path file = folder.resolve("mixed.tar");
        try (TarArchiveOutputStream tar = new TarArchiveOutputStream(Files.newOutputStream(file))) {
            for (int k = 0; k < 4; k++) {
                member(
                        tar,
                        "p" + k + (k == 3 ? ".webp" : ".png"),
                        k == 3 ? new byte[] {'R', 'I', 'F', 'F'} : PairFiles.png(9, 9, k));
                member(tar, "p" + k + ".txt", ("caption " + k).getBytes(StandardCharsets.UTF_8));
            }
            member(tar, "p1.json", "{\"concept\":".getBytes(StandardCharsets.UTF_8));
        }
        assertEquals(Map.of("damaged JSON", 1, "unreadable picture", 1), leftOut(PairDataset.open(file, false)));
        assertTrue(
                refusal(file, true).contains("mixed.tar!p1: damaged JSON (Unexpected end-of-input"),
                refusal(file, true));
    }

    @Test
    void open_captionFilesOfEditors_readsThem() throws IOException {
        Files.write(folder.resolve("x.png"), PairFiles.png(8, 8, 1));
        Path marked =
                write("marked.csv", "\uFEFFimage,caption\nx.png,\"over\ntwo lines\"\nx.png,two\nnone.png,three\n");
        assertEquals("over\ntwo lines", PairDataset.open(marked, false).pair(0).caption(), "byte-order mark");
        assertTrue(refusal(marked, true).contains("line 5: unreadable picture"), refusal(marked, true));
        Path latin = Files.write(
                folder.resolve("latin.tsv"),
                "image\tcaption\nx.png\tcaf\u00e9\n".getBytes(StandardCharsets.ISO_8859_1));
        assertTrue(refusal(latin, false).contains("latin.tsv is not UTF-8 text"), refusal(latin, false));
    }

    @Test
    void open_missingOrEmptyFolder_isRefused() throws IOException {
        assertTrue(refusal(folder.resolve("nowhere"), false).contains("does not exist"));
        assertTrue(
                refusal(Files.createDirectory(folder.resolve("empty")), false).contains("looked for captions.tsv"));
        write("captions.tsv", "picture\tcaption\nx.png\tone\n");
        assertTrue(refusal(folder, false).contains("expected at least image and caption"));
    }

    @Test
    void open_damagedPairs_areCountedOrRefused() throws IOException {
        PairFiles.folder(folder, 3);
        Files.writeString(folder.resolve("b1.png"), "this is no picture");
        Files.write(folder.resolve("c1.png"), Arrays.copyOf(PairFiles.png(12, 12, 5), 60));
        Files.delete(folder.resolve("a2.png"));
        String captions = Files.readString(folder.resolve("captions.tsv"));
        write("captions.tsv", captions.replace("thing0: word0 kind0\tc0\tb", " \tc0\tb"));
        PairDataset data = PairDataset.open(folder, false);
        assertEquals(8, data.pairs().size());
        assertEquals(Map.of("unreadable picture", 3, "empty caption", 1), leftOut(data));
        assertEquals(7, data.pair(7).id(), "ids have no gaps");
        assertTrue(refusal(folder, true).contains("line 3: empty caption"));
    }

    @Test
    void open_onePair_isRefused() throws IOException {
        Files.write(folder.resolve("x.png"), PairFiles.png(8, 8, 1));
        write("captions.tsv", "image\tcaption\nx.png\tone\nx.png\tone\n");
        assertTrue(refusal(folder, false).contains("at least two different"));
    }

    @Test
    void transparency_isWhite() {
        BufferedImage image = new BufferedImage(2, 2, BufferedImage.TYPE_INT_ARGB);
        image.setRGB(1, 0, 0xFF000000);
        image.setRGB(0, 1, 0x80000000);
        RgbPicture picture = PictureReader.of(image);
        byte white = (byte) 255;
        assertArrayEquals(new byte[] {white, white, white, 0, 0, 0, 127, 127, 127, white, white, white}, picture.rgb());
    }

    @Test
    void open_truncatedJpeg_isLeftOut() throws IOException {
        BufferedImage image = new BufferedImage(64, 64, BufferedImage.TYPE_INT_RGB);
        for (int i = 0; i < 64 * 64; i++) {
            image.setRGB(i % 64, i / 64, i * 7919);
        }
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        ImageIO.write(image, "jpg", bytes);
        byte[] whole = bytes.toByteArray();
        PairFiles.folder(folder, 2);
        Files.write(folder.resolve("a0.png"), whole); // the content decides, not the name
        assertEquals(6, PairDataset.open(folder, true).pairs().size());
        for (int share = 50; share <= 90; share += 20) {
            Files.write(folder.resolve("a0.png"), Arrays.copyOf(whole, whole.length * share / 100));
            assertEquals(Map.of("unreadable picture", 1), leftOut(PairDataset.open(folder, false)), share + "%");
            assertTrue(refusal(folder, true).contains("line 2: unreadable picture"));
        }
    }

    /** What the repository ships is what its README says. */
    @Test
    void open_emoji_hasWhatItsReadmeStates() throws Exception {
        Path emoji = Path.of("test-data/emoji");
        for (String line : Files.readAllLines(emoji.resolve("SHA256SUMS"))) {
            byte[] hash =
                    MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(emoji.resolve(line.substring(66))));
            assertEquals(line.substring(0, 64), HexFormat.of().formatHex(hash), line.substring(66));
        }
        PairDataset data = PairDataset.open(emoji, true);
        assertEquals(5733, data.pairs().size());
        assertEquals(List.of("noto", "twemoji", "openmoji"), data.groups());
        Map<String, Set<String>> groups = new HashMap<>();
        data.pairs()
                .forEach(sample -> groups.computeIfAbsent(sample.concept(), k -> new HashSet<>())
                        .add(sample.group()));
        assertEquals(1911, groups.size());
        assertTrue(groups.values().stream().allMatch(set -> set.size() == 3));
        Splits splits = Splits.of(data, "noto", 0.109, 1);
        assertEquals(2 * 1720, splits.train().size());
        assertEquals(1720, splits.tests().get("new-design").size());
        assertEquals(191, splits.tests().get("new-concept").size());
        Set<String> trained = new HashSet<>();
        splits.train().forEach(id -> trained.add(data.pair(id).concept()));
        assertTrue(splits.train().stream().noneMatch(id -> data.pair(id).group().equals("noto")));
        assertEquals(191, splits.tests().get("new-both").size());
        for (String split : List.of("new-concept", "new-both")) {
            String group = split.equals("new-both") ? "noto" : "twemoji";
            assertTrue(splits.tests().get(split).stream()
                    .noneMatch(id -> trained.contains(data.pair(id).concept())));
            assertTrue(splits.tests().get(split).stream()
                    .allMatch(id -> data.pair(id).group().equals(group)));
        }
        assertTrue(splits.tests().get("new-design").stream()
                .allMatch(id -> trained.contains(data.pair(id).concept())));
    }
}
