package org.contrastive4j.internal.memory;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.contrastive4j.memory.Memory.Storage;

/**
 * Off-heap bytes, accessed by Java through arrays and by native code through {@link #address()}.
 *
 * <p>Loops over off-heap buffers do not vectorise on the supported JVMs, loops over arrays do: Java operations
 * therefore load blocks of a few KiB into an array, compute on it, and store it back. An NIO buffer spans at most 2
 * GiB, hence the windows.
 */
public final class HostStorage extends Storage {
    private static final int WINDOW_SHIFT = 30;
    private static final long WINDOW_BYTES = 1L << WINDOW_SHIFT;

    private final Pointer block;
    private final long address;
    private final FloatBuffer[] floats;
    private final DoubleBuffer[] doubles;
    private final IntBuffer[] ints;
    private final ByteBuffer[] raw;

    HostStorage(HostMemory memory, long bytes, Pointer block) {
        super(memory, bytes);
        this.block = block;
        this.address = (block.address() + HostMemory.ALIGNMENT - 1) & -HostMemory.ALIGNMENT;
        int windows = (int) ((bytes + WINDOW_BYTES - 1) >> WINDOW_SHIFT);
        raw = new ByteBuffer[windows];
        floats = new FloatBuffer[windows];
        doubles = new DoubleBuffer[windows];
        ints = new IntBuffer[windows];
        for (int w = 0; w < windows; w++) {
            long start = (long) w << WINDOW_SHIFT;
            raw[w] = view(start, Math.min(WINDOW_BYTES, bytes - start));
            floats[w] = raw[w].asFloatBuffer();
            doubles[w] = raw[w].asDoubleBuffer();
            ints[w] = raw[w].asIntBuffer();
        }
    }

    /** Returns a view of the bytes [start, start + bytes). */
    private ByteBuffer view(long start, long bytes) {
        long at = address + start - block.address();
        ByteBuffer whole = new BytePointer(block).position(at).limit(at + bytes).asByteBuffer();
        return whole.slice().order(ByteOrder.nativeOrder()); // the buffer begins at the block, its position is at
    }

    Pointer block() {
        return block;
    }

    /** Returns the address of the first byte, for native code while this storage is open. */
    public long address() {
        return address;
    }

    /** Copies floats from index {@code at} on into {@code target[start, start + count)}. */
    public void load(long at, float[] target, int start, int count) {
        checkOpen();
        while (count > 0) {
            int w = (int) (at >> (WINDOW_SHIFT - 2));
            int within = (int) (at & ((WINDOW_BYTES >> 2) - 1));
            int part = (int) Math.min(count, (WINDOW_BYTES >> 2) - within);
            floats[w].get(within, target, start, part);
            at += part;
            start += part;
            count -= part;
        }
    }

    /** Copies {@code source[start, start + count)} to the floats from index {@code at} on. */
    public void store(long at, float[] source, int start, int count) {
        checkOpen();
        while (count > 0) {
            int w = (int) (at >> (WINDOW_SHIFT - 2));
            int within = (int) (at & ((WINDOW_BYTES >> 2) - 1));
            int part = (int) Math.min(count, (WINDOW_BYTES >> 2) - within);
            floats[w].put(within, source, start, part);
            at += part;
            start += part;
            count -= part;
        }
    }

    /** Copies doubles from index {@code at} on into {@code target[start, start + count)}. */
    public void load(long at, double[] target, int start, int count) {
        checkOpen();
        while (count > 0) {
            int w = (int) (at >> (WINDOW_SHIFT - 3));
            int within = (int) (at & ((WINDOW_BYTES >> 3) - 1));
            int part = (int) Math.min(count, (WINDOW_BYTES >> 3) - within);
            doubles[w].get(within, target, start, part);
            at += part;
            start += part;
            count -= part;
        }
    }

    /** Copies {@code source[start, start + count)} to the doubles from index {@code at} on. */
    public void store(long at, double[] source, int start, int count) {
        checkOpen();
        while (count > 0) {
            int w = (int) (at >> (WINDOW_SHIFT - 3));
            int within = (int) (at & ((WINDOW_BYTES >> 3) - 1));
            int part = (int) Math.min(count, (WINDOW_BYTES >> 3) - within);
            doubles[w].put(within, source, start, part);
            at += part;
            start += part;
            count -= part;
        }
    }

    /** Copies ints from index {@code at} on into {@code target[start, start + count)}. */
    public void load(long at, int[] target, int start, int count) {
        checkOpen();
        while (count > 0) {
            int w = (int) (at >> (WINDOW_SHIFT - 2));
            int within = (int) (at & ((WINDOW_BYTES >> 2) - 1));
            int part = (int) Math.min(count, (WINDOW_BYTES >> 2) - within);
            ints[w].get(within, target, start, part);
            at += part;
            start += part;
            count -= part;
        }
    }

    /** Copies {@code source[start, start + count)} to the ints from index {@code at} on. */
    public void store(long at, int[] source, int start, int count) {
        checkOpen();
        while (count > 0) {
            int w = (int) (at >> (WINDOW_SHIFT - 2));
            int within = (int) (at & ((WINDOW_BYTES >> 2) - 1));
            int part = (int) Math.min(count, (WINDOW_BYTES >> 2) - within);
            ints[w].put(within, source, start, part);
            at += part;
            start += part;
            count -= part;
        }
    }

    @Override
    public void upload(long at, ByteBuffer source) {
        checkRange(at, source.remaining());
        while (source.hasRemaining()) {
            int w = (int) (at >> WINDOW_SHIFT);
            int within = (int) (at & (WINDOW_BYTES - 1));
            int part = (int) Math.min(source.remaining(), WINDOW_BYTES - within);
            raw[w].put(within, source, source.position(), part);
            source.position(source.position() + part);
            at += part;
        }
    }

    @Override
    public void download(long at, ByteBuffer target) {
        checkRange(at, target.remaining());
        while (target.hasRemaining()) {
            int w = (int) (at >> WINDOW_SHIFT);
            int within = (int) (at & (WINDOW_BYTES - 1));
            int part = (int) Math.min(target.remaining(), WINDOW_BYTES - within);
            target.put(raw[w].slice(within, part));
            at += part;
        }
    }

    private void checkRange(long at, long count) {
        checkOpen();
        if (at < 0 || at + count > bytes()) {
            throw new IndexOutOfBoundsException("bytes [" + at + ", " + (at + count) + ") of a storage of " + bytes());
        }
    }

    @Override
    protected void free() {
        ((HostMemory) memory()).release(this);
    }
}
