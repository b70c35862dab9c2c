package org.contrastive4j.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.zip.GZIPOutputStream;
import javax.imageio.ImageIO;
import org.contrastive4j.data.PairDataset.LeftOut;
import org.contrastive4j.support.JsonFuzz;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Shards as programs write them: each caption stays with its own picture, and what cannot be used is named. */
class ShardsTest {
    private static final List<String> COLOURS =
            List.of("red", "green", "blue", "cyan", "magenta", "yellow", "black", "white");
    private static final int[] RGB = {0xFF0000, 0x00FF00, 0x0000FF, 0x00FFFF, 0xFF00FF, 0xFFFF00, 0x000000, 0xFFFFFF};

    @TempDir
    Path folder;

    static byte[] png(int rgb) {
        BufferedImage image = new BufferedImage(6, 6, BufferedImage.TYPE_INT_RGB);
        for (int i = 0; i < 36; i++) {
            image.setRGB(i % 6, i / 6, rgb);
        }
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try {
            ImageIO.write(image, "png", bytes);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return bytes.toByteArray();
    }

    private static void colours(TarBytes tar) {
        for (int k = 0; k < COLOURS.size(); k++) {
            tar.file(k + ".png", png(RGB[k])).text(k + ".txt", COLOURS.get(k));
        }
    }

    /** Every caption names the colour of its picture. */
    private static PairDataset assertColours(Path path, int pairs) {
        PairDataset data = PairDataset.open(path, false);
        assertEquals(pairs, data.pairs().size());
        for (Pair pair : data.pairs()) {
            int rgb = RGB[COLOURS.indexOf(pair.caption())];
            assertArrayEquals(
                    new byte[] {(byte) (rgb >> 16), (byte) (rgb >> 8), (byte) rgb},
                    Arrays.copyOf(data.picture(pair.id(), 2), 3),
                    pair.caption());
        }
        return data;
    }

    private Path shard(TarBytes tar) {
        return tar.write(folder.resolve("shard.tar"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"gnu", "pax"})
    void sparseMember_doesNotShiftTheMembersAfterIt(String format) {
        TarBytes tar = new TarBytes();
        byte[] rest = new byte[700];
        if (format.equals("gnu")) {
            tar.gnuSparse("disk.bin", 8192, rest);
        } else {
            tar.paxSparse("disk.bin", 8192, rest);
        }
        colours(tar);
        assertColours(shard(tar), 8);
    }

    @ParameterizedTest
    @ValueSource(strings = {"gnu", "pax"})
    void sparsePicture_isReadWithItsHoles(String format) {
        byte[] bytes = png(RGB[0]);
        byte[] padded = new byte[bytes.length + 4000];
        System.arraycopy(bytes, 0, padded, 0, bytes.length);
        TarBytes tar = new TarBytes();
        colours(tar);
        String caption = "a picture that begins with a hole";
        if (format.equals("gnu")) {
            tar.gnuSparse("s.png", 1024, bytes);
        } else {
            tar.paxSparse("s.png", 1024, bytes);
        }
        tar.text("s.txt", caption);
        PairDataset data = PairDataset.open(shard(tar), false);
        assertEquals(9, data.pairs().size());
        Map<String, Integer> counts = data.check((done, total) -> {}).counts();
        assertEquals(Map.of("unreadable picture", 1), counts, "1,024 zeros precede the picture");
    }

    @Test
    void longNamesAndGlobalHeaders_areRead() {
        String longName = "folder/".repeat(30) + "0";
        TarBytes tar = new TarBytes()
                .pax('g', TarBytes.record("comment", "made by a test"))
                .member("././@LongLink", 'L', TarBytes.utf8(longName + ".png\0"))
                .file("cut", png(RGB[0]))
                .pax('x', TarBytes.record("path", longName + ".txt"))
                .text("cut", "red")
                .file("1.png", png(RGB[1]))
                .text("1.txt", "green");
        PairDataset data = assertColours(shard(tar), 2);
        assertEquals("shard.tar!" + longName, data.pair(data.ids()[0]).picture());
        assertEquals(0, data.leftOut().total());
    }

    @Test
    void membersThatAreNoPairs_areCountedByName() {
        TarBytes tar = new TarBytes();
        colours(tar);
        tar.member("directory/", '5', new byte[0])
                .link("hard.png", '1', "0.png")
                .link("soft.png", '2', "0.png")
                .file("._0.png", new byte[163])
                .file("README", new byte[3])
                .file("alone.png", png(RGB[1]))
                .text("lonely.txt", "red")
                .file("twice.png", png(RGB[1]))
                .file("twice.png", png(RGB[2]))
                .text("twice.txt", "red")
                .text("blank.txt", " ")
                .file("blank.png", png(RGB[2]));
        PairDataset data = assertColours(shard(tar), 8);
        assertEquals(
                Map.of(
                        "link in a shard", 2,
                        "resource fork of macOS", 1,
                        "member without a key and an extension", 1,
                        "no caption", 1,
                        "no picture", 1,
                        "duplicate member", 1,
                        "empty caption", 1),
                data.leftOut().counts());
        assertTrue(data.leftOut()
                .entries()
                .contains(new LeftOut.Entry("shard.tar!twice", "duplicate member", "twice.png")));
    }

    @Test
    void keys_endAtTheFirstDot() {
        TarBytes tar = new TarBytes()
                .file("22.05.png", png(RGB[0]))
                .text("22.05.txt", "red")
                .file("s0.input.jpg", png(RGB[1]))
                .text("s0.txt", "green")
                .file("7.a.png", png(RGB[2]))
                .file("7.b.png", png(RGB[3]))
                .text("7.txt", "blue");
        PairDataset data = assertColours(shard(tar), 2);
        assertEquals(
                List.of(new LeftOut.Entry(
                        "shard.tar!7",
                        "several pictures with one key",
                        ".a.png and .b.png; a key ends at the first dot")),
                data.leftOut().entries());
    }

    @Test
    void jsonCaptions_areReadAsImg2datasetWritesThem() {
        TarBytes tar = new TarBytes()
                .file("0.jpg", png(RGB[0]))
                .text("0.json", "{\"caption\":\"red\",\"status\":\"success\",\"sha256\":\"ab12\",\"split\":\"train\"}")
                .file("1.jpg", png(RGB[1]))
                .text("1.json", "{\"caption\":\"green\",\"sha256\":\"ab12\"}");
        PairDataset data = assertColours(shard(tar), 2);
        Pair first = data.pair(data.ids()[0]);
        assertEquals("train", first.split());
        assertTrue(data.sameConcept(data.ids()[0], data.ids()[1]), "one hash is one picture");
    }

    @Test
    void captionsWithAMark_loseIt_andLatin1IsNamed() {
        TarBytes tar = new TarBytes();
        colours(tar);
        tar.file("m.png", png(RGB[0]))
                .text("m.txt", "\uFEFFred")
                .file("l.png", png(RGB[0]))
                .file("l.txt", "caf\u00e9".getBytes(StandardCharsets.ISO_8859_1));
        PairDataset data = assertColours(shard(tar), 9);
        assertEquals(Map.of("caption that is not UTF-8", 1), data.leftOut().counts());
    }

    @Test
    void truncatedShard_costsItsRestOnly() throws IOException {
        TarBytes first = new TarBytes();
        colours(first);
        first.write(folder.resolve("0.tar"));
        TarBytes second =
                new TarBytes().file("a.png", png(RGB[0])).text("a.txt", "red").file("b.png", new byte[5000]);
        byte[] bytes = second.unfinished();
        Files.write(folder.resolve("1.tar"), Arrays.copyOf(bytes, bytes.length - 3000));
        PairDataset data = assertColours(folder, 9);
        assertEquals(Map.of("rest of a damaged shard", 1), data.leftOut().counts());
        assertEquals("1.tar", data.leftOut().entries().get(0).key());
        assertTrue(assertThrows(DataException.class, () -> PairDataset.open(folder, true))
                .getMessage()
                .contains("1.tar"));
    }

    @Test
    void compressedShardThatIsCutOff_keepsWhatPrecedesTheCut() throws IOException {
        TarBytes tar = new TarBytes();
        colours(tar);
        Random random = new Random(1);
        byte[] noise = new byte[100_000];
        random.nextBytes(noise);
        tar.file("noise.bin", noise);
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        try (GZIPOutputStream out = new GZIPOutputStream(packed)) {
            out.write(tar.bytes());
        }
        byte[] bytes = packed.toByteArray();
        Path shard = Files.write(folder.resolve("0.tar.gz"), Arrays.copyOf(bytes, bytes.length - 50_000));
        PairDataset data = assertColours(shard, 8);
        assertEquals(Map.of("rest of a damaged shard", 1), data.leftOut().counts());
    }

    @Test
    void bracePattern_namesEveryShard_andAMissingOne() {
        for (int s = 8; s < 11; s++) {
            new TarBytes()
                    .file("a.png", png(RGB[s - 8]))
                    .text("a.txt", COLOURS.get(s - 8))
                    .write(folder.resolve(String.format("%05d.tar", s)));
        }
        assertColours(folder.resolve("{00008..00010}.tar"), 3);
        assertColours(folder.resolve("0000{8,9}.tar"), 2);
        assertTrue(
                assertThrows(DataException.class, () -> PairDataset.open(folder.resolve("{00008..00011}.tar"), false))
                        .getMessage()
                        .contains("00011.tar"));
    }

    @Test
    void fingerprint_changesWithTheShards() throws IOException {
        TarBytes tar = new TarBytes();
        colours(tar);
        Path shard = shard(tar);
        String before = PairDataset.open(shard, false).fingerprint();
        assertEquals(before, PairDataset.open(shard, false).fingerprint());
        byte[] bytes = Files.readAllBytes(shard);
        bytes[600] ^= 1;
        Files.write(shard, bytes);
        assertTrue(!before.equals(PairDataset.open(shard, false).fingerprint()));
    }

    @Test
    void damagedBytes_neverEndInAnythingButNamedEntries() throws IOException {
        fuzz(400, 1);
    }

    /** {@code -Dfuzz.cases=100000} runs that many cases. */
    @Test
    @Tag("exhaustive")
    void damagedBytes_manyCases() throws IOException {
        fuzz(Integer.getInteger("fuzz.cases", 2_000), Long.getLong("fuzz.seed", 2));
    }

    @Test
    void damagedJson_neverEndsInAnythingButNamedEntries() throws IOException {
        fuzzJson(300, 1);
    }

    /** {@code -Dfuzz.cases=100000} runs that many cases. */
    @Test
    @Tag("exhaustive")
    void damagedJson_manyCases() throws IOException {
        fuzzJson(Integer.getInteger("fuzz.cases", 2_000), Long.getLong("fuzz.seed", 2));
    }

    private void fuzzJson(int cases, long seed) throws IOException {
        String json = "{\"caption\":\"green\",\"status\":\"success\",\"sha256\":\"ab\",\"width\":6,\"exif\":\"{}\","
                + "\"concept\":\"c\",\"split\":\"train\",\"nested\":{\"a\":[1,2.5,null]}}";
        Random random = new Random(seed);
        byte[] png = png(RGB[0]);
        Path file = folder.resolve("json.tar");
        int read = 0;
        for (int k = 0; k < cases; k++) {
            TarBytes tar = new TarBytes().file("0.png", png).text("0.txt", "red");
            tar.file("1.png", png).text("1.json", JsonFuzz.damaged(json, random));
            tar.file("2.png", png).text("2.txt", "blue").write(file);
            PairDataset data = PairDataset.open(file, false);
            int pairs = data.ids().length;
            assertEquals(3, pairs + data.leftOut().total(), "case " + k + ": read or named");
            read += pairs == 3 ? 1 : 0;
            for (int id : data.ids()) {
                assertTrue(!data.pair(id).caption().isBlank(), "case " + k);
            }
        }
        assertTrue(read < cases, read + " of " + cases);
    }

    private void fuzz(int cases, long seed) throws IOException {
        TarBytes tar = new TarBytes()
                .pax('x', TarBytes.record("path", "0.png"))
                .file("x", png(RGB[0]))
                .text("0.txt", "red")
                .gnuSparse("hole", 4096, new byte[100])
                .paxSparse("1.png", 0, png(RGB[1]))
                .text("1.json", "{\"caption\":\"green\"}")
                .file("2.png", png(RGB[2]))
                .text("2.txt", "blue");
        byte[] whole = tar.bytes();
        Random random = new Random(seed);
        Path file = folder.resolve("fuzz.tar");
        for (int k = 0; k < cases; k++) {
            byte[] bytes = whole.clone();
            int changes = 1 + random.nextInt(4);
            for (int c = 0; c < changes; c++) {
                bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
            }
            if (random.nextInt(3) == 0) {
                bytes = Arrays.copyOf(bytes, random.nextInt(bytes.length));
            }
            if (random.nextBoolean()) {
                repairChecksums(bytes);
            }
            Files.write(file, bytes);
            try {
                PairDataset.open(file, false).check((done, total) -> {});
            } catch (DataException tooLittleIsLeft) {
                assertTrue(tooLittleIsLeft.getMessage().contains("usable pairs"), "case " + k + ": " + tooLittleIsLeft);
            }
        }
    }

    /** Makes damaged headers pass their checksum, so that their other fields are read. */
    private static void repairChecksums(byte[] bytes) {
        for (int at = 0; at + 512 <= bytes.length; at += 512) {
            if (bytes[at + 257] == 'u') {
                byte[] header = Arrays.copyOfRange(bytes, at, at + 512);
                byte[] repaired = new TarBytes().raw(header).unfinished();
                System.arraycopy(repaired, 0, bytes, at, 512);
            }
        }
    }
}
