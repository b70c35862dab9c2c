package org.contrastive4j.data;

import java.util.Arrays;

/**
 * Resizes pictures of 8 bits a channel with a filter that widens as the picture shrinks: the bits of Pillow's
 * {@code Image.resize}.
 *
 * <p>Two passes, rows first; weights are rounded to 22 bits and each pass to 8 bits, as there. Source: Pillow 9.4,
 * src/libImaging/Resample.c.
 *
 * <p>Tested by {@code CheckpointInputTest}.
 */
final class Resampler {
    private static final int PRECISION = 22;

    private Resampler() {}

    /** The source positions that one target position is made of. */
    private record Window(int first, double[] weights) {}

    private static Window[] windows(int from, int to, Preprocessing.Filter filter) {
        double scale = (double) from / to;
        double stretch = Math.max(scale, 1);
        double support = filter.support() * stretch;
        Window[] windows = new Window[to];
        for (int target = 0; target < to; target++) {
            double centre = (target + 0.5) * scale;
            int first = Math.max(0, (int) (centre - support + 0.5));
            int end = Math.min(from, (int) (centre + support + 0.5));
            double[] weights = new double[end - first];
            double total = 0;
            for (int k = 0; k < weights.length; k++) {
                weights[k] = filter.weight((k + first - centre + 0.5) / stretch);
                total += weights[k];
            }
            for (int k = 0; k < weights.length; k++) {
                weights[k] /= total;
            }
            windows[target] = new Window(first, weights);
        }
        return windows;
    }

    /**
     * Resizes an interleaved picture.
     *
     * @param pixels [height, width, channels], unsigned bytes
     * @param width of the picture in pixels
     * @param height of the picture in pixels
     * @param channels values of a pixel
     * @param toWidth of the result in pixels
     * @param toHeight of the result in pixels
     * @param filter kernel of the resizing
     * @return [toHeight, toWidth, channels]
     */
    static byte[] resize(
            byte[] pixels,
            int width,
            int height,
            int channels,
            int toWidth,
            int toHeight,
            Preprocessing.Filter filter) {
        if (width < 1 || height < 1 || toWidth < 1 || toHeight < 1 || pixels.length != width * height * channels) {
            throw new IllegalArgumentException(pixels.length + " bytes of a picture of " + width + " x " + height
                    + " with " + channels + " channels, to be " + toWidth + " x " + toHeight
                    + ": expected positive sizes and all pixels");
        }
        byte[] wide = width == toWidth
                ? pixels
                : pass(pixels, height, width * channels, channels, channels, windows(width, toWidth, filter));
        return height == toHeight ? wide : columns(wide, toWidth * channels, windows(height, toHeight, filter));
    }

    /** Along the rows. */
    private static byte[] pass(byte[] pixels, int rows, int rowStride, int step, int channels, Window[] windows) {
        byte[] target = new byte[rows * windows.length * channels];
        int[][] fixed = fixed(windows);
        if (channels == 3) {
            colours(pixels, rows, rowStride, windows, fixed, target);
            return target;
        }
        for (int row = 0; row < rows; row++) {
            for (int x = 0; x < windows.length; x++) {
                int start = row * rowStride + windows[x].first() * step;
                for (int c = 0; c < channels; c++) {
                    int sum = 1 << PRECISION - 1;
                    for (int k = 0; k < fixed[x].length; k++) {
                        sum += (pixels[start + k * step + c] & 255) * fixed[x][k];
                    }
                    target[(row * windows.length + x) * channels + c] = clip(sum);
                }
            }
        }
        return target;
    }

    /** Along the rows of three channels: the same sums in one loop, three times as fast. */
    private static void colours(
            byte[] pixels, int rows, int rowStride, Window[] windows, int[][] fixed, byte[] target) {
        int to = 0;
        for (int row = 0; row < rows; row++) {
            for (int x = 0; x < windows.length; x++) {
                int from = row * rowStride + 3 * windows[x].first();
                int red = 1 << PRECISION - 1;
                int green = red;
                int blue = red;
                for (int weight : fixed[x]) {
                    red += (pixels[from] & 255) * weight;
                    green += (pixels[from + 1] & 255) * weight;
                    blue += (pixels[from + 2] & 255) * weight;
                    from += 3;
                }
                target[to] = clip(red);
                target[to + 1] = clip(green);
                target[to + 2] = clip(blue);
                to += 3;
            }
        }
    }

    /** Along the columns; a row of {@code width} bytes at a time. */
    private static byte[] columns(byte[] pixels, int width, Window[] windows) {
        byte[] target = new byte[windows.length * width];
        int[][] fixed = fixed(windows);
        int[] sums = new int[width];
        for (int y = 0; y < windows.length; y++) {
            Arrays.fill(sums, 1 << PRECISION - 1);
            for (int k = 0; k < fixed[y].length; k++) {
                int start = (windows[y].first() + k) * width;
                int weight = fixed[y][k];
                for (int x = 0; x < width; x++) {
                    sums[x] += (pixels[start + x] & 255) * weight;
                }
            }
            for (int x = 0; x < width; x++) {
                target[y * width + x] = clip(sums[x]);
            }
        }
        return target;
    }

    private static int[][] fixed(Window[] windows) {
        int[][] fixed = new int[windows.length][];
        for (int t = 0; t < windows.length; t++) {
            double[] weights = windows[t].weights();
            fixed[t] = new int[weights.length];
            for (int k = 0; k < weights.length; k++) {
                double scaled = weights[k] * (1 << PRECISION);
                fixed[t][k] = (int) (scaled < 0 ? scaled - 0.5 : scaled + 0.5);
            }
        }
        return fixed;
    }

    private static byte clip(int sum) {
        return (byte) Math.max(0, Math.min(255, sum >> PRECISION));
    }

    /**
     * Resizes a grid of vectors without rounding, as PyTorch's {@code interpolate} with {@code antialias=True} does:
     * position embeddings of a vision transformer for another picture size.
     *
     * @param grid [side, side, channels]
     * @param side of the grid
     * @param channels values of a pixel
     * @param toSide of the result
     * @param filter kernel of the resizing
     * @return [toSide, toSide, channels]
     */
    static float[] resize(float[] grid, int side, int channels, int toSide, Preprocessing.Filter filter) {
        Window[] windows = windows(side, toSide, filter);
        double[] wide = new double[side * toSide * channels];
        for (int y = 0; y < side; y++) {
            for (int x = 0; x < toSide; x++) {
                double[] weights = windows[x].weights();
                for (int k = 0; k < weights.length; k++) {
                    int from = (y * side + windows[x].first() + k) * channels;
                    for (int c = 0; c < channels; c++) {
                        wide[(y * toSide + x) * channels + c] += weights[k] * grid[from + c];
                    }
                }
            }
        }
        float[] target = new float[toSide * toSide * channels];
        for (int y = 0; y < toSide; y++) {
            double[] weights = windows[y].weights();
            for (int i = 0; i < toSide * channels; i++) {
                double sum = 0;
                for (int k = 0; k < weights.length; k++) {
                    sum += weights[k] * wide[(windows[y].first() + k) * toSide * channels + i];
                }
                target[y * toSide * channels + i] = (float) sum;
            }
        }
        return target;
    }
}
