package org.contrastive4j.data;

/**
 * Changes of colours in [pixels, 3] unsigned bytes, in place, with the rounding of Pillow.
 *
 * <p>Source: Pillow, ImageEnhance.py, src/libImaging/Blend.c and Convert.c; torchvision, functional_pil.py.
 *
 * <p>Tested by {@code AugmentationTest}.
 */
final class Colours {
    private static final int CHANNELS = 3;

    private Colours() {}

    /** Returns the luma of ITU-R BT.601 in fixed point, as Pillow converts to mode L. */
    private static int luma(byte[] rgb, int at) {
        return (rgb[at] & 255) * 19595 + (rgb[at + 1] & 255) * 38470 + (rgb[at + 2] & 255) * 7471 + 0x8000 >> 16;
    }

    /** Multiplies the distance from {@code from} by a factor. */
    private static byte blended(int from, int value, float factor) {
        float result = from + factor * (value - from);
        return (byte) (result <= 0 ? 0 : result >= 255 ? 255 : (int) result);
    }

    static void brightness(byte[] rgb, float factor) {
        for (int i = 0; i < rgb.length; i++) {
            rgb[i] = blended(0, rgb[i] & 255, factor);
        }
    }

    static void contrast(byte[] rgb, float factor) {
        long sum = 0;
        for (int i = 0; i < rgb.length; i += CHANNELS) {
            sum += luma(rgb, i);
        }
        int mean = (int) ((double) sum * CHANNELS / rgb.length + 0.5);
        for (int i = 0; i < rgb.length; i++) {
            rgb[i] = blended(mean, rgb[i] & 255, factor);
        }
    }

    static void saturation(byte[] rgb, float factor) {
        for (int i = 0; i < rgb.length; i += CHANNELS) {
            int grey = luma(rgb, i);
            for (int c = i; c < i + CHANNELS; c++) {
                rgb[c] = blended(grey, rgb[c] & 255, factor);
            }
        }
    }

    static void grey(byte[] rgb) {
        for (int i = 0; i < rgb.length; i += CHANNELS) {
            byte grey = (byte) luma(rgb, i);
            rgb[i] = grey;
            rgb[i + 1] = grey;
            rgb[i + 2] = grey;
        }
    }

    /** Mirrors a square picture left to right. */
    static void flip(byte[] rgb, int size) {
        for (int y = 0; y < size; y++) {
            for (int x = 0; x < size / 2; x++) {
                int left = (y * size + x) * CHANNELS;
                int right = (y * size + size - 1 - x) * CHANNELS;
                for (int c = 0; c < CHANNELS; c++) {
                    byte held = rgb[left + c];
                    rgb[left + c] = rgb[right + c];
                    rgb[right + c] = held;
                }
            }
        }
    }

    /** Adds a share of the circle to the hue, in steps of 1 / 256. */
    static void hue(byte[] rgb, double share) {
        int added = (int) (share * 255) & 255;
        if (added == 0) {
            return;
        }
        for (int i = 0; i < rgb.length; i += CHANNELS) {
            int r = rgb[i] & 255;
            int g = rgb[i + 1] & 255;
            int b = rgb[i + 2] & 255;
            int most = Math.max(r, Math.max(g, b));
            int least = Math.min(r, Math.min(g, b));
            if (most != least) { // grey has no hue
                float span = most - least;
                int saturation = (int) (span / most * 255.0);
                fromHsv(hueOf(r, g, b, most, span) + added & 255, saturation, most, rgb, i);
            }
        }
    }

    private static int hueOf(int r, int g, int b, int most, float span) {
        float rc = (most - r) / span;
        float gc = (most - g) / span;
        float bc = (most - b) / span;
        float hue = r == most ? bc - gc : g == most ? (float) (2.0 + rc - bc) : (float) (4.0 + gc - rc);
        hue = (float) ((hue / 6.0 + 1.0) % 1.0);
        return (int) (hue * 255.0);
    }

    private static void fromHsv(int hue, int saturation, int value, byte[] rgb, int at) {
        if (saturation == 0) {
            rgb[at] = (byte) value;
            rgb[at + 1] = (byte) value;
            rgb[at + 2] = (byte) value;
            return;
        }
        int sector = (int) Math.floor(hue * 6.0 / 255.0);
        float f = (float) (hue * 6.0 / 255.0 - sector);
        float fs = (float) (saturation / 255.0);
        int p = (int) Math.round(value * (1.0 - fs));
        int q = (int) Math.round(value * (1.0 - fs * f));
        int t = (int) Math.round(value * (1.0 - fs * (1.0 - f)));
        int[] colour =
                switch (sector % 6) {
                    case 0 -> new int[] {value, t, p};
                    case 1 -> new int[] {q, value, p};
                    case 2 -> new int[] {p, value, t};
                    case 3 -> new int[] {p, q, value};
                    case 4 -> new int[] {t, p, value};
                    default -> new int[] {value, p, q};
                };
        for (int c = 0; c < CHANNELS; c++) {
            rgb[at + c] = (byte) Math.max(0, Math.min(255, colour[c]));
        }
    }
}
