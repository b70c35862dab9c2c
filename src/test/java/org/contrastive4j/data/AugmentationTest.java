package org.contrastive4j.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.IntStream;
import org.contrastive4j.data.Augmentation.ColorJitter;
import org.contrastive4j.data.Augmentation.RandomResizedCrop;
import org.contrastive4j.support.PairFiles;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Random changes of photographs: the values of torchvision on Pillow pictures, and the ranges of CLIP. */
class AugmentationTest {
    private static final int WIDTH = 31;
    private static final int HEIGHT = 23;
    private static final ColorJitter JITTER = new ColorJitter(0.4, 0.4, 0.4, 0.1, 0.8);
    private static final Augmentation ALL = Augmentation.clip().with(JITTER, 0.2, 0.5);

    @TempDir
    Path folder;

    private static byte[] picture() {
        byte[] rgb = new byte[WIDTH * HEIGHT * 3];
        for (int y = 0; y < HEIGHT; y++) {
            for (int x = 0; x < WIDTH; x++) {
                for (int c = 0; c < 3; c++) {
                    rgb[(y * WIDTH + x) * 3 + c] = (byte) (x * 7 + y * 13 + c * 50 + x * y % 31 * 5);
                }
            }
        }
        return rgb;
    }

    private static byte[] golden(String name) throws IOException {
        JsonNode all = new ObjectMapper()
                .readTree(Path.of("test-data/pictures/augmentations.json").toFile());
        return HexFormat.of().parseHex(all.get(name).textValue());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "brightness 1.37",
                "brightness 0.45",
                "contrast 1.6",
                "contrast 0.63",
                "saturation 1.8",
                "saturation 0.2",
                "hue 0.23",
                "hue -0.4",
                "grey"
            })
    void colours_areThoseOfPillow(String change) throws IOException {
        byte[] actual = picture();
        String[] words = change.split(" ");
        switch (words[0]) {
            case "brightness" -> Colours.brightness(actual, Float.parseFloat(words[1]));
            case "contrast" -> Colours.contrast(actual, Float.parseFloat(words[1]));
            case "saturation" -> Colours.saturation(actual, Float.parseFloat(words[1]));
            case "hue" -> Colours.hue(actual, Double.parseDouble(words[1]));
            default -> Colours.grey(actual);
        }
        assertArrayEquals(golden(change), actual);
    }

    @Test
    void crop_isResampledAsPillowDoes() throws IOException {
        RgbPicture region = new RgbPicture(WIDTH, HEIGHT, picture()).region(5, 3, 20, 17);
        assertArrayEquals(golden("crop"), Preprocessing.clip(9).squash(region));
    }

    @Test
    void flip_mirrorsLeftToRight() {
        byte[] rgb = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
        Colours.flip(rgb, 2);
        assertArrayEquals(new byte[] {4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9}, rgb);
    }

    private static List<PictureAugmentation.Box> boxes(RandomResizedCrop crop, int width, int height, int count) {
        return IntStream.range(0, count)
                .mapToObj(sample -> PictureAugmentation.box(crop, width, height, new DataRandom(1), sample, 0))
                .toList();
    }

    @Test
    void box_hasTheAreasAndRatiosOfClip() {
        int width = 640;
        int height = 480;
        List<PictureAugmentation.Box> boxes = boxes(RandomResizedCrop.CLIP, width, height, 2000);
        double leastArea = 1;
        double mostArea = 0;
        for (PictureAugmentation.Box box : boxes) {
            double area = (double) box.width() * box.height() / (width * height);
            double ratio = (double) box.width() / box.height();
            assertTrue(area > 0.895 && area <= 1, "" + box);
            assertTrue(ratio > 0.74 && ratio < 1.34, "" + box);
            assertTrue(box.left() >= 0 && box.left() + box.width() <= width, "" + box);
            assertTrue(box.top() >= 0 && box.top() + box.height() <= height, "" + box);
            leastArea = Math.min(leastArea, area);
            mostArea = Math.max(mostArea, area);
        }
        assertTrue(leastArea < 0.91 && mostArea > 0.97, leastArea + " to " + mostArea);
        assertTrue(boxes.stream().distinct().count() > 500);
    }

    @Test
    void box_ofAPictureThatIsTooWide_isItsCentre() {
        for (PictureAugmentation.Box box : boxes(RandomResizedCrop.CLIP, 1000, 100, 50)) {
            assertEquals(new PictureAugmentation.Box(433, 0, 133, 100), box);
        }
        for (PictureAugmentation.Box box : boxes(RandomResizedCrop.CLIP, 90, 1000, 50)) {
            assertEquals(new PictureAugmentation.Box(0, 440, 90, 120), box);
        }
    }

    @Test
    void clip_isOpenClipsDefault() {
        assertEquals(
                new RandomResizedCrop(0.9, 1, 0.75, 4 / 3.0),
                Augmentation.clip().crop());
        assertEquals(0, Augmentation.clip().flipProbability());
        assertEquals(0, Augmentation.clip().greyProbability());
        assertEquals("clip", Augmentation.clip().name());
        assertEquals("custom", ALL.name());
        assertTrue(ALL.description().startsWith("custom: random resized crop of 0.9 to 1.0"), ALL.description());
        assertEquals(Augmentation.emoji(), Augmentation.named("emoji"));
        assertThrows(IllegalArgumentException.class, () -> Augmentation.named("strong"));
        assertThrows(IllegalArgumentException.class, () -> new RandomResizedCrop(0.9, 1.1, 1, 1));
        assertThrows(IllegalArgumentException.class, () -> new ColorJitter(0, 0, 0, 0.6, 1));
        assertThrows(IllegalArgumentException.class, () -> Augmentation.none().with(null, 0, 1.5));
    }

    @Test
    void augmentation_roundTripsThroughJson_andReadsOldCheckpoints() throws IOException {
        ObjectMapper json = new ObjectMapper();
        assertEquals(ALL, json.readValue(json.writeValueAsString(ALL), Augmentation.class));
        String old =
                "{\"shift\":0.08,\"zoom\":0.12,\"rotation\":8.0,\"colour\":0.15,\"cutout\":0.4,\"wordDropout\":0.4}";
        assertEquals(Augmentation.emoji(), json.readValue(old, Augmentation.class));
    }

    private PairDataset data() throws IOException {
        PairFiles.folder(folder, 6);
        Files.write(folder.resolve("a0.png"), PairFiles.png(60, 40, 7));
        return PairDataset.open(folder, true);
    }

    private static Batch batch(PairDataset data, Augmentation augmentation, int[] ids, int epoch) {
        Tokenizer tokenizer =
                Tokenizer.train(data.pairs().stream().map(Pair::caption).toList(), 60, 2);
        return new BatchMaker(data, tokenizer, Preprocessing.clip(16), 5, 4).make(ids, augmentation, epoch);
    }

    private static float[] first(Batch batch) {
        return Arrays.copyOf(batch.pictures(), 16 * 16 * 3);
    }

    @Test
    void batch_dependsOnSeedEpochAndSampleOnly() throws IOException {
        PairDataset data = data();
        float[] alone = first(batch(data, ALL, new int[] {0}, 3));
        assertArrayEquals(alone, first(batch(data, ALL, new int[] {0, 5, 2, 9, 11, 4, 7}, 3)));
        assertFalse(Arrays.equals(alone, first(batch(data, ALL, new int[] {0}, 4))), "the epoch matters");
        assertFalse(Arrays.equals(alone, first(batch(data, ALL, new int[] {1}, 3))), "the sample matters");
    }

    /** The crop of a uniform picture is the picture, with mean and deviation of the preprocessing. */
    @Test
    void batch_isNormalisedByTheModelsMeanAndDeviation() throws IOException {
        java.awt.image.BufferedImage image = new java.awt.image.BufferedImage(50, 30, 1);
        image.createGraphics().fillRect(0, 0, 50, 30); // white
        PairFiles.folder(folder, 2);
        javax.imageio.ImageIO.write(image, "png", folder.resolve("a0.png").toFile());
        PairDataset data = PairDataset.open(folder, true);
        Preprocessing clip = Preprocessing.clip(16);
        float[] values = first(batch(data, Augmentation.clip(), new int[] {0}, 0));
        for (int i = 0; i < values.length; i++) {
            assertEquals((1 - clip.mean()[i % 3]) / clip.deviation()[i % 3], values[i], 1e-6);
        }
    }

    /** A crop is taken from the original picture: fine detail of a large picture is averaged once. */
    @Test
    void batch_resamplesTheOriginalPicture() throws IOException {
        PairDataset data = data();
        float[] centre = first(batch(data, Augmentation.none(), new int[] {0}, 0));
        Augmentation whole = Augmentation.none().with(new RandomResizedCrop(1, 1, 1.5, 1.5));
        RgbPicture original = data.decoded(0);
        byte[] expected = Preprocessing.clip(16).squash(original);
        float[] normalised = new float[expected.length];
        Preprocessing.clip(16).normalise(expected, normalised, 0);
        assertArrayEquals(normalised, first(batch(data, whole, new int[] {0}, 0)));
        assertFalse(Arrays.equals(centre, normalised));
    }
}
