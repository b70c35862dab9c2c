package org.contrastive4j.data;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Digest of the contents of many files, for noticing changes. In the order of the calls, the first 256 MiB are read as
 * a whole; of the next 65,536 files the size and both ends are read; of all others only the size. File times do not
 * count: copies of a data set have other times.
 */
final class FileContents {
    private static final long MOST_WHOLE = 256L << 20; // a second of reading and hashing
    private static final int MOST_SAMPLED = 1 << 16;
    private static final int END = 1 << 12;

    private final Fingerprint print = new Fingerprint();
    private final Set<String> added = new HashSet<>();
    private final byte[] buffer = new byte[1 << 16];
    private long wholeLeft;
    private int sampledLeft;

    FileContents() {
        this(MOST_WHOLE, MOST_SAMPLED);
    }

    FileContents(long whole, int sampled) {
        this.wholeLeft = whole;
        this.sampledLeft = sampled;
    }

    /**
     * Adds a file unless it was added before under the same name. A file that cannot be read counts as absent.
     *
     * @param file null for a file that cannot exist
     */
    void add(String name, @Nullable Path file) {
        if (!added.add(name)) {
            return;
        }
        print.add(name);
        try {
            if (file == null) {
                throw new NoSuchFileException(name);
            }
            long size = Files.size(file);
            print.add(Long.toString(size));
            if (size <= wholeLeft) {
                wholeLeft -= size;
                whole(file);
            } else if (sampledLeft > 0) {
                sampledLeft--;
                ends(file);
            }
        } catch (IOException unreadable) {
            print.add("absent");
        }
    }

    private void whole(Path file) throws IOException {
        try (InputStream in = Files.newInputStream(file)) {
            for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
                print.add(buffer, count);
            }
        }
    }

    private void ends(Path file) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            int length = (int) Math.min(END, channel.size());
            ByteBuffer ends = ByteBuffer.allocate(2 * length);
            TarWindow.fully(channel, 0, ends.limit(length));
            TarWindow.fully(channel, channel.size() - length, ends.limit(2 * length));
            print.add(ends.array());
        }
    }

    String text() {
        return print.text();
    }
}
