package org.contrastive4j.internal.parse;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.contrastive4j.device.PtxModule.PtxException;

/**
 * One entry that a PTX file is expanded to. A file that is written once for several element types lists its entries in
 * the section INSTANCES of the comment at its beginning, one line each, with the macros that make the entry:
 *
 * <pre>
 * // INSTANCES  add_f32   ELEMENT=f32
 * //            add_bf16  ELEMENT=bf16
 * </pre>
 *
 * <p>A paragraph of the header that starts with a condition in brackets, such as {@code [ELEMENT=bf16|f16]}, belongs to
 * the instances with one of these values only; it ends at the next condition or section.
 *
 * @param entry name of the entry
 * @param macros name and value of each macro to define; {@code NAME}, the name of the entry, is the first
 */
public record Instance(String entry, Map<String, String> macros) {
    private static final String NAME = "NAME";
    private static final Pattern SECTION = Pattern.compile("(// [A-Z]+ +).*");
    private static final Pattern TABLE = Pattern.compile("(?m)^// INSTANCES +(.*(?:\n// {3,}.*)*)");
    private static final Pattern ENTRY = Pattern.compile("[A-Za-z_][A-Za-z0-9_$]*");
    private static final Pattern MACRO = Pattern.compile("([A-Za-z_][A-Za-z0-9_]*)=(\\S+)");
    private static final Pattern CONDITION = Pattern.compile("//(?: [A-Z]+)? +\\[([A-Z_0-9]+)=([^\\]]+)].*");

    /**
     * The instances that the header of a file lists, in its order.
     *
     * @param file name for messages
     * @return none when the file lists none
     * @throws PtxException naming the line that is not an entry followed by NAME=VALUE pairs
     */
    public static List<Instance> listed(String file, String text) {
        Matcher table = TABLE.matcher(text);
        if (!table.find()) {
            return List.of();
        }
        int line = (int) text.substring(0, table.start()).lines().count();
        List<Instance> instances = new ArrayList<>();
        for (String row : table.group(1).lines().toList()) {
            line++;
            instances.add(parsed(file, line, row.replaceFirst("^//", "").strip()));
        }
        return List.copyOf(instances);
    }

    private static Instance parsed(String file, int line, String row) {
        String[] words = row.split(" +");
        Map<String, String> macros = new LinkedHashMap<>();
        macros.put(NAME, words[0]);
        boolean valid = ENTRY.matcher(words[0]).matches();
        for (int i = 1; i < words.length; i++) {
            Matcher macro = MACRO.matcher(words[i]);
            valid &= macro.matches() && macros.put(macro.group(1), macro.group(2)) == null;
        }
        if (!valid) {
            throw new PtxException(
                    file, line, 1, "INSTANCES: expected an entry name and NAME=VALUE pairs, got \"" + row + "\"");
        }
        return new Instance(words[0], macros);
    }

    /** Whether each of these macros has this value here. */
    public boolean has(Map<String, String> values) {
        return values.entrySet().stream().allMatch(value -> value.getValue().equals(macros.get(value.getKey())));
    }

    /** The comment at the beginning of the file without the paragraphs whose condition this instance does not meet. */
    public String header(String text) {
        StringBuilder header = new StringBuilder();
        boolean applies = true;
        String label = ""; // of a section of which nothing was written yet
        for (String line : text.lines().takeWhile(next -> next.startsWith("//")).toList()) {
            Matcher section = SECTION.matcher(line);
            Matcher condition = CONDITION.matcher(line);
            boolean conditional = condition.matches();
            if (section.matches()) {
                label = section.group(1);
            }
            if (conditional) {
                applies = Stream.of(condition.group(2).split("\\|"))
                        .anyMatch(value -> value.equals(macros.get(condition.group(1))));
            } else if (section.matches()) {
                applies = true;
            }
            if (applies) {
                header.append(label).append(line.substring(label.length())).append('\n');
                label = "";
            }
        }
        return header.toString();
    }

    /** The entry and its macros as they are written on a command line. */
    @Override
    public String toString() {
        return entry + ": "
                + macros.entrySet().stream()
                        .filter(macro -> !macro.getKey().equals(NAME) || macros.size() == 1)
                        .map(macro -> "-D " + macro.getKey() + "=" + macro.getValue())
                        .collect(Collectors.joining(" "));
    }
}
