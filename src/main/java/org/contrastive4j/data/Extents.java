package org.contrastive4j.data;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.util.List;

/**
 * Where the bytes of a member are in its archive. Bytes of a sparse member that no extent covers are 0.
 *
 * @param size of the member
 * @param positions in the member, one for each extent
 * @param offsets in the archive
 * @param lengths of the extents
 */
record Extents(long size, long[] positions, long[] offsets, long[] lengths) {
    static final int LARGEST = 1 << 30; // of what is read into memory

    static Extents whole(long offset, long size) {
        return new Extents(size, new long[] {0}, new long[] {offset}, new long[] {size});
    }

    /**
     * @param pairs position and length of each extent in the member
     * @param stored bytes of the member in the archive
     */
    static Extents sparse(String name, List<Long> pairs, long start, long stored, long size) throws IOException {
        if (size < 0) {
            throw new TarMembers.DamagedArchiveException("the sparse map of " + name + " is damaged");
        }
        int count = pairs.size() / 2;
        long[] positions = new long[count];
        long[] offsets = new long[count];
        long[] lengths = new long[count];
        long used = 0;
        for (int k = 0; k < count; k++) {
            positions[k] = pairs.get(2 * k);
            lengths[k] = pairs.get(2 * k + 1);
            offsets[k] = start + used;
            boolean inside = positions[k] >= 0 && lengths[k] >= 0 && positions[k] <= size - lengths[k];
            used += lengths[k];
            if (!inside || used > stored) {
                throw new TarMembers.DamagedArchiveException("the sparse map of " + name + " is damaged");
            }
        }
        return new Extents(size, positions, offsets, lengths);
    }

    boolean isWhole() {
        return lengths.length == 1 && lengths[0] == size;
    }

    byte[] read(FileChannel channel) throws IOException {
        if (size > LARGEST) {
            throw new IOException(size + " bytes are more than the " + LARGEST + " that are read into memory");
        }
        byte[] bytes = new byte[(int) size];
        for (int k = 0; k < lengths.length; k++) {
            TarWindow.fully(channel, offsets[k], ByteBuffer.wrap(bytes, (int) positions[k], (int) lengths[k]));
        }
        return bytes;
    }
}
