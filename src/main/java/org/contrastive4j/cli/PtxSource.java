package org.contrastive4j.cli;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.contrastive4j.device.PtxException;
import org.contrastive4j.internal.parse.Instance;
import org.contrastive4j.internal.parse.Preprocessed;
import picocli.CommandLine.Option;

/** Reads PTX files as the commands take them: with their preprocessor lines expanded. */
final class PtxSource {
    private static final Pattern DYNAMIC = Pattern.compile("(?m)^.*//.*\\bdynamic shared (\\d{1,7}) bytes");

    @Option(
            names = {"-I", "--include"},
            paramLabel = "FOLDER",
            description = "folder that #include \"...\" is looked up in; by default that of the file")
    private Path includes;

    @Option(
            names = "-D",
            paramLabel = "MACRO=VALUE",
            description = "of a file that lists INSTANCES, those with this macro, such as -D ELEMENT=bf16; of another"
                    + " file, a macro to define")
    private Map<String, String> macros = Map.of();

    /**
     * One entry, or all entries of a file that lists no instances.
     *
     * @param name of the instance, or of the file
     * @param text expanded
     * @param dynamicSharedBytes what the header states as {@code dynamic shared N bytes}, which PTX itself does not
     *     say; else 0
     */
    record Expanded(String name, String text, int dynamicSharedBytes) {}

    /**
     * Each instance that the file lists and the options select, expanded; or the file, where it lists none.
     *
     * @throws IllegalArgumentException when there is no such text file or no such instance
     * @throws PtxException when the preprocessor refuses a line
     */
    List<Expanded> read(Path file) {
        if (includes != null && !Files.isDirectory(includes)) {
            throw new IllegalArgumentException("there is no folder " + includes);
        }
        String raw = raw(file);
        List<Instance> listed = Instance.listed(file.toString(), raw);
        if (listed.isEmpty()) {
            return List.of(expanded(file, raw, file.toString(), raw, macros));
        }
        List<Instance> selected =
                listed.stream().filter(instance -> instance.has(macros)).toList();
        if (selected.isEmpty()) {
            throw new IllegalArgumentException("no instance of " + file + " has " + macros + "; " + choice(listed));
        }
        return selected.stream()
                .map(instance -> expanded(file, raw, instance.entry(), instance.header(raw), instance.macros()))
                .toList();
    }

    /**
     * The one text that the file and the options select.
     *
     * @throws IllegalArgumentException also when several instances are selected
     */
    String readOne(Path file) {
        List<Expanded> selected = read(file);
        if (selected.size() > 1) {
            throw new IllegalArgumentException(file + " has several instances, expected options for one; "
                    + choice(Instance.listed(file.toString(), raw(file))));
        }
        return selected.get(0).text();
    }

    private static String choice(List<Instance> instances) {
        return instances.stream()
                .map(Instance::toString)
                .collect(Collectors.joining(
                        System.lineSeparator() + "  ", "choose from:" + System.lineSeparator() + "  ", ""));
    }

    private Expanded expanded(Path file, String raw, String name, String header, Map<String, String> defined) {
        Path folder = includes != null ? includes : file.toAbsolutePath().getParent();
        Matcher stated = DYNAMIC.matcher(header);
        return new Expanded(
                name,
                Preprocessed.text(file.toString(), raw, folder, defined),
                stated.find() ? Integer.parseInt(stated.group(1)) : 0);
    }

    private static String raw(Path file) {
        if (!Files.isRegularFile(file)) {
            throw new IllegalArgumentException("there is no file " + file);
        }
        try {
            return Files.readString(file);
        } catch (CharacterCodingException e) {
            throw new IllegalArgumentException(file + " is not text, expected PTX", e);
        } catch (IOException e) {
            throw new IllegalArgumentException("cannot read " + file + ": " + e.getMessage(), e);
        }
    }
}
