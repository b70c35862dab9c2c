package org.contrastive4j.data;

import java.util.Objects;
import org.contrastive4j.data.Augmentation.RandomResizedCrop;

/**
 * Makes the inputs of the image encoder from pictures: preprocessing and the changes of an {@link Augmentation}.
 *
 * <p>Changes of photographs have random numbers of their own, so that the affine map draws the same numbers with and
 * without them.
 *
 * <p>Tested by {@code AugmentationTest}.
 */
final class PictureAugmentation {
    private static final int TRIES = 10; // crops that do not fit, before the centre is taken

    private final Augmentation settings;
    private final Preprocessing preprocessing;
    private final DataRandom random;

    PictureAugmentation(Augmentation settings, Preprocessing preprocessing, DataRandom random) {
        this.settings = settings;
        this.preprocessing = preprocessing;
        this.random = random;
    }

    /** Whether {@link #apply} needs the original picture, not the square that is the same in each epoch. */
    boolean needsOriginal() {
        return settings.crop() != null;
    }

    /** A rectangle of a picture. */
    record Box(int left, int top, int width, int height) {}

    /** Returns the square that a random crop of the original picture is resampled to. */
    byte[] cropped(RgbPicture original, int sample, int epoch) {
        RandomResizedCrop crop = Objects.requireNonNull(settings.crop());
        Box box = box(crop, original.width(), original.height(), random, sample, epoch);
        return preprocessing.squash(original.region(box.left, box.top, box.width, box.height));
    }

    /** The box of torchvision's RandomResizedCrop, with its rounding: ten tries, then the largest centre that fits. */
    static Box box(RandomResizedCrop crop, int width, int height, DataRandom random, int sample, int epoch) {
        Draw draw = new Draw(random, DataRandom.CROP, sample, epoch);
        double area = (double) width * height;
        double leastLog = Math.log(crop.minRatio());
        double mostLog = Math.log(crop.maxRatio());
        for (int k = 0; k < TRIES; k++) {
            double target = area * draw.between(crop.minScale(), crop.maxScale());
            double ratio = Math.exp(draw.between(leastLog, mostLog));
            int w = (int) Math.rint(Math.sqrt(target * ratio));
            int h = (int) Math.rint(Math.sqrt(target / ratio));
            if (w > 0 && w <= width && h > 0 && h <= height) {
                int top = draw.below(height - h + 1);
                return new Box(draw.below(width - w + 1), top, w, h);
            }
        }
        return centre(crop, width, height);
    }

    /** The largest box in the centre whose ratio is allowed. */
    private static Box centre(RandomResizedCrop crop, int width, int height) {
        double ratio = (double) width / height;
        int w = width;
        int h = height;
        if (ratio < crop.minRatio()) {
            h = Math.min(height, (int) Math.rint(width / crop.minRatio()));
        } else if (ratio > crop.maxRatio()) {
            w = Math.min(width, (int) Math.rint(height * crop.maxRatio()));
        }
        return new Box((width - w) / 2, (height - h) / 2, Math.max(1, w), Math.max(1, h));
    }

    /**
     * Writes the changed picture with the mean and deviation of the preprocessing.
     *
     * @param square [size, size, 3], unsigned bytes; not changed
     * @param target from index {@code at} on; written
     */
    void apply(byte[] square, int sample, int epoch, float[] target, int at) {
        byte[] photo = photo(square, sample, epoch);
        Draw draw = new Draw(random, DataRandom.PICTURE, sample, epoch);
        int size = preprocessing.size();
        if (isAffine() || !settings.isOfPhotos()) {
            float[] moved = new float[photo.length];
            for (int i = 0; i < moved.length; i++) {
                moved[i] = (photo[i] & 255) / 255f;
            }
            if (settings.shift() > 0 || settings.zoom() > 0 || settings.rotation() > 0) {
                moved = move(moved, size, draw);
            }
            recolour(moved, draw, target, at);
            if (settings.cutout() > 0) {
                cut(size, draw, target, at);
            }
            preprocessing.renormalise(target, at, at + photo.length);
        } else {
            preprocessing.normalise(photo, target, at);
        }
    }

    private boolean isAffine() {
        return settings.shift() > 0
                || settings.zoom() > 0
                || settings.rotation() > 0
                || settings.colour() > 0
                || settings.cutout() > 0;
    }

    /** Flip, colour jitter and grey, in open_clip's order. */
    private byte[] photo(byte[] square, int sample, int epoch) {
        if (settings.flipProbability() == 0 && settings.jitter() == null && settings.greyProbability() == 0) {
            return square;
        }
        Draw draw = new Draw(random, DataRandom.COLOUR, sample, epoch);
        byte[] photo = square.clone();
        if (draw.uniform() < settings.flipProbability()) {
            Colours.flip(photo, preprocessing.size());
        }
        Augmentation.ColorJitter jitter = settings.jitter();
        if (jitter != null && draw.uniform() < jitter.probability()) {
            jitter(photo, jitter, draw);
        }
        if (draw.uniform() < settings.greyProbability()) {
            Colours.grey(photo);
        }
        return photo;
    }

    private static void jitter(byte[] photo, Augmentation.ColorJitter jitter, Draw draw) {
        double[] factors = {
            draw.factor(jitter.brightness()),
            draw.factor(jitter.contrast()),
            draw.factor(jitter.saturation()),
            draw.between(-jitter.hue(), jitter.hue())
        };
        int[] order = {0, 1, 2, 3};
        for (int k = order.length - 1; k > 0; k--) {
            int other = draw.below(k + 1);
            int held = order[k];
            order[k] = order[other];
            order[other] = held;
        }
        for (int change : order) {
            switch (change) {
                case 0 -> Colours.brightness(photo, (float) factors[0]);
                case 1 -> Colours.contrast(photo, (float) factors[1]);
                case 2 -> Colours.saturation(photo, (float) factors[2]);
                default -> Colours.hue(photo, factors[3]);
            }
        }
    }

    /** Random numbers of one purpose for one sample and epoch, one after the other. */
    private static final class Draw {
        private final DataRandom random;
        private final int purpose;
        private final int sample;
        private final int epoch;
        private int index;

        Draw(DataRandom random, int purpose, int sample, int epoch) {
            this.random = random;
            this.purpose = purpose;
            this.sample = sample;
            this.epoch = epoch;
        }

        /** A number in [0, 1). */
        double uniform() {
            return random.uniform(purpose, sample, epoch, index++);
        }

        /** A number in [-1, 1). */
        double next() {
            return 2 * random.uniform(purpose, sample, epoch, index++) - 1;
        }

        double between(double least, double most) {
            return least + (most - least) * uniform();
        }

        double factor(double range) {
            return between(Math.max(0, 1 - range), 1 + range);
        }

        /** One of 0 to count - 1. */
        int below(int count) {
            return Math.min(count - 1, (int) (uniform() * count));
        }
    }

    /** Samples the picture bilinearly at the inverse of a random affine map about its centre; white outside. */
    private float[] move(float[] picture, int size, Draw draw) {
        double angle = Math.toRadians(settings.rotation() * draw.next());
        double common = Math.pow(1 + settings.zoom(), draw.next());
        double scaleX = common * (1 + 0.5 * settings.zoom() * draw.next());
        double scaleY = common * (1 + 0.5 * settings.zoom() * draw.next());
        double centre = (size - 1) / 2.0;
        double dx = centre + settings.shift() * size * draw.next();
        double dy = centre + settings.shift() * size * draw.next();
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
            mix[k] = (float) ((k % 4 == 0 ? 1 : 0) + settings.colour() * draw.next());
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
        int side = (int) (size * settings.cutout() * Math.abs(draw.next()));
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
