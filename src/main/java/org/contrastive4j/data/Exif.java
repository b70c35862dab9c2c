package org.contrastive4j.data;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * Finds the orientation that EXIF data of JPEG, PNG, WebP and TIFF files give.
 *
 * <p>Source: Exif 2.32, sections 4.5 and 4.6.4 (tag 0x0112).
 *
 * <p>Tested by {@code PictureReaderTest}.
 */
final class Exif {
    private static final int UPRIGHT = 1;
    private static final int ORIENTATION = 0x0112;

    private Exif() {}

    /** Returns 1 to 8, 1 where the file gives none or its EXIF data are damaged. */
    static int orientation(byte[] file) {
        try {
            ByteBuffer bytes = ByteBuffer.wrap(file);
            if (file.length > 4 && (file[0] & 255) == 0xFF && (file[1] & 255) == 0xD8) {
                return ofJpeg(bytes);
            }
            if (starts(file, 1, "PNG")) {
                return ofPng(bytes);
            }
            if (starts(file, 0, "RIFF") && starts(file, 8, "WEBP")) {
                return ofWebp(bytes);
            }
            if (starts(file, 0, "II") || starts(file, 0, "MM")) {
                return ofTiff(bytes);
            }
            return UPRIGHT;
        } catch (IndexOutOfBoundsException | IllegalArgumentException damaged) {
            return UPRIGHT;
        }
    }

    private static boolean starts(byte[] file, int at, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
        for (int i = 0; i < bytes.length; i++) {
            if (at + i >= file.length || file[at + i] != bytes[i]) {
                return false;
            }
        }
        return true;
    }

    private static int ofJpeg(ByteBuffer file) {
        int at = 2;
        while (at + 4 < file.capacity()) {
            int marker = file.get(at + 1) & 255;
            if ((file.get(at) & 255) != 0xFF || marker == 0xDA || marker == 0xD9) {
                return UPRIGHT;
            }
            if (marker == 0xFF) {
                at++; // a fill byte
                continue;
            }
            int length = file.getShort(at + 2) & 0xFFFF;
            if (marker == 0xE1 && starts(file.array(), at + 4, "Exif\0\0")) {
                return ofTiff(file.slice(at + 10, length - 8));
            }
            at += 2 + length;
        }
        return UPRIGHT;
    }

    private static int ofPng(ByteBuffer file) {
        int at = 8;
        while (at + 12 <= file.capacity()) {
            int length = file.getInt(at);
            if (starts(file.array(), at + 4, "eXIf")) {
                return ofTiff(file.slice(at + 8, length));
            }
            if (length < 0 || starts(file.array(), at + 4, "IEND")) {
                return UPRIGHT;
            }
            at = Math.addExact(at, length + 12);
        }
        return UPRIGHT;
    }

    private static int ofWebp(ByteBuffer file) {
        ByteBuffer little = file.duplicate().order(ByteOrder.LITTLE_ENDIAN);
        int at = 12;
        while (at + 8 <= file.capacity()) {
            int length = little.getInt(at + 4);
            if (length < 0) {
                return UPRIGHT;
            }
            if (starts(file.array(), at, "EXIF")) {
                boolean prefixed = starts(file.array(), at + 8, "Exif\0\0");
                return ofTiff(file.slice(at + (prefixed ? 14 : 8), length - (prefixed ? 6 : 0)));
            }
            at = at + 8 + length + (length & 1);
        }
        return UPRIGHT;
    }

    private static int ofTiff(ByteBuffer tiff) {
        ByteBuffer t = tiff.duplicate().order(tiff.get(0) == 'I' ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
        if (t.getShort(2) != 42) {
            return UPRIGHT;
        }
        int directory = t.getInt(4);
        int entries = t.getShort(directory) & 0xFFFF;
        for (int k = 0; k < entries; k++) {
            int entry = directory + 2 + 12 * k;
            if ((t.getShort(entry) & 0xFFFF) == ORIENTATION) {
                int value = t.getShort(entry + 8) & 0xFFFF;
                return value >= 1 && value <= 8 ? value : UPRIGHT;
            }
        }
        return UPRIGHT;
    }
}
