package org.contrastive4j.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.contrastive4j.internal.files.FileErrors;

/** Writes the output files of commands. */
final class OutputFiles {
    private OutputFiles() {}

    /**
     * Checks that a file can be created, before the work that computes its content starts.
     *
     * @param option that names the file
     * @throws IllegalArgumentException when its folder does not exist or is read-only, or the file is a folder
     */
    static void requireWritable(String option, Path file) {
        Path folder = file.toAbsolutePath().getParent();
        if (folder == null || !Files.isDirectory(folder)) {
            throw new IllegalArgumentException(option + " " + file + ": the folder " + folder + " does not exist");
        }
        if (Files.isDirectory(file)) {
            throw new IllegalArgumentException(option + " " + file + " is a folder, expected a file");
        }
        if (!Files.isWritable(folder)) {
            throw new IllegalArgumentException(option + " " + file + ": the folder " + folder + " cannot be written");
        }
    }

    /** @throws IllegalArgumentException when the file cannot be written, such as on a full disk */
    static void write(Path file, byte[] bytes) {
        try {
            Files.write(file, bytes);
        } catch (IOException e) {
            throw new IllegalArgumentException("cannot write " + file + ": " + FileErrors.reason(e), e);
        }
    }
}
