package org.contrastive4j.internal.parse;

import java.util.Locale;

/** Numbers as PTX writes them. */
final class Literals {
    private Literals() {}

    static Operand of(Token token) {
        String text = token.text();
        try {
            if (text.matches("0[fF][0-9a-fA-F]{8}")) {
                return new Operand.Real(Float.intBitsToFloat(Integer.parseUnsignedInt(text.substring(2), 16)));
            }
            if (text.matches("0[dD][0-9a-fA-F]{16}")) {
                return new Operand.Real(Double.longBitsToDouble(Long.parseUnsignedLong(text.substring(2), 16)));
            }
            if (text.matches("[0-9]+\\.[0-9]*([eE][+-]?[0-9]+)?")) {
                return new Operand.Real(Double.parseDouble(text));
            }
            return new Operand.Int(whole(text.endsWith("U") ? text.substring(0, text.length() - 1) : text));
        } catch (NumberFormatException e) {
            throw token.error(token + " is not a number");
        }
    }

    private static long whole(String text) {
        String digits = text.toLowerCase(Locale.ROOT);
        if (digits.startsWith("0x")) {
            return Long.parseUnsignedLong(digits.substring(2), 16);
        }
        if (digits.startsWith("0b")) {
            return Long.parseUnsignedLong(digits.substring(2), 2);
        }
        return digits.length() > 1 && digits.startsWith("0")
                ? Long.parseUnsignedLong(digits.substring(1), 8)
                : Long.parseUnsignedLong(digits);
    }
}
