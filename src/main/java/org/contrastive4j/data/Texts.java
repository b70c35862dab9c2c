package org.contrastive4j.data;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/** Decoding and hashing of texts. */
final class Texts {
    private Texts() {}

    /** Decodes UTF-8 without its byte-order mark. */
    static String utf8(byte[] bytes) throws CharacterCodingException {
        String text = StandardCharsets.UTF_8
                .newDecoder()
                .decode(ByteBuffer.wrap(bytes))
                .toString();
        return text.startsWith("\uFEFF") ? text.substring(1) : text;
    }

    /** FNV-1a over the characters, mixed with the seed by the finaliser of SplitMix64. */
    static long hash(String text, long seed) {
        long hash = 0xCBF29CE484222325L;
        for (int i = 0; i < text.length(); i++) {
            hash = (hash ^ text.charAt(i)) * 0x100000001B3L;
        }
        return mixed(hash, seed);
    }

    /** The same over numbers. */
    static long hash(int[] numbers) {
        long hash = 0xCBF29CE484222325L;
        for (int number : numbers) {
            hash = (hash ^ number) * 0x100000001B3L;
        }
        return mixed(hash, numbers.length);
    }

    private static long mixed(long hash, long seed) {
        hash += seed * 0x9E3779B97F4A7C15L;
        hash = (hash ^ hash >>> 30) * 0xBF58476D1CE4E5B9L;
        hash = (hash ^ hash >>> 27) * 0x94D049BB133111EBL;
        return hash ^ hash >>> 31;
    }
}
