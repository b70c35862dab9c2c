package org.contrastive4j.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
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
        if (Files.exists(file) && !Files.isWritable(file)) {
            throw new IllegalArgumentException(option + " " + file + ": the file cannot be written");
        }
        probe(option + " " + file + ": the folder " + folder + " cannot be written", folder);
    }

    /**
     * Creates a folder and checks that files can be created in it, before the work that computes their content starts.
     *
     * @param option that names the folder
     * @param files names of the files
     * @throws IllegalArgumentException when the folder or one of the files cannot be written
     */
    static void requireWritableFolder(String option, Path folder, List<String> files) {
        String message = option + " " + folder + " cannot be written";
        try {
            Files.createDirectories(folder);
        } catch (IOException e) {
            throw new IllegalArgumentException(message + ": " + FileErrors.reason(e), e);
        }
        probe(message, folder);
        for (String file : files) {
            requireWritable(option, folder.resolve(file));
        }
    }

    /** Creates and removes a file: permissions alone do not tell whether a folder is writable. */
    private static void probe(String message, Path folder) {
        try {
            Files.delete(Files.createTempFile(folder, ".c4j", ""));
        } catch (IOException e) {
            throw new IllegalArgumentException(message + ": " + FileErrors.reason(e), e);
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
