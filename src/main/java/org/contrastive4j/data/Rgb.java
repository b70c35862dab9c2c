package org.contrastive4j.data;

import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.ComponentColorModel;
import java.awt.image.DataBuffer;
import java.awt.image.DataBufferByte;
import java.awt.image.PixelInterleavedSampleModel;
import java.awt.image.Raster;

/**
 * Turns decoded images into RGB on white.
 *
 * <p>Numerics: samples of grey and RGB images are taken as they are stored, scaled to 8 bits and rounded. Java's own
 * conversion takes grey for linear light and brightens it. Other colour models are converted by Java.
 *
 * <p>Tested by {@code PictureReaderTest}.
 */
final class Rgb {
    private Rgb() {}

    static RgbPicture of(BufferedImage image) {
        int width = image.getWidth();
        int height = image.getHeight();
        byte[] rgb = new byte[Math.multiplyExact(3, Math.multiplyExact(width, height))];
        ColorModel model = image.getColorModel();
        int type = model.getColorSpace().getType();
        boolean stored = model instanceof ComponentColorModel
                && (type == ColorSpace.TYPE_GRAY || type == ColorSpace.TYPE_RGB)
                && (model.getTransferType() == DataBuffer.TYPE_BYTE
                        || model.getTransferType() == DataBuffer.TYPE_USHORT);
        if (stored && type == ColorSpace.TYPE_RGB && interleaved(image, rgb)) {
            return new RgbPicture(width, height, rgb);
        }
        if (stored) {
            samples(image, type == ColorSpace.TYPE_GRAY, rgb);
        } else {
            converted(image, rgb);
        }
        return new RgbPicture(width, height, rgb);
    }

    /** Copies opaque 8-bit samples of one array, as most decoders make them; returns false for other layouts. */
    private static boolean interleaved(BufferedImage image, byte[] rgb) {
        Raster raster = image.getRaster();
        if (raster.getNumBands() != 3
                || !(raster.getDataBuffer() instanceof DataBufferByte bytes)
                || !(raster.getSampleModel() instanceof PixelInterleavedSampleModel model)
                || bytes.getNumBanks() != 1
                || raster.getSampleModelTranslateX() != 0
                || raster.getSampleModelTranslateY() != 0
                || bytes.getOffset() != 0) {
            return false;
        }
        byte[] data = bytes.getData();
        int[] offsets = model.getBandOffsets();
        int to = 0;
        for (int y = 0; y < image.getHeight(); y++) {
            int from = y * model.getScanlineStride();
            for (int x = 0; x < image.getWidth(); x++) {
                rgb[to] = data[from + offsets[0]];
                rgb[to + 1] = data[from + offsets[1]];
                rgb[to + 2] = data[from + offsets[2]];
                to += 3;
                from += model.getPixelStride();
            }
        }
        return true;
    }

    private static void samples(BufferedImage image, boolean grey, byte[] rgb) {
        Raster raster = image.getRaster();
        ColorModel model = image.getColorModel();
        int width = image.getWidth();
        int bands = raster.getNumBands();
        int colours = grey ? 1 : 3;
        int most = (1 << model.getComponentSize(0)) - 1;
        boolean alpha = model.hasAlpha();
        int mostAlpha = alpha ? (1 << model.getComponentSize(bands - 1)) - 1 : 1;
        int[] row = new int[width * bands];
        for (int y = 0; y < image.getHeight(); y++) {
            raster.getPixels(raster.getMinX(), raster.getMinY() + y, width, 1, row);
            for (int x = 0; x < width; x++) {
                int at = x * bands;
                int opacity = alpha ? scaled(row[at + bands - 1], mostAlpha) : 255;
                for (int c = 0; c < 3; c++) {
                    int value = scaled(row[at + (colours == 1 ? 0 : c)], most);
                    rgb[3 * (y * width + x) + c] =
                            (byte) (opacity == 255 ? value : onWhite(value, opacity, model.isAlphaPremultiplied()));
                }
            }
        }
    }

    private static int scaled(int value, int most) {
        return most == 255 ? value : (int) ((value * 255L + most / 2) / most);
    }

    private static int onWhite(int value, int opacity, boolean premultiplied) {
        return premultiplied
                ? Math.min(255, value + 255 - opacity)
                : (value * opacity + 255 * (255 - opacity) + 127) / 255;
    }

    private static void converted(BufferedImage image, byte[] rgb) {
        int width = image.getWidth();
        int[] row = new int[width];
        for (int y = 0; y < image.getHeight(); y++) {
            image.getRGB(0, y, width, 1, row, 0, width);
            for (int x = 0; x < width; x++) {
                int opacity = row[x] >>> 24;
                for (int c = 0; c < 3; c++) {
                    int value = row[x] >>> (16 - 8 * c) & 255;
                    rgb[3 * (y * width + x) + c] = (byte) (opacity == 255 ? value : onWhite(value, opacity, false));
                }
            }
        }
    }
}
