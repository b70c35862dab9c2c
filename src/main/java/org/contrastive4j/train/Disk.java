package org.contrastive4j.train;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;

/** What a run does to the file system, call by call; tests put one here that fills up or dies at any call. */
interface Disk {
    /** The file system as it is. */
    Disk REAL = file -> Files.newOutputStream(file);

    /** Creates a file, or empties the one that is there. */
    OutputStream create(Path file) throws IOException;

    /** Opens a file to write at its end; creates it where needed. */
    default OutputStream append(Path file) throws IOException {
        return Files.newOutputStream(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }

    /** Cuts a file to its first {@code bytes} bytes: that needs no free space. */
    default void truncate(Path file, long bytes) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
            channel.truncate(bytes);
        }
    }

    /** Renames in one step: afterwards there is the old name or the new one, never a part. */
    default void rename(Path from, Path to) throws IOException {
        Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
    }

    /** Waits until a file, or the names in a folder, are on the disk and not only in memory. */
    default void force(Path path) throws IOException {
        boolean isFolder = Files.isDirectory(path);
        if (isFolder && !canForceFolders(System.getProperty("os.name"))) {
            return;
        }
        try (FileChannel channel =
                FileChannel.open(path, isFolder ? StandardOpenOption.READ : StandardOpenOption.WRITE)) {
            channel.force(true);
        }
    }

    /** Whether a system opens folders as files: Windows does not, and writes their entries in order anyway. */
    static boolean canForceFolders(String osName) {
        return !osName.startsWith("Windows");
    }

    /** Removes a file or an empty folder. */
    default void remove(Path path) throws IOException {
        Files.delete(path);
    }
}
