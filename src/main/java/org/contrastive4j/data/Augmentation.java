package org.contrastive4j.data;

import java.util.ArrayList;
import java.util.List;

/**
 * Random changes to a pair that leave its meaning: how far each may go. Every draw depends only on (seed,
 * epoch, sample id).
 *
 * @param shift largest shift, as a share of the side
 * @param zoom largest relative change of size, each axis for itself by up to half of it more
 * @param rotation largest angle in degrees
 * @param colour largest change of each entry of the matrix that mixes red, green and blue; white stays white
 * @param cutout largest side of a grey square put over the picture, as a share of the side
 * @param wordDropout probability of leaving out each word of the caption; one word always stays
 */
public record Augmentation(
        double shift, double zoom, double rotation, double colour, double cutout, double wordDropout) {
    public Augmentation {
        if (shift < 0
                || zoom < 0
                || zoom >= 1
                || rotation < 0
                || colour < 0
                || cutout < 0
                || cutout > 1
                || wordDropout < 0
                || wordDropout >= 1) {
            throw new IllegalArgumentException("augmentation with shift " + shift + ", zoom " + zoom + ", rotation "
                    + rotation + ", colour " + colour + ", cutout " + cutout + ", word dropout " + wordDropout
                    + ": wanted 0 or more, zoom and word dropout below 1, cutout at most 1");
        }
    }

    /** Leaves everything as it is. */
    public static Augmentation none() {
        return new Augmentation(0, 0, 0, 0, 0, 0);
    }

    /** The words of the caption that stay, in order. */
    String caption(String caption, DataRandom random, int sample, int epoch) {
        if (wordDropout == 0) {
            return caption;
        }
        List<String> words = Tokenizer.words(caption);
        List<String> kept = new ArrayList<>();
        for (int w = 0; w < words.size(); w++) {
            if (random.uniform(DataRandom.TEXT, sample, epoch, w) >= wordDropout) {
                kept.add(words.get(w));
            }
        }
        if (kept.isEmpty() && !words.isEmpty()) {
            kept.add(words.get(0));
        }
        return String.join(" ", kept);
    }

    /**
     * Writes the changed picture, normalised to (value - 0.5) / 0.5.
     *
     * @param picture size x size x 3, unsigned bytes
     * @param target from index {@code at} on; written
     */
    void picture(byte[] picture, int size, DataRandom random, int sample, int epoch, float[] target, int at) {
        Draw draw = new Draw(random, sample, epoch);
        float[] moved = new float[picture.length];
        for (int i = 0; i < moved.length; i++) {
            moved[i] = (picture[i] & 255) / 255f;
        }
        if (shift > 0 || zoom > 0 || rotation > 0) {
            moved = move(moved, size, draw);
        }
        recolour(moved, draw, target, at);
        if (cutout > 0) {
            cut(size, draw, target, at);
        }
    }

    /** Numbers in [-1, 1), one after the other. */
    private static final class Draw {
        private final DataRandom random;
        private final int sample;
        private final int epoch;
        private int index;

        Draw(DataRandom random, int sample, int epoch) {
            this.random = random;
            this.sample = sample;
            this.epoch = epoch;
        }

        double next() {
            return 2 * random.uniform(DataRandom.PICTURE, sample, epoch, index++) - 1;
        }
    }

    /** Samples the picture bilinearly at the inverse of a random affine map about its centre; white outside. */
    private float[] move(float[] picture, int size, Draw draw) {
        double angle = Math.toRadians(rotation * draw.next());
        double common = Math.pow(1 + zoom, draw.next());
        double scaleX = common * (1 + 0.5 * zoom * draw.next());
        double scaleY = common * (1 + 0.5 * zoom * draw.next());
        double centre = (size - 1) / 2.0;
        double dx = centre + shift * size * draw.next();
        double dy = centre + shift * size * draw.next();
        float xx = (float) (Math.cos(angle) / scaleX);
        float xy = (float) (Math.sin(angle) / scaleX);
        float yx = (float) (-Math.sin(angle) / scaleY);
        float yy = (float) (Math.cos(angle) / scaleY);
        float[] moved = new float[picture.length];
        for (int v = 0; v < size; v++) {
            for (int u = 0; u < size; u++) {
                float cu = (float) (u - centre);
                float cv = (float) (v - centre);
                bilinear(
                        picture,
                        size,
                        (float) dx + xx * cu + xy * cv,
                        (float) dy + yx * cu + yy * cv,
                        moved,
                        (v * size + u) * 3);
            }
        }
        return moved;
    }

    private static void bilinear(float[] picture, int size, float x, float y, float[] target, int at) {
        int x0 = (int) Math.floor(x);
        int y0 = (int) Math.floor(y);
        float fx = x - x0;
        float fy = y - y0;
        if (x0 >= 0 && y0 >= 0 && x0 + 1 < size && y0 + 1 < size) {
            int p = (y0 * size + x0) * 3;
            int q = p + size * 3;
            for (int c = 0; c < 3; c++) {
                float top = picture[p + c] + fx * (picture[p + 3 + c] - picture[p + c]);
                float bottom = picture[q + c] + fx * (picture[q + 3 + c] - picture[q + c]);
                target[at + c] = top + fy * (bottom - top);
            }
            return;
        }
        for (int c = 0; c < 3; c++) {
            float top = pixel(picture, size, x0, y0, c) * (1 - fx) + pixel(picture, size, x0 + 1, y0, c) * fx;
            float bottom =
                    pixel(picture, size, x0, y0 + 1, c) * (1 - fx) + pixel(picture, size, x0 + 1, y0 + 1, c) * fx;
            target[at + c] = top + fy * (bottom - top);
        }
    }

    private static float pixel(float[] picture, int size, int x, int y, int c) {
        return x < 0 || y < 0 || x >= size || y >= size ? 1f : picture[(y * size + x) * 3 + c];
    }

    /** white - rgb' = (I + colour R) (white - rgb): changes act on the distance from white, R uniform in [-1, 1). */
    private void recolour(float[] picture, Draw draw, float[] target, int at) {
        float[] mix = new float[9];
        for (int k = 0; k < 9; k++) {
            mix[k] = (float) ((k % 4 == 0 ? 1 : 0) + colour * draw.next());
        }
        for (int i = 0; i < picture.length; i += 3) {
            float r = 1 - picture[i];
            float g = 1 - picture[i + 1];
            float b = 1 - picture[i + 2];
            target[at + i] = normal(mix[0] * r + mix[1] * g + mix[2] * b);
            target[at + i + 1] = normal(mix[3] * r + mix[4] * g + mix[5] * b);
            target[at + i + 2] = normal(mix[6] * r + mix[7] * g + mix[8] * b);
        }
    }

    /** From distance to white in [0, 1] to (value - 0.5) / 0.5. */
    private static float normal(float darkness) {
        return 1 - 2 * Math.min(1f, Math.max(0f, darkness));
    }

    private void cut(int size, Draw draw, float[] target, int at) {
        int side = (int) (size * cutout * Math.abs(draw.next()));
        int left = (int) ((draw.next() + 1) / 2 * (size - side));
        int top = (int) ((draw.next() + 1) / 2 * (size - side));
        for (int y = top; y < top + side; y++) {
            for (int x = left; x < left + side; x++) {
                int pixel = at + (y * size + x) * 3;
                target[pixel] = 0;
                target[pixel + 1] = 0;
                target[pixel + 2] = 0;
            }
        }
    }
}
