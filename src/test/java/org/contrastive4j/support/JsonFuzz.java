package org.contrastive4j.support;

import java.util.Random;

/** Damages JSON texts for fuzz tests. */
public final class JsonFuzz {
    private static final String[] PARTS = {
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\\u00",
        "\\ud83d",
        "null",
        "true",
        "-",
        "1e999",
        "0",
        "-1",
        "0.5",
        "99999999999999999999",
        "\u0000",
        "\uFEFF",
        "\n",
        " ",
        "\u00e4",
        "\"caption\":",
        "\"shape\":",
        "[".repeat(3000)
    };

    private JsonFuzz() {}

    /** Returns the text with one to four pieces replaced, inserted, repeated or cut off. */
    public static String damaged(String text, Random random) {
        StringBuilder damaged = new StringBuilder(text);
        int changes = 1 + random.nextInt(4);
        for (int c = 0; c < changes; c++) {
            int at = random.nextInt(damaged.length() + 1);
            int end = Math.min(damaged.length(), at + random.nextInt(6));
            switch (random.nextInt(4)) {
                case 0 -> damaged.replace(at, end, PARTS[random.nextInt(PARTS.length)]);
                case 1 -> damaged.insert(at, PARTS[random.nextInt(PARTS.length)]);
                case 2 -> damaged.insert(at, damaged.substring(at, end));
                default -> damaged.setLength(at);
            }
        }
        return damaged.toString();
    }
}
