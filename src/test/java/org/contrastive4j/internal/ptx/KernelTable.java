package org.contrastive4j.internal.ptx;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.contrastive4j.internal.ptx.KernelFiles.Located;

/**
 * The table of kernels in {@code kernels/README.md}, made from the headers of the kernel files. Run the main method to
 * write it:
 * {@code mvn -q test-compile exec:java -Dexec.classpathScope=test
 * -Dexec.mainClass=org.contrastive4j.internal.ptx.KernelTable}.
 */
public final class KernelTable {
    static final Path README = Path.of("kernels/README.md");
    private static final String BEGIN = "<!-- table of kernels: written by KernelTable -->\n";
    private static final String END = "<!-- end of table -->\n";
    private static final Pattern NUMBER = Pattern.compile("\\d+");
    private static final Pattern SENTENCE = Pattern.compile("^(.*?)(?:[.:;] .*|\\.?)$");

    private KernelTable() {}

    public static void main(String[] arguments) throws IOException {
        Files.writeString(README, withTable(Files.readString(README)));
    }

    /** A text with the table between its two marks. */
    static String withTable(String readme) {
        int begin = readme.indexOf(BEGIN);
        int end = readme.indexOf(END);
        if (begin < 0 || end < begin) {
            throw new IllegalArgumentException("no lines \"" + BEGIN.strip() + "\" and \"" + END.strip() + "\"");
        }
        return readme.substring(0, begin + BEGIN.length()) + table() + readme.substring(end);
    }

    private static String table() {
        Map<String, List<String>> files = KernelFiles.entries().entrySet().stream()
                .collect(Collectors.groupingBy(
                        entry -> entry.getValue().path(),
                        TreeMap::new,
                        Collectors.mapping(Map.Entry::getKey, Collectors.toList())));
        StringBuilder table = new StringBuilder();
        String folder = "";
        for (Map.Entry<String, List<String>> file : files.entrySet()) {
            String path = file.getKey();
            String next = path.substring(0, path.indexOf('/'));
            if (!next.equals(folder)) {
                folder = next;
                table.append("\n### ").append(folder).append("\n\n");
                table.append("| file | entries | computes | block | registers | shared bytes | blocks per "
                        + "multiprocessor |\n");
                table.append("|---|---|---|---|---|---|---|\n");
            }
            table.append(row(path, file.getValue()));
        }
        return table.append('\n').toString();
    }

    private static String row(String path, List<String> entries) {
        String name = path.substring(path.indexOf('/') + 1);
        Located first = KernelFiles.find(entries.get(0));
        String computes = section(first.instance().header(KernelFiles.source(path)), "COMPUTES");
        Matcher sentence = SENTENCE.matcher(computes);
        String clause = sentence.matches() ? sentence.group(1) : computes;
        return "| [" + name + "](" + path + ") | "
                + entries.stream().map(entry -> "`" + entry + "`").collect(Collectors.joining(", "))
                + " | " + clause.replace("|", "\\|").replace("<", "&lt;")
                + " | " + each(entries, KernelTable::block)
                + " | " + each(entries, header -> number(section(header, "REGISTERS")))
                + " | " + each(entries, KernelTable::sharedBytes)
                + " | " + each(entries, header -> section(header, "OCCUPANCY").replaceFirst(".*: ", ""))
                + " |\n";
    }

    /** What the header of each entry states; once where all state the same. */
    private static String each(List<String> entries, Function<String, String> stated) {
        return entries.stream().map(KernelFiles::header).map(stated).distinct().collect(Collectors.joining(" or "));
    }

    private static String block(String header) {
        Matcher block = Pattern.compile("\\bblock (\\d+)").matcher(section(header, "LAUNCH"));
        return block.find() ? block.group(1) : "?";
    }

    private static String number(String text) {
        Matcher number = NUMBER.matcher(text);
        return number.find() ? number.group() : "?";
    }

    /** Dynamic ones that the launch asks for, else the static ones. */
    private static String sharedBytes(String header) {
        Matcher dynamic = Pattern.compile("dynamic shared (\\d+) bytes").matcher(header);
        if (dynamic.find()) {
            return dynamic.group(1);
        }
        Matcher bytes = Pattern.compile("(\\d+) bytes: ").matcher(section(header, "SHARED"));
        int sum = 0;
        while (bytes.find()) {
            sum += Integer.parseInt(bytes.group(1));
        }
        return Integer.toString(sum);
    }

    /** The text of a section in one line. */
    private static String section(String header, String name) {
        Matcher section =
                Pattern.compile("(?m)^// " + name + " +(.*(?:\\n// {3,}.*)*)").matcher(header);
        if (!section.find()) {
            throw new IllegalArgumentException("no section " + name + " in:\n" + header);
        }
        return section.group(1).replaceAll("\\n// +", " ");
    }
}
