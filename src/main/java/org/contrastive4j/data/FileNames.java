package org.contrastive4j.data;

import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** File names in UTF-8, whatever the locale of the process: a path keeps the bytes of its name, its text may not. */
final class FileNames {
    private static final Pattern BRACES = Pattern.compile("(.*?)\\{([^{}]*)}(.*)");
    private static final Pattern RANGE = Pattern.compile("(\\d{1,9})\\.\\.(\\d{1,9})");
    private static final int MOST = 1_000_000;

    private FileNames() {}

    /** Returns the last part of a path. */
    static String name(Path path) {
        Path last = path.getFileName();
        if (last == null) {
            return "";
        }
        String text = last.toString();
        if (text.indexOf('\uFFFD') < 0 && text.indexOf('?') < 0) {
            return text;
        }
        String uri = path.toUri().getRawPath();
        uri = uri.endsWith("/") ? uri.substring(0, uri.length() - 1) : uri;
        return URLDecoder.decode(uri.substring(uri.lastIndexOf('/') + 1).replace("+", "%2B"), StandardCharsets.UTF_8);
    }

    /** Returns the path of {@code name} in {@code folder}, also where the locale cannot express the name. */
    static Path resolve(Path folder, String name) {
        if (name.chars().allMatch(c -> c < 128)) {
            return folder.resolve(name);
        }
        try {
            Path path = folder.resolve(name);
            if (path.endsWith(name) && path.toString().endsWith(name)) {
                return path;
            }
        } catch (InvalidPathException notInThisLocale) {
            // its bytes can be given as a URI
        }
        String base = folder.toUri().toString();
        StringBuilder uri = new StringBuilder(base.endsWith("/") ? base : base + "/");
        for (byte b : name.getBytes(StandardCharsets.UTF_8)) {
            boolean plain =
                    b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || "/._-".indexOf(b) >= 0;
            uri.append(plain ? Character.toString(b) : String.format("%%%02X", b & 255));
        }
        return Path.of(URI.create(uri.toString()));
    }

    /**
     * Expands {@code {00000..00041}} and {@code {a,b}} as a shell does.
     *
     * @throws DataException when there are more than a million names
     */
    static List<String> expandBraces(String pattern) {
        List<String> names = new ArrayList<>();
        expand("", pattern, names);
        return names;
    }

    private static void expand(String before, String pattern, List<String> into) {
        Matcher braces = BRACES.matcher(pattern);
        if (!braces.matches()) {
            if (into.size() == MOST) {
                throw new DataException("the pattern stands for more than " + MOST + " files");
            }
            into.add(before + pattern);
            return;
        }
        Matcher range = RANGE.matcher(braces.group(2));
        if (range.matches()) {
            long first = Long.parseLong(range.group(1));
            long last = Long.parseLong(range.group(2));
            String format = "%0" + range.group(1).length() + "d";
            for (long k = first; k <= last; k++) {
                expand(before + braces.group(1) + String.format(format, k), braces.group(3), into);
            }
        } else {
            for (String choice : braces.group(2).split(",", -1)) {
                expand(before + braces.group(1) + choice, braces.group(3), into);
            }
        }
    }
}
