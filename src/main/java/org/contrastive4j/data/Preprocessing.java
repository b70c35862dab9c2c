package org.contrastive4j.data;

import java.awt.image.BufferedImage;
import java.awt.image.IndexColorModel;
import java.awt.image.Raster;
import java.util.Arrays;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * From a decoded picture to the input of an encoder: resize, crop the centre, RGB, (x / 255 - mean) / deviation.
 *
 * <p>The steps and their rounding are those of torchvision on Pillow pictures, so results differ from open_clip's only
 * where decoders do. Pictures with a palette are resized to the nearest pixel, as Pillow does; pictures with an alpha
 * channel are weighted by it while they are resized, and then it is dropped.
 *
 * <p>Tested by {@code CheckpointInputTest}.
 *
 * @param size side of the result in pixels
 * @param fit how a picture that is not square becomes one
 * @param filter that resizes
 * @param mean of red, green and blue
 * @param deviation of red, green and blue
 * @param cropRounding which pixel a centre between two is rounded to
 */
public record Preprocessing(
        int size, Fit fit, Filter filter, double[] mean, double[] deviation, CropRounding cropRounding) {
    private static final int CHANNELS = 3;
    private static final double[] CLIP_MEAN = {0.48145466, 0.4578275, 0.40821073};
    private static final double[] CLIP_DEVIATION = {0.26862954, 0.26130258, 0.27577711};
    private static final double[] HALF = {0.5, 0.5, 0.5};

    /** Kernel of a resizing, which widens as the picture shrinks, as in Pillow. */
    public enum Filter {
        /** The cubic kernel with a = -0.5. */
        BICUBIC(2) {
            @Override
            double weight(double x) {
                double distance = Math.abs(x);
                if (distance < 1) {
                    return ((CUBIC + 2) * distance - (CUBIC + 3)) * distance * distance + 1;
                }
                return distance < 2 ? (((distance - 5) * distance + 8) * distance - 4) * CUBIC : 0;
            }
        },
        /** The triangle. */
        BILINEAR(1) {
            @Override
            double weight(double x) {
                return Math.max(0, 1 - Math.abs(x));
            }
        };

        private static final double CUBIC = -0.5;
        private final double support;

        Filter(double support) {
            this.support = support;
        }

        abstract double weight(double x);

        double support() {
            return support;
        }

        /**
         * Resizes a square grid of vectors, such as position embeddings, in f64.
         *
         * @param grid [side, side, channels]
         * @param side of the grid
         * @param channels values of a vector
         * @param toSide of the result
         * @return [toSide, toSide, channels]
         */
        public float[] resize(float[] grid, int side, int channels, int toSide) {
            return Resampler.resize(grid, side, channels, toSide, this);
        }
    }

    /** Ways to a square. */
    public enum Fit {
        /** The shorter side becomes the size; the centre is cut out. */
        CROP,
        /** Both sides become the size. */
        SQUASH
    }

    /** Conventions of the programs that wrote the configurations. */
    public enum CropRounding {
        /** Half to even: torchvision, open_clip. */
        HALF_EVEN,
        /** Down: Hugging Face transformers. */
        DOWN
    }

    /**
     * Checks the settings.
     *
     * @param size side of the result in pixels
     * @param fit how a picture that is not square becomes one
     * @param filter kernel of the resizing
     * @param mean of red, green and blue
     * @param deviation of red, green and blue
     * @param cropRounding how half a pixel is rounded
     */
    public Preprocessing {
        if (size < 1 || mean.length != CHANNELS || deviation.length != CHANNELS) {
            throw new IllegalArgumentException("preprocessing to size " + size + " with " + mean.length + " means and "
                    + deviation.length + " deviations, expected a positive size and three of each");
        }
        mean = mean.clone();
        deviation = deviation.clone();
    }

    /**
     * Returns the preprocessing that CLIP was trained with.
     *
     * @param size side of the result in pixels
     * @return with its means and deviations
     */
    public static Preprocessing clip(int size) {
        return new Preprocessing(size, Fit.CROP, Filter.BICUBIC, CLIP_MEAN, CLIP_DEVIATION, CropRounding.HALF_EVEN);
    }

    /**
     * Returns the preprocessing of models trained here: the shorter side becomes the size, values are in [-1, 1].
     *
     * @param size side of the result in pixels
     * @return mean and deviation are 0.5
     */
    public static Preprocessing symmetric(int size) {
        return new Preprocessing(size, Fit.CROP, Filter.BICUBIC, HALF, HALF, CropRounding.HALF_EVEN);
    }

    /**
     * Returns the preprocessing that SigLIP was trained with.
     *
     * @param size side of the result in pixels
     * @return with means and deviations of 0.5
     */
    public static Preprocessing sigLip(int size) {
        return new Preprocessing(size, Fit.SQUASH, Filter.BICUBIC, HALF, HALF, CropRounding.HALF_EVEN);
    }

    /**
     * Returns the settings in words, for reports.
     *
     * @return one line
     */
    public String description() {
        return (fit == Fit.CROP
                        ? "shorter side to " + size + " pixels, centre cropped"
                        : "both sides to " + size + " pixels")
                + ", " + filter.name().toLowerCase(Locale.ROOT) + " with antialiasing, mean " + Arrays.toString(mean)
                + ", deviation " + Arrays.toString(deviation);
    }

    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof Preprocessing that
                && size == that.size
                && fit == that.fit
                && filter == that.filter
                && cropRounding == that.cropRounding
                && Arrays.equals(mean, that.mean)
                && Arrays.equals(deviation, that.deviation);
    }

    @Override
    public int hashCode() {
        return Objects.hash(size, fit, filter, cropRounding, Arrays.hashCode(mean), Arrays.hashCode(deviation));
    }

    @Override
    public String toString() {
        return description();
    }

    /**
     * Returns the same for another size.
     *
     * @param other the other one
     * @return a copy
     */
    public Preprocessing withSize(int other) {
        return new Preprocessing(other, fit, filter, mean, deviation, cropRounding);
    }

    /**
     * Returns [size, size, 3], normalised.
     *
     * @param picture decoded picture
     * @return values of all pixels
     */
    public float[] apply(BufferedImage picture) {
        float[] values = new float[size * size * CHANNELS];
        apply(picture, values, 0);
        return values;
    }

    /**
     * Writes [size, size, 3], normalised, to {@code target} from {@code at} on.
     *
     * @param picture decoded picture
     * @param target receives the values; written
     * @param at index of the first value in the target
     */
    public void apply(BufferedImage picture, float[] target, int at) {
        normalise(square(picture), target, at);
    }

    /** Writes (value / 255 - mean) / deviation. */
    void normalise(byte[] rgb, float[] target, int at) {
        for (int i = 0; i < rgb.length; i++) {
            int c = i % CHANNELS;
            target[at + i] = ((rgb[i] & 255) / 255f - (float) mean[c]) / (float) deviation[c];
        }
    }

    /**
     * Returns [size, size, 3], unsigned bytes: what {@link #apply(BufferedImage)} normalises.
     *
     * @param picture decoded picture
     * @return bytes of all pixels
     */
    public byte[] square(BufferedImage picture) {
        int toWidth = target(picture.getWidth(), picture.getHeight());
        int toHeight = target(picture.getHeight(), picture.getWidth());
        byte[] resized = resize(picture, toWidth, toHeight);
        return crop(resized, toWidth, cropStart(toWidth), cropStart(toHeight));
    }

    /** Returns the same of a picture that is on white already. */
    byte[] square(RgbPicture picture) {
        int toWidth = target(picture.width(), picture.height());
        int toHeight = target(picture.height(), picture.width());
        byte[] resized =
                Resampler.resize(picture.rgb(), picture.width(), picture.height(), CHANNELS, toWidth, toHeight, filter);
        return crop(resized, toWidth, cropStart(toWidth), cropStart(toHeight));
    }

    /** Returns the whole picture, resized to a square. */
    byte[] squash(RgbPicture picture) {
        return Resampler.resize(picture.rgb(), picture.width(), picture.height(), CHANNELS, size, size, filter);
    }

    private int target(int length, int otherLength) {
        return fit == Fit.SQUASH || length <= otherLength ? size : (int) ((long) size * length / otherLength);
    }

    /** Turns values with mean and deviation 0.5 into values with those of this preprocessing. */
    void renormalise(float[] values, int from, int to) {
        if (Arrays.equals(mean, HALF) && Arrays.equals(deviation, HALF)) {
            return;
        }
        for (int i = from; i < to; i++) {
            int c = (i - from) % CHANNELS;
            values[i] = (0.5f * values[i] + 0.5f - (float) mean[c]) / (float) deviation[c];
        }
    }

    private int cropStart(int length) {
        return cropRounding == CropRounding.DOWN ? (length - size) / 2 : (int) Math.rint((length - size) / 2.0);
    }

    private byte[] resize(BufferedImage picture, int toWidth, int toHeight) {
        int width = picture.getWidth();
        int height = picture.getHeight();
        if (picture.getColorModel() instanceof IndexColorModel) {
            return nearest(picture, toWidth, toHeight);
        }
        if (width == toWidth && height == toHeight) {
            return rgb(picture);
        }
        if (!picture.getColorModel().hasAlpha()) {
            return Resampler.resize(rgb(picture), width, height, CHANNELS, toWidth, toHeight, filter);
        }
        byte[] premultiplied = premultiplied(rgb(picture), alpha(picture));
        byte[] resized = Resampler.resize(premultiplied, width, height, CHANNELS + 1, toWidth, toHeight, filter);
        byte[] straight = new byte[toWidth * toHeight * CHANNELS];
        for (int p = 0; p < toWidth * toHeight; p++) {
            int a = resized[p * 4 + CHANNELS] & 255;
            for (int c = 0; c < CHANNELS; c++) {
                int value = resized[p * 4 + c] & 255;
                straight[p * CHANNELS + c] = (byte) (a == 0 || a == 255 ? value : Math.min(255, 255 * value / a));
            }
        }
        return straight;
    }

    private static byte[] nearest(BufferedImage picture, int toWidth, int toHeight) {
        byte[] rgb = new byte[toWidth * toHeight * CHANNELS];
        int[] columns = nearest(picture.getWidth(), toWidth);
        int[] rows = nearest(picture.getHeight(), toHeight);
        for (int y = 0; y < toHeight; y++) {
            for (int x = 0; x < toWidth; x++) {
                put(picture.getRGB(columns[x], rows[y]), rgb, (y * toWidth + x) * CHANNELS);
            }
        }
        return rgb;
    }

    /** The source position of each target position, summed up step by step as Pillow does, with its rounding. */
    private static int[] nearest(int from, int to) {
        int[] positions = new int[to];
        double step = (double) from / to;
        double at = step * 0.5;
        for (int k = 0; k < to; k++) {
            positions[k] = Math.min(from - 1, (int) at);
            at += step;
        }
        return positions;
    }

    private static void put(int argb, byte[] rgb, int at) {
        rgb[at] = (byte) (argb >> 16);
        rgb[at + 1] = (byte) (argb >> 8);
        rgb[at + 2] = (byte) argb;
    }

    /** Grey samples as they are: getRGB would take them for linear light. */
    private static byte[] rgb(BufferedImage picture) {
        int width = picture.getWidth();
        int height = picture.getHeight();
        byte[] rgb = new byte[width * height * CHANNELS];
        if (picture.getColorModel().getNumColorComponents() == 1) {
            Raster raster = picture.getRaster();
            int shift = raster.getSampleModel().getSampleSize(0) - 8;
            for (int p = 0; p < width * height; p++) {
                byte value = (byte) (raster.getSample(p % width, p / width, 0) >> Math.max(shift, 0));
                Arrays.fill(rgb, p * CHANNELS, (p + 1) * CHANNELS, value);
            }
            return rgb;
        }
        int[] row = new int[width];
        for (int y = 0; y < height; y++) {
            picture.getRGB(0, y, width, 1, row, 0, width);
            for (int x = 0; x < width; x++) {
                put(row[x], rgb, (y * width + x) * CHANNELS);
            }
        }
        return rgb;
    }

    private static byte[] alpha(BufferedImage picture) {
        Raster raster = picture.getAlphaRaster();
        int width = picture.getWidth();
        byte[] alpha = new byte[width * picture.getHeight()];
        if (raster == null) {
            Arrays.fill(alpha, (byte) 255);
            return alpha;
        }
        int shift = Math.max(0, raster.getSampleModel().getSampleSize(0) - 8);
        for (int p = 0; p < alpha.length; p++) {
            alpha[p] = (byte) (raster.getSample(p % width, p / width, 0) >> shift);
        }
        return alpha;
    }

    private static byte[] premultiplied(byte[] rgb, byte[] alpha) {
        byte[] rgba = new byte[alpha.length * 4];
        for (int p = 0; p < alpha.length; p++) {
            int a = alpha[p] & 255;
            for (int c = 0; c < CHANNELS; c++) {
                int product = (rgb[p * CHANNELS + c] & 255) * a + 128;
                rgba[p * 4 + c] = (byte) ((product >> 8) + product >> 8);
            }
            rgba[p * 4 + CHANNELS] = alpha[p];
        }
        return rgba;
    }

    private byte[] crop(byte[] rgb, int width, int left, int top) {
        byte[] cropped = new byte[size * size * CHANNELS];
        for (int y = 0; y < size; y++) {
            System.arraycopy(rgb, ((top + y) * width + left) * CHANNELS, cropped, y * size * CHANNELS, size * CHANNELS);
        }
        return cropped;
    }
}
