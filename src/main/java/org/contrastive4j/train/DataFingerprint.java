package org.contrastive4j.train;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import org.contrastive4j.data.PairDataset;

/** A short text that differs between data sets with different pairs. */
final class DataFingerprint {
    private static final int HEX_DIGITS = 16;

    private DataFingerprint() {}

    /** Returns a hash of the pictures' names, captions, concepts and groups in their order. */
    static String of(PairDataset data) {
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            data.pairs().forEach(sample -> {
                add(digest, sample.picture());
                add(digest, sample.caption());
                add(digest, sample.concept());
                add(digest, sample.group());
            });
            return HexFormat.of().formatHex(digest.digest()).substring(0, HEX_DIGITS);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }

    private static void add(MessageDigest digest, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        digest.update(ByteBuffer.allocate(4).putInt(bytes.length).array());
        digest.update(bytes);
    }
}
