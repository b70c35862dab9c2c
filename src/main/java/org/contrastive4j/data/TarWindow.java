package org.contrastive4j.data;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;

/** Reads small pieces of a file that are often next to each other: one system call for several of them. */
final class TarWindow {
    private static final int WINDOW = 8192;

    private final FileChannel channel;
    private final long size;
    private final ByteBuffer window = ByteBuffer.allocate(WINDOW).limit(0);
    private long start;

    TarWindow(FileChannel channel) throws IOException {
        this.channel = channel;
        this.size = channel.size();
    }

    long size() {
        return size;
    }

    byte[] read(long at, int length) throws IOException {
        byte[] bytes = new byte[length];
        if (length > WINDOW) {
            fully(channel, at, ByteBuffer.wrap(bytes));
            return bytes;
        }
        if (at < start || at + length > start + window.limit()) {
            window.clear();
            window.limit((int) Math.min(WINDOW, Math.max(0, size - at)));
            fully(channel, at, window);
            window.flip();
            start = at;
        }
        window.get((int) (at - start), bytes);
        return bytes;
    }

    static void fully(FileChannel channel, long at, ByteBuffer target) throws IOException {
        int before = target.position();
        while (target.hasRemaining()) {
            if (channel.read(target, at + target.position() - before) < 0) {
                throw new EOFException("the file ends before byte " + (at + target.limit()));
            }
        }
    }
}
