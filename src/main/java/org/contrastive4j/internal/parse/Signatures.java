package org.contrastive4j.internal.parse;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.contrastive4j.device.PtxModule.PtxException;

/** What the entries of a PTX text are called with, read without parsing their bodies. */
public final class Signatures {
    private static final String NAME = "[A-Za-z_$%][A-Za-z0-9_$]*+";
    private static final Pattern ENTRY = Pattern.compile("\\.entry\\s++(" + NAME + ")\\s*+(?:\\(([^)]*+)(\\)?))?");
    private static final Pattern PARAMETER =
            Pattern.compile("\\s*+\\.param\\s++(?:\\.align\\s++(\\d++)\\s++)?\\.(\\w++)\\s++"
                    + "(?:\\.ptr\\s++(?:\\.(?:global|const|shared|local)\\s++)?(?:\\.align\\s++\\d++\\s++)?)?"
                    + "(" + NAME + ")\\s*+(?:\\[\\s*+(0[xX][0-9a-fA-F]++|\\d++)\\s*+])?\\s*+");

    private Signatures() {}

    /**
     * Declared parameters of every entry, in the order of the text; each parameter at the next multiple of its
     * alignment.
     *
     * @param file for messages
     * @throws PtxException when a parameter is not of the form {@code .param [.align n] .type [.ptr ...] name[count]}
     */
    public static Map<String, List<Parameter>> of(String file, String ptx) {
        String text = blank(file, ptx, true);
        Map<String, List<Parameter>> entries = new LinkedHashMap<>();
        Matcher entry = ENTRY.matcher(text);
        while (entry.find()) {
            if (entry.group(2) != null && entry.group(3).isEmpty()) {
                throw new PtxException(
                        file, line(text, entry.start()), 0, "the parameters of " + entry.group(1) + " do not end");
            }
            String list = entry.group(2) == null ? "" : entry.group(2);
            entries.putIfAbsent(entry.group(1), list.isBlank() ? List.of() : parameters(file, text, entry));
        }
        return entries;
    }

    private static List<Parameter> parameters(String file, String text, Matcher entry) {
        List<Parameter> parameters = new ArrayList<>();
        int at = entry.start(2);
        int offset = 0;
        for (String declaration : entry.group(2).split(",", -1)) {
            int line = line(
                    text, at + declaration.length() - declaration.stripLeading().length());
            Matcher matcher = PARAMETER.matcher(declaration);
            Type type = matcher.matches() ? Type.of(matcher.group(2)) : null;
            if (type == null || type == Type.PRED) {
                throw new PtxException(
                        file,
                        line,
                        0,
                        "\"" + declaration.strip()
                                + "\" is not a parameter that kernels of "
                                + "this library have, expected .param [.align n] .type name or name[count]");
            }
            int alignment = matcher.group(1) == null ? 1 : number(file, line, matcher.group(1));
            alignment = Math.max(alignment, type.bytes());
            if (Integer.bitCount(alignment) != 1) {
                throw new PtxException(
                        file, line, 0, "alignment " + alignment + " of " + matcher.group(3) + " is not a power of 2");
            }
            boolean array = matcher.group(4) != null;
            int count = array ? number(file, line, matcher.group(4)) : 1;
            offset = (offset + alignment - 1) & -alignment;
            Parameter parameter = new Parameter(matcher.group(3), type, count, array, alignment, offset);
            parameters.add(parameter);
            offset += parameter.bytes();
            at += declaration.length() + 1;
        }
        return List.copyOf(parameters);
    }

    private static int number(String file, int line, String digits) {
        try {
            int value = Integer.decode(digits);
            if (value > 0 && value <= 1 << 15) { // the largest parameter space there is
                return value;
            }
        } catch (NumberFormatException e) {
            throw new PtxException(file, line, 0, digits + " is not a size");
        }
        throw new PtxException(file, line, 0, "size " + digits + " is not in [1, 32768]");
    }

    /** 1-based line of a place in a text. */
    public static int line(String text, int at) {
        return 1 + (int) text.substring(0, at).chars().filter(c -> c == '\n').count();
    }

    /**
     * The text with every character of a comment as a space; lines and columns stay what they are.
     *
     * @throws PtxException when a comment does not end
     */
    public static String withoutComments(String file, String ptx) {
        return blank(file, ptx, false);
    }

    private static String blank(String file, String ptx, boolean stringsToo) {
        char[] text = ptx.toCharArray();
        int i = 0;
        while (i < text.length) {
            int end;
            boolean blank = true;
            if (ptx.startsWith("//", i)) {
                end = ptx.indexOf('\n', i);
                end = end < 0 ? text.length : end;
            } else if (ptx.startsWith("/*", i)) {
                end = ptx.indexOf("*/", i + 2) + 2;
                if (end < 2) {
                    throw new PtxException(file, line(ptx, i), 0, "the comment that begins here does not end");
                }
            } else if (text[i] == '"') {
                end = ptx.indexOf('"', i + 1) + 1;
                if (end < 1) {
                    throw new PtxException(file, line(ptx, i), 0, "the string that begins here does not end");
                }
                blank = stringsToo;
            } else {
                end = i + 1;
                blank = false;
            }
            for (; i < end; i++) {
                text[i] = blank && text[i] != '\n' ? ' ' : text[i];
            }
        }
        return new String(text);
    }
}
