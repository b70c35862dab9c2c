package org.contrastive4j.data;

import java.awt.image.BufferedImage;
import java.awt.image.Raster;
import java.io.IOException;
import java.util.Iterator;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.event.IIOReadWarningListener;
import javax.imageio.stream.ImageInputStream;

/** From decoded pictures to square arrays of bytes. */
final class Pictures {
    private Pictures() {}

    /**
     * Decodes a picture whole.
     *
     * @throws IOException when it is of no known format, or damaged: what a reader only warns of, such as data that
     *     ends early, is damage too
     */
    static BufferedImage decode(ImageInputStream in) throws IOException {
        Iterator<ImageReader> readers = ImageIO.getImageReaders(in);
        if (!readers.hasNext()) {
            throw new IOException("not a picture in a format known here");
        }
        ImageReader reader = readers.next();
        String[] damage = new String[1];
        IIOReadWarningListener listener = (source, warning) -> damage[0] = warning;
        try {
            reader.setInput(in, true, true);
            reader.addIIOReadWarningListener(listener);
            BufferedImage picture = reader.read(0);
            if (damage[0] != null) {
                throw new IOException("damaged: " + damage[0]);
            }
            return picture;
        } finally {
            reader.dispose();
        }
    }

    /**
     * The central square of a picture, on white, averaged to size x size x 3 unsigned bytes: every source pixel counts
     * by the area it shares with the target pixel.
     */
    static byte[] square(BufferedImage picture, int size) {
        int side = Math.min(picture.getWidth(), picture.getHeight());
        int[] argb = picture.getRGB(
                (picture.getWidth() - side) / 2, (picture.getHeight() - side) / 2, side, side, null, 0, side);
        float[] source = isGrey(picture)
                ? grey(picture, (picture.getWidth() - side) / 2, (picture.getHeight() - side) / 2, side)
                : onWhite(argb);
        float[] values = side == size ? source : resize(source, side, size);
        byte[] bytes = new byte[values.length];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) Math.round(255 * values[i]);
        }
        return bytes;
    }

    private static boolean isGrey(BufferedImage picture) {
        return picture.getType() == BufferedImage.TYPE_BYTE_GRAY || picture.getType() == BufferedImage.TYPE_USHORT_GRAY;
    }

    /** The samples themselves: getRGB takes grey for linear light and brightens it. */
    private static float[] grey(BufferedImage picture, int left, int top, int side) {
        Raster raster = picture.getRaster();
        float largest = picture.getType() == BufferedImage.TYPE_BYTE_GRAY ? 255f : 65535f;
        float[] rgb = new float[side * side * 3];
        for (int i = 0; i < side * side; i++) {
            float value = raster.getSample(left + i % side, top + i / side, 0) / largest;
            rgb[3 * i] = value;
            rgb[3 * i + 1] = value;
            rgb[3 * i + 2] = value;
        }
        return rgb;
    }

    private static float[] onWhite(int[] argb) {
        float[] rgb = new float[argb.length * 3];
        for (int i = 0; i < argb.length; i++) {
            float alpha = (argb[i] >>> 24) / 255f;
            for (int c = 0; c < 3; c++) {
                float value = (argb[i] >>> (16 - 8 * c) & 255) / 255f;
                rgb[3 * i + c] = value * alpha + 1 - alpha;
            }
        }
        return rgb;
    }

    private static float[] resize(float[] source, int from, int to) {
        float[] target = new float[to * to * 3];
        double step = (double) from / to;
        double reach = Math.max(step, 1) / 2; // a box when shrinking, the nearest pixels when growing
        for (int y = 0; y < to; y++) {
            for (int x = 0; x < to; x++) {
                average(source, from, (x + 0.5) * step, (y + 0.5) * step, reach, target, (y * to + x) * 3);
            }
        }
        return target;
    }

    private static void average(float[] source, int side, double x, double y, double reach, float[] target, int at) {
        double total = 0;
        double[] sum = new double[3];
        for (int v = (int) Math.floor(y - reach); v < y + reach; v++) {
            for (int u = (int) Math.floor(x - reach); u < x + reach; u++) {
                double weight = overlap(u, x, reach) * overlap(v, y, reach);
                int pixel = (clamp(v, side) * side + clamp(u, side)) * 3;
                for (int c = 0; c < 3; c++) {
                    sum[c] += weight * source[pixel + c];
                }
                total += weight;
            }
        }
        for (int c = 0; c < 3; c++) {
            target[at + c] = (float) (sum[c] / total);
        }
    }

    private static double overlap(int pixel, double centre, double reach) {
        return Math.max(0, Math.min(pixel + 1, centre + reach) - Math.max(pixel, centre - reach));
    }

    private static int clamp(int index, int size) {
        return Math.max(0, Math.min(size - 1, index));
    }
}
