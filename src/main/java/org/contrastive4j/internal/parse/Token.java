package org.contrastive4j.internal.parse;

import org.contrastive4j.device.PtxModule.PtxException;
import org.jspecify.annotations.Nullable;

/**
 * A piece of PTX text.
 *
 * @param text as written; of a string without its quotes
 * @param file and line and column (1-based) where it begins
 * @param glued whether it follows the token before it without white space
 * @param origin file and line of the source that {@code .loc} names; null where there is none
 */
record Token(
        Kind kind,
        String text,
        String file,
        int line,
        int column,
        boolean glued,
        @Nullable String origin) {
    enum Kind {
        WORD,
        DOT_WORD,
        NUMBER,
        STRING,
        SIGN,
        END
    }

    boolean is(String expected) {
        return kind != Kind.STRING && kind != Kind.NUMBER && text.equals(expected);
    }

    PtxException error(String message) {
        return new PtxException(file, line, column, message);
    }

    @Override
    public String toString() {
        return kind == Kind.END ? "the end of the text" : "\"" + text + "\"";
    }
}
