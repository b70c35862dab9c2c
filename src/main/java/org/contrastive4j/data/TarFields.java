package org.contrastive4j.data;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Decodes the fields of tar headers.
 *
 * <p>Tested by {@code ShardsTest}.
 */
final class TarFields {
    private TarFields() {}

    static boolean isZero(byte[] block) {
        for (byte value : block) {
            if (value != 0) {
                return false;
            }
        }
        return true;
    }

    /** Some old writers sum signed bytes. */
    static boolean checksumMatches(byte[] header) throws TarMembers.DamagedArchiveException {
        long unsigned = 0;
        long signed = 0;
        for (int i = 0; i < TarMembers.BLOCK; i++) {
            byte value = i >= 148 && i < 156 ? (byte) ' ' : header[i];
            unsigned += value & 255;
            signed += value;
        }
        long stored = number(header, 148, 8);
        return stored == unsigned || stored == signed;
    }

    /** Returns a number in octal digits, or in base 256 when the first bit is set; -1 when it is neither. */
    static long number(byte[] header, int from, int length) {
        if ((header[from] & 0x80) != 0) {
            long value = 0;
            for (int i = 0; i < length; i++) {
                if (value >>> 55 != 0) {
                    return -1;
                }
                value = value << 8 | (i == 0 ? header[from] & 0x7F : header[from + i] & 255);
            }
            return value;
        }
        String digits = text(header, from, length).strip();
        if (digits.isEmpty()) {
            return 0;
        }
        return digits.matches("[0-7]{1,20}") ? Long.parseLong(digits, 8) : -1;
    }

    static long decimal(String digits) throws TarMembers.DamagedArchiveException {
        if (!digits.matches("[0-9]{1,18}")) {
            throw new TarMembers.DamagedArchiveException("expected a number in a header, got \"" + digits + "\"");
        }
        return Long.parseLong(digits);
    }

    static String text(byte[] bytes) {
        return text(bytes, 0, bytes.length);
    }

    /** Returns the text up to the first NUL: UTF-8, or Latin-1 where it is not valid UTF-8. */
    static String text(byte[] bytes, int from, int length) {
        int end = from;
        while (end < from + length && bytes[end] != 0) {
            end++;
        }
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes, from, end - from))
                    .toString();
        } catch (CharacterCodingException e) {
            return new String(bytes, from, end - from, StandardCharsets.ISO_8859_1);
        }
    }

    static void sparseEntries(byte[] block, int from, int entries, List<Long> pairs) {
        for (int k = 0; k < entries; k++) {
            if (block[from + 24 * k] == 0 && block[from + 24 * k + 12] == 0) {
                return;
            }
            pairs.add(number(block, from + 24 * k, 12));
            pairs.add(number(block, from + 24 * k + 12, 12));
        }
    }

    /**
     * Reads records of the form {@code length key=value\n}.
     *
     * @param into receives keys and values; an empty value removes a key
     * @return offsets and lengths of a sparse map, format 0.0 or 0.1
     */
    static List<Long> pax(byte[] data, Map<String, String> into) throws TarMembers.DamagedArchiveException {
        List<Long> sparse = new ArrayList<>();
        int at = 0;
        while (at < data.length && data[at] != 0) {
            int blank = at;
            while (blank < data.length && data[blank] >= '0' && data[blank] <= '9') {
                blank++;
            }
            long length = blank - at > 9 || blank == at || blank >= data.length || data[blank] != ' '
                    ? -1
                    : Long.parseLong(new String(data, at, blank - at, StandardCharsets.US_ASCII));
            if (length <= blank - at + 1 || at + length > data.length) {
                throw new TarMembers.DamagedArchiveException("a PAX header is damaged");
            }
            String record = text(data, blank + 1, (int) (at + length - blank - 2));
            int equals = record.indexOf('=');
            if (equals < 1) {
                throw new TarMembers.DamagedArchiveException("a PAX header has the record \"" + record + "\"");
            }
            put(record.substring(0, equals), record.substring(equals + 1), into, sparse);
            at += (int) length;
        }
        return sparse;
    }

    private static void put(String key, String value, Map<String, String> into, List<Long> sparse)
            throws TarMembers.DamagedArchiveException {
        if (key.equals("GNU.sparse.offset") || key.equals("GNU.sparse.numbytes")) {
            sparse.add(decimal(value));
        } else if (key.equals("GNU.sparse.map")) {
            for (String number : value.split(",")) {
                sparse.add(decimal(number));
            }
        } else {
            into.put(key, value);
        }
    }
}
