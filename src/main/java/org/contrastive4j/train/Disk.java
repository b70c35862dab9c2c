package org.contrastive4j.train;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;

/** File system operations of a run. Tests replace it to inject a full disk or a crash at any call. */
interface Disk {
    /** The default file system. */
    Disk REAL = file -> Files.newOutputStream(file);

    /** Creates a file, or truncates an existing one. */
    OutputStream create(Path file) throws IOException;

    /** Opens a file for appending; creates it if it does not exist. */
    default OutputStream append(Path file) throws IOException {
        return Files.newOutputStream(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }

    /** Truncates a file to its first {@code bytes} bytes, which needs no free space. */
    default void truncate(Path file, long bytes) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
            channel.truncate(bytes);
        }
    }

    /** Renames atomically. */
    default void rename(Path from, Path to) throws IOException {
        Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
    }

    /** Flushes a file, or the entries of a folder, to the storage device. */
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

    /** Returns whether a system can force folders: Windows cannot, and writes their entries in order anyway. */
    static boolean canForceFolders(String osName) {
        return !osName.startsWith("Windows");
    }

    /** Removes a file or an empty folder. */
    default void remove(Path path) throws IOException {
        Files.delete(path);
    }
}
