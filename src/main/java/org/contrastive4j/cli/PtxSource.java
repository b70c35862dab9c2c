package org.contrastive4j.cli;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.contrastive4j.device.PtxModule.PtxException;
import org.contrastive4j.internal.files.FileErrors;
import org.contrastive4j.internal.parse.Instance;
import org.contrastive4j.internal.parse.Preprocessed;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/**
 * Reads PTX files and expands their preprocessor lines.
 *
 * <p>Tested by {@code PtxCommandsTest}.
 */
final class PtxSource {
    private static final Pattern DYNAMIC = Pattern.compile("(?m)^.*//.*\\bdynamic shared (\\d{1,7}) bytes");

    @Option(
            names = {"-I", "--include"},
            paramLabel = "FOLDER",
            description = "folder of the files in #include \"...\"; default: the folder of the file")
    private @Nullable Path includes;

    @Option(
            names = "-D",
            paramLabel = "MACRO=VALUE",
            description = "selects the instances with this macro if the file lists INSTANCES, such as -D ELEMENT=bf16;"
                    + " otherwise defines the macro")
    private Map<String, String> macros = Map.of();

    /**
     * One entry, or all entries of a file that lists no instances.
     *
     * @param name of the instance, or of the file
     * @param text expanded
     * @param dynamicSharedBytes N of a header comment {@code dynamic shared N bytes}, else 0; PTX itself does not state
     *     it
     */
    record Expanded(String name, String text, int dynamicSharedBytes) {}

    /**
     * Returns the listed instances that the options select, expanded; or the whole file, if it lists none.
     *
     * @throws IllegalArgumentException when the text file or the instance does not exist
     * @throws PtxException when a preprocessor line is invalid
     */
    List<Expanded> read(Path file) {
        if (includes != null && !Files.isDirectory(includes)) {
            throw new IllegalArgumentException(includes + " is not a folder");
        }
        String raw = raw(file);
        List<Instance> listed = Instance.listed(file.toString(), raw);
        if (listed.isEmpty()) {
            Expanded whole = expanded(file, raw, file.toString(), raw, macros);
            macros.keySet().forEach(name -> requireUsed(file, raw, name, whole.text()));
            return List.of(whole);
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
     * Checks that a macro changes the text.
     *
     * @throws IllegalArgumentException when the text is the same without the macro, and with another value
     */
    private void requireUsed(Path file, String raw, String name, String text) {
        Map<String, String> others = new HashMap<>(macros);
        others.remove(name);
        try {
            if (!expanded(file, raw, name, raw, others).text().equals(text)) {
                return;
            }
            others.put(name, "another_" + name);
            if (!expanded(file, raw, name, raw, others).text().equals(text)) {
                return;
            }
        } catch (PtxException used) { // a condition or a definition needs it
            return;
        }
        throw new IllegalArgumentException(
                "-D " + name + " has no effect: neither " + file + " nor a file that it includes uses this macro");
    }

    /**
     * Returns the only text that the options select.
     *
     * @throws IllegalArgumentException when the options select several instances, or none
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
        Path folder = includes != null
                ? includes
                : Objects.requireNonNull(file.toAbsolutePath().getParent());
        Matcher stated = DYNAMIC.matcher(header);
        return new Expanded(
                name,
                Preprocessed.text(file.toString(), raw, folder, defined),
                stated.find() ? Integer.parseInt(stated.group(1)) : 0);
    }

    private static String raw(Path file) {
        if (!Files.isRegularFile(file)) {
            throw new IllegalArgumentException(file + " is not a file");
        }
        try {
            return Files.readString(file);
        } catch (CharacterCodingException e) {
            throw new IllegalArgumentException(file + " is not text, expected PTX", e);
        } catch (IOException e) {
            throw new IllegalArgumentException("cannot read " + file + ": " + FileErrors.reason(e), e);
        }
    }
}
