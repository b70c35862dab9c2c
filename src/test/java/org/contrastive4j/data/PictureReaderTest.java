package org.contrastive4j.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.contrastive4j.support.PairFiles;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Decoded pixels against known values, for every kind of PNG and the kinds of JPEG, WebP and TIFF in use. */
class PictureReaderTest {
    private static final Path PICTURES = Path.of("test-data/pictures");

    private static Arguments png(String name, int depth, int type, int[] samples, int[] rgb, byte[]... chunks) {
        return Arguments.of(name, depth, type, samples, rgb, chunks);
    }

    private static final byte[] PALETTE = {10, 20, 30, (byte) 200, 100, 50};

    /** One pixel each: bit depth, colour type, its samples, and its colour on white. */
    static Stream<Arguments> kindsOfPng() {
        return Stream.of(
                png("grey 1", 1, 0, new int[] {1}, new int[] {255, 255, 255}),
                png("grey 2", 2, 0, new int[] {1}, new int[] {85, 85, 85}),
                png("grey 4", 4, 0, new int[] {8}, new int[] {136, 136, 136}),
                png("grey 8", 8, 0, new int[] {128}, new int[] {128, 128, 128}),
                png("grey 16", 16, 0, new int[] {128 * 257}, new int[] {128, 128, 128}),
                png("grey 8 with tRNS", 8, 0, new int[] {128}, new int[] {128, 128, 128}, new byte[] {0, 7}),
                png("grey 8, transparent", 8, 0, new int[] {7}, new int[] {255, 255, 255}, new byte[] {0, 7}),
                png("rgb 8", 8, 2, new int[] {200, 100, 50}, new int[] {200, 100, 50}),
                png("rgb 16", 16, 2, new int[] {200 * 257, 100 * 257, 50 * 257}, new int[] {200, 100, 50}),
                png("palette 1", 1, 3, new int[] {1}, new int[] {200, 100, 50}),
                png("palette 2", 2, 3, new int[] {1}, new int[] {200, 100, 50}),
                png("palette 4", 4, 3, new int[] {0}, new int[] {10, 20, 30}),
                png("palette 8", 8, 3, new int[] {1}, new int[] {200, 100, 50}),
                png("palette 8 with tRNS", 8, 3, new int[] {0}, new int[] {132, 137, 142}, new byte[] {(byte) 128}),
                png("grey and alpha 8, opaque", 8, 4, new int[] {128, 255}, new int[] {128, 128, 128}),
                png("grey and alpha 8, half", 8, 4, new int[] {128, 128}, new int[] {191, 191, 191}),
                png("grey and alpha 16", 16, 4, new int[] {128 * 257, 128 * 257}, new int[] {191, 191, 191}),
                png("rgba 8", 8, 6, new int[] {200, 100, 50, 128}, new int[] {227, 177, 152}),
                png("rgba 16", 16, 6, new int[] {51400, 25700, 12850, 128 * 257}, new int[] {227, 177, 152}));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("kindsOfPng")
    void png_hasTheKnownColour(String name, int depth, int type, int[] samples, int[] rgb, byte[][] transparency)
            throws IOException {
        PngBytes png = new PngBytes(1, 1, depth, type);
        if (type == 3) {
            png.chunk("PLTE", PALETTE);
        }
        for (byte[] chunk : transparency) {
            png.chunk("tRNS", chunk);
        }
        RgbPicture picture = PictureReader.read(png.finish(new int[][] {samples}, depth));
        int[] actual = new int[3];
        Arrays.setAll(actual, c -> picture.rgb()[c] & 255);
        assertArrayEquals(rgb, actual, Arrays.toString(actual));
    }

    static Stream<Map.Entry<String, JsonNode>> files() throws IOException {
        return new ObjectMapper().readTree(PICTURES.resolve("expected.json").toFile()).properties().stream();
    }

    @ParameterizedTest
    @MethodSource("files")
    void file_isDecodedAsPillowDoes(Map.Entry<String, JsonNode> file) throws IOException {
        RgbPicture picture = PictureReader.read(Files.readAllBytes(PICTURES.resolve(file.getKey())));
        JsonNode expected = file.getValue();
        assertEquals(expected.get("width").intValue(), picture.width());
        assertEquals(expected.get("height").intValue(), picture.height());
        boolean exact = file.getKey().matches("(lossless|alpha|.*-6)\\.(webp|png)|.*\\.tif");
        int tolerance = exact
                ? 1
                : file.getKey().startsWith("cmyk") ? 40 : file.getKey().matches("(subsampled|lossy).*") ? 16 : 8;
        for (int k = 0; k < 16; k++) {
            int x = k % 4 * (picture.width() - 1) / 3;
            int y = k / 4 * (picture.height() - 1) / 3;
            for (int c = 0; c < 3; c++) {
                int value = picture.rgb()[3 * (y * picture.width() + x) + c] & 255;
                int known = expected.get("grid").get(k).get(c).intValue();
                assertTrue(
                        Math.abs(value - known) <= tolerance,
                        "pixel " + x + ", " + y + " channel " + c + ": expected " + known + ", got " + value);
            }
        }
    }

    /** A small file whose header states a large picture. */
    private static byte[] claiming(int width, int height) throws IOException {
        byte[] jpeg = Files.readAllBytes(PICTURES.resolve("rgb.jpg"));
        for (int at = 2; ; at += 2 + ((jpeg[at + 2] & 255) << 8 | jpeg[at + 3] & 255)) {
            if ((jpeg[at + 1] & 255) == 0xC0) {
                jpeg[at + 5] = (byte) (height >> 8);
                jpeg[at + 6] = (byte) height;
                jpeg[at + 7] = (byte) (width >> 8);
                jpeg[at + 8] = (byte) width;
                return jpeg;
            }
        }
    }

    @Test
    void pictureOf400MegaPixels_isRefusedByItsHeader() throws IOException {
        byte[] jpeg = claiming(20_000, 20_000);
        String message =
                assertThrows(IOException.class, () -> PictureReader.read(jpeg)).getMessage();
        assertTrue(message.contains("20000 x 20000 pixels; at most 178956970"), message);
    }

    @Test
    void pictureOf100MegaPixels_isSubsampledWhileItIsRead() throws IOException {
        RgbPicture picture = PictureReader.read(new PngBytes(10_000, 10_000, 1, 0).finish(new int[10_000][10_000], 1));
        assertEquals(5_000, picture.width());
        assertEquals(5_000, picture.height());
    }

    @Test
    void heic_isNamed() {
        byte[] file = "\0\0\0\u0018ftypheic\0\0\0\0".getBytes(java.nio.charset.StandardCharsets.ISO_8859_1);
        assertTrue(assertThrows(IOException.class, () -> PictureReader.read(file))
                .getMessage()
                .contains("AVIF and HEIC cannot be read"));
    }

    @Test
    void damagedHeaders_endInAnIoExceptionOrAPicture() throws IOException {
        fuzz(300, 1);
    }

    /** {@code -Dfuzz.cases=100000} runs that many cases. */
    @Test
    @Tag("exhaustive")
    void damagedHeaders_manyCases() throws IOException {
        fuzz(Integer.getInteger("fuzz.cases", 2_000), Long.getLong("fuzz.seed", 2));
    }

    private void fuzz(int cases, long seed) throws IOException {
        byte[][] files = {
            Files.readAllBytes(PICTURES.resolve("orientation-6.jpg")),
            Files.readAllBytes(PICTURES.resolve("orientation-6.png")),
            Files.readAllBytes(PICTURES.resolve("orientation-6.webp")),
            Files.readAllBytes(PICTURES.resolve("predictor-16.tif")),
            PairFiles.png(5, 5, 1)
        };
        Random random = new Random(seed);
        for (int k = 0; k < cases; k++) {
            byte[] bytes = files[k % files.length].clone();
            for (int c = 0; c <= random.nextInt(3); c++) {
                bytes[random.nextInt(Math.min(bytes.length, 300))] = (byte) random.nextInt();
            }
            try {
                RgbPicture picture = PictureReader.read(bytes);
                assertEquals(3 * picture.width() * picture.height(), picture.rgb().length);
            } catch (IOException damaged) {
                assertTrue(damaged.getMessage() != null, "case " + k);
            }
        }
    }
}
