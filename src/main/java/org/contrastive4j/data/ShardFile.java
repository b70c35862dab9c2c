package org.contrastive4j.data;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.zip.GZIPInputStream;
import org.jspecify.annotations.Nullable;

/**
 * A shard on disk. A compressed one is unpacked into a temporary file when it is opened; the {@value #UNPACKED} that
 * were unpacked last are kept until the program ends.
 */
final class ShardFile {
    private static final int UNPACKED = 8;
    private static final Deque<ShardFile> KEPT = new ArrayDeque<>();

    private final Path path;
    private final boolean packed;
    private @Nullable Path unpacked;

    ShardFile(Path path) {
        this.path = path;
        this.packed = !FileNames.name(path).endsWith(".tar");
    }

    Path path() {
        return path;
    }

    String name() {
        return FileNames.name(path);
    }

    /** Opens the archive for reading; the caller closes the channel. */
    FileChannel open() throws IOException {
        if (!packed) {
            return FileChannel.open(path, StandardOpenOption.READ);
        }
        synchronized (KEPT) { // an unpacked file must not be deleted before it is open
            Path file = unpacked;
            if (file == null) {
                file = unpack();
                unpacked = file;
                KEPT.addLast(this);
                if (KEPT.size() > UNPACKED) {
                    KEPT.removeFirst().forget();
                }
            }
            return FileChannel.open(file, StandardOpenOption.READ);
        }
    }

    private void forget() throws IOException {
        if (unpacked != null) {
            Files.deleteIfExists(unpacked);
            unpacked = null;
        }
    }

    /** Unpacks as much as there is: a shard that is cut off keeps what precedes the cut. */
    private Path unpack() throws IOException {
        Path file = Files.createTempFile("contrastive4j-shard", ".tar");
        file.toFile().deleteOnExit();
        byte[] buffer = new byte[1 << 16];
        try (InputStream in =
                        new GZIPInputStream(new BufferedInputStream(Files.newInputStream(path), 1 << 16), 1 << 16);
                OutputStream out = new BufferedOutputStream(Files.newOutputStream(file))) {
            for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
                out.write(buffer, 0, count);
            }
        } catch (EOFException | java.util.zip.ZipException cutOff) {
            return file; // the reader of the archive reports where it ends
        }
        return file;
    }
}
