package org.contrastive4j.cli;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.contrastive4j.device.PtxException;
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

    /**
     * The expanded text.
     *
     * @throws IllegalArgumentException when there is no such text file
     * @throws PtxException when the preprocessor refuses a line
     */
    String read(Path file) {
        if (includes != null && !Files.isDirectory(includes)) {
            throw new IllegalArgumentException("there is no folder " + includes);
        }
        Path folder = includes != null ? includes : file.toAbsolutePath().getParent();
        return Preprocessed.text(file.toString(), raw(file), folder);
    }

    /** What a comment of the file states as {@code dynamic shared N bytes}, which PTX itself does not say; else 0. */
    int dynamicSharedBytes(Path file) {
        Matcher stated = DYNAMIC.matcher(raw(file));
        return stated.find() ? Integer.parseInt(stated.group(1)) : 0;
    }

    private static String raw(Path file) {
        if (!Files.isRegularFile(file)) {
            throw new IllegalArgumentException("there is no file " + file);
        }
        try {
            return Files.readString(file);
        } catch (CharacterCodingException e) {
            throw new IllegalArgumentException(file + " is not text, wanted PTX", e);
        } catch (IOException e) {
            throw new IllegalArgumentException("cannot read " + file + ": " + e.getMessage(), e);
        }
    }
}
