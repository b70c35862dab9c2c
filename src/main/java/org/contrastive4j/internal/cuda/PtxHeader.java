package org.contrastive4j.internal.cuda;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.contrastive4j.device.PtxModule.PtxException;
import org.contrastive4j.internal.parse.Signatures;

/**
 * The first two directives of a PTX text, and the text in a form that is safe to assemble.
 *
 * <p>NVIDIA's assembler dereferences null and crashes the process when it fails before it has read both directives, or
 * when the text ends in a comment. Therefore a text that does not begin with both directives is refused, and comments
 * are removed.
 *
 * @param version as in {@code .version 8.0}
 * @param target as in {@code .target sm_90a}
 * @param text without comments, with the line numbers of the original
 */
record PtxHeader(String version, String target, String text) {
    private static final Pattern VERSION = Pattern.compile("\\s*+\\.version\\s++(\\d+\\.\\d+)(?=\\s)");
    private static final Pattern TARGET = Pattern.compile("\\s*+\\.target\\s++(sm_\\d++[a-z]?)"
            + "(?:\\s*+,\\s*+(?:debug|texmode_unified|texmode_independent|map_f64_to_f32))*+(?=\\s*+\\z|\\s++[^,])");

    static PtxHeader read(String file, String ptx) {
        if (ptx.indexOf('\0') >= 0) {
            throw new PtxException(
                    file, Signatures.line(ptx, ptx.indexOf('\0')), 0, "this is not text: it has a zero byte");
        }
        String text = Signatures.withoutComments(file, ptx);
        if (text.isBlank()) {
            throw new PtxException(file, 0, 0, "there is no PTX here, expected .version, .target and kernels");
        }
        Matcher version = VERSION.matcher(text);
        if (!version.lookingAt()) {
            throw refusal(file, text, 0, "expected .version first, as in \".version 8.0\"");
        }
        Matcher target = TARGET.matcher(text).region(version.end(), text.length());
        if (!target.lookingAt()) {
            throw refusal(file, text, version.end(), "expected .target after .version, as in \".target sm_90a\"");
        }
        return new PtxHeader(version.group(1), target.group(1), text + "\n");
    }

    private static PtxException refusal(String file, String text, int from, String expected) {
        int at = from;
        while (at < text.length() && Character.isWhitespace(text.charAt(at))) {
            at++;
        }
        String found = text.substring(at).lines().findFirst().orElse("the end of the text");
        return new PtxException(
                file,
                Signatures.line(text, at),
                0,
                "found \"" + found.substring(0, Math.min(40, found.length())).strip() + "\", " + expected);
    }
}
