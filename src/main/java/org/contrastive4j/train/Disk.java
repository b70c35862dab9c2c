package org.contrastive4j.train;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;

/** What a save does to the file system, step by step; tests put one here that fills up or dies at any step. */
interface Disk {
    /** A new file. */
    OutputStream create(Path file) throws IOException;

    /** Renames in one step: afterwards there is the old name or the new one, never a part. */
    default void rename(Path from, Path to) throws IOException {
        Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
    }

    /** Waits until a file, or the names in a folder, are on the disk and not only in memory. */
    default void force(Path path) throws IOException {
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }

    /** Removes a file or an empty folder. */
    default void remove(Path path) throws IOException {
        Files.delete(path);
    }
}
