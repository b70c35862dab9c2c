package org.contrastive4j.cli;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.contrastive4j.device.parse.Preprocessed;
import org.contrastive4j.device.parse.PtxException;
import picocli.CommandLine.Option;

/** Reads PTX files as the commands take them: with their preprocessor lines expanded. */
final class PtxSource {
    @Option(names = {"-I", "--include"}, paramLabel = "FOLDER",
            description = "folder that #include \"...\" is looked up in; by default that of the file")
    private Path includes;

    /**
     * The expanded text.
     *
     * @throws IllegalArgumentException when there is no such text file
     * @throws PtxException when the preprocessor refuses a line
     */
    String read(Path file) {
        if (!Files.isRegularFile(file)) {
            throw new IllegalArgumentException("there is no file " + file);
        }
        if (includes != null && !Files.isDirectory(includes)) {
            throw new IllegalArgumentException("there is no folder " + includes);
        }
        Path folder = includes != null ? includes : file.toAbsolutePath().getParent();
        try {
            return Preprocessed.text(file.toString(), Files.readString(file), folder);
        } catch (CharacterCodingException e) {
            throw new IllegalArgumentException(file + " is not text, wanted PTX", e);
        } catch (IOException e) {
            throw new IllegalArgumentException("cannot read " + file + ": " + e.getMessage(), e);
        }
    }
}
