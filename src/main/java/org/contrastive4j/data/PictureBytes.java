package org.contrastive4j.data;

import java.io.IOException;
import javax.imageio.stream.ImageInputStreamImpl;

/**
 * A picture file in memory as a stream for ImageIO. Some readers go on after the end of the file for as many pixels as
 * its header claims; this stream ends them.
 */
final class PictureBytes extends ImageInputStreamImpl {
    private static final int MOST_READS_AFTER_END = 1024;

    private final byte[] file;
    private int readsAfterEnd;

    PictureBytes(byte[] file) {
        this.file = file;
    }

    private int end() throws IOException {
        if (++readsAfterEnd > MOST_READS_AFTER_END) {
            throw new IOException("the file ends early");
        }
        return -1;
    }

    @Override
    public int read() throws IOException {
        bitOffset = 0;
        return streamPos >= file.length ? end() : file[(int) streamPos++] & 255;
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
        bitOffset = 0;
        if (streamPos >= file.length) {
            return end();
        }
        int count = (int) Math.min(length, file.length - streamPos);
        System.arraycopy(file, (int) streamPos, target, offset, count);
        streamPos += count;
        return count;
    }

    @Override
    public long length() {
        return file.length;
    }
}
