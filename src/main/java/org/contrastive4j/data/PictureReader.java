package org.contrastive4j.data;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.regex.Pattern;
import javax.imageio.ImageIO;
import javax.imageio.ImageReadParam;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;
import org.jspecify.annotations.Nullable;

/**
 * Decodes picture files: any format with an ImageIO reader, upright by their EXIF orientation, on white.
 *
 * <p>Memory: the size is read before the pixels. Pictures of more than {@value #LARGE} pixels are subsampled while they
 * are read, those of more than {@value #MOST_PIXELS} are refused, and large ones are decoded one at a time.
 */
final class PictureReader {
    static final int MOST_PIXELS = 178_956_970; // the limit of Pillow
    private static final int LARGE = 40_000_000;
    private static final int SMALL = 4_000_000;
    private static final Pattern CUT_OFF = Pattern.compile("(?i).*(premature end|truncated|unexpected end).*");
    private static final Object ONE_LARGE = new Object();

    private PictureReader() {}

    /**
     * Decodes a picture.
     *
     * @param file content of a picture file
     * @throws IOException when it is in no known format, too large, damaged, or ends early
     */
    static RgbPicture read(byte[] file) throws IOException {
        IOException first = null;
        for (ImageReader reader : readers(file)) {
            try {
                return read(reader, file).upright(Exif.orientation(file));
            } catch (TooLargeException e) {
                throw e;
            } catch (IOException | RuntimeException e) { // readers report damage by either
                first = first != null ? first : new IOException(message(e), e);
            } finally {
                reader.dispose();
            }
        }
        throw first != null ? first : new IOException("no picture in a known format" + hint(file));
    }

    private static final class TooLargeException extends IOException {
        TooLargeException(String message) {
            super(message);
        }
    }

    private static String message(Exception e) {
        return e.getMessage() != null ? e.getMessage() : e.getClass().getSimpleName();
    }

    private static String hint(byte[] file) {
        return file.length > 12
                        && new String(file, 4, 8, java.nio.charset.StandardCharsets.ISO_8859_1).startsWith("ftyp")
                ? ": AVIF and HEIC cannot be read, convert them"
                : "";
    }

    /** Returns the readers of a format, those of TwelveMonkeys first: they read more kinds of JPEG and TIFF. */
    private static List<ImageReader> readers(byte[] file) throws IOException {
        List<ImageReader> all = new ArrayList<>();
        try (ImageInputStream in = new PictureBytes(file)) {
            Iterator<ImageReader> readers = ImageIO.getImageReaders(in);
            readers.forEachRemaining(all::add);
        }
        all.sort(Comparator.comparing(reader -> reader.getClass().getName().startsWith("com.twelvemonkeys") ? 0 : 1));
        return all;
    }

    private static RgbPicture read(ImageReader reader, byte[] file) throws IOException {
        try (ImageInputStream in = new PictureBytes(file)) {
            reader.setInput(in, true, true);
            int width = reader.getWidth(0);
            int height = reader.getHeight(0);
            long pixels = (long) width * height;
            if (pixels > MOST_PIXELS) {
                throw new TooLargeException(
                        width + " x " + height + " pixels; at most " + MOST_PIXELS + " are decoded: scale it down");
            }
            ImageReadParam param = reader.getDefaultReadParam();
            int step = (int) Math.ceil(Math.sqrt((double) pixels / LARGE));
            if (step > 1) {
                param.setSourceSubsampling(step, step, 0, 0);
            }
            @Nullable String[] cutOff = new String[1];
            reader.addIIOReadWarningListener((source, warning) -> {
                if (warning != null && CUT_OFF.matcher(warning).matches()) {
                    cutOff[0] = warning;
                }
            });
            RgbPicture picture;
            if (pixels > SMALL) {
                synchronized (ONE_LARGE) {
                    picture = Rgb.of(reader.read(0, param));
                }
            } else {
                picture = Rgb.of(reader.read(0, param));
            }
            if (cutOff[0] != null) {
                throw new IOException("damaged: " + cutOff[0]);
            }
            return picture;
        }
    }

    /** Decodes for tests. */
    static RgbPicture of(BufferedImage image) {
        return Rgb.of(image);
    }
}
