package org.contrastive4j.internal.sim.exec;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Contiguous bytes that kernels read and write: an allocation, the shared memory of a thread block, the local memory of
 * a warp.
 *
 * <p>Tested by {@code SimDeviceTest}.
 */
public final class Region {
    /** Where the bytes are. */
    public enum Space {
        GLOBAL,
        CONST,
        SHARED,
        LOCAL,
        PARAM
    }

    private static final VarHandle WORDS = MethodHandles.arrayElementVarHandle(long[].class);
    private static final VarHandle SHORT = MethodHandles.byteArrayViewVarHandle(short[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle INT = MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle LONG = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    private final Space space;
    private final String name;
    private final long base;
    private final int bytes;
    private byte[] data;
    private Object[] shadows = new Object[0];
    private volatile boolean freed;
    private volatile long @Nullable [] written;

    /** @param base address of the first byte in its space */
    public Region(Space space, String name, long base, int bytes) {
        this.space = space;
        this.name = name;
        this.base = base;
        this.bytes = bytes;
        this.data = new byte[bytes];
    }

    public Space space() {
        return space;
    }

    public String name() {
        return name;
    }

    public long base() {
        return base;
    }

    public int bytes() {
        return bytes;
    }

    public byte[] data() {
        return data;
    }

    public boolean isFreed() {
        return freed;
    }

    /** Frees the contents; name and address are kept for messages. */
    public synchronized void free() {
        freed = true;
        data = new byte[0];
        written = null;
        shadows = new Object[0];
    }

    /** Notes that bytes were written. */
    public void markWritten(int from, int count) {
        long[] bits = written();
        for (int at = from; at < from + count; ) {
            int word = at >>> 6;
            int n = Math.min(64 - (at & 63), from + count - at);
            long mask = (n == 64 ? -1L : (1L << n) - 1) << at;
            if ((bits[word] & mask) != mask) {
                WORDS.getAndBitwiseOr(bits, word, mask); // neighbours may be written by blocks on other threads
            }
            at += n;
        }
    }

    /** Resets bytes to those of a fresh region: a NaN pattern, marked as unwritten. */
    public void forget(int from, int count) {
        Arrays.fill(data, from, from + count, GlobalMemory.POISON);
        long[] bits = written();
        for (int at = from; at < from + count; ) {
            int n = Math.min(64 - (at & 63), from + count - at);
            bits[at >>> 6] &= ~((n == 64 ? -1L : (1L << n) - 1) << at);
            at += n;
        }
    }

    /** Makes bytes as if nothing had written them; their values stay. */
    public void markUnwritten(int from, int count) {
        long[] bits = written();
        for (int at = from; at < from + count; ) {
            int word = at >>> 6;
            int n = Math.min(64 - (at & 63), from + count - at);
            long mask = (n == 64 ? -1L : (1L << n) - 1) << at;
            WORDS.getAndBitwiseAnd(bits, word, ~mask);
            at += n;
        }
    }

    /** The first byte of a range that nothing has written; -1 when all were. */
    public int firstUnwritten(int from, int count) {
        long[] bits = written();
        for (int at = from; at < from + count; ) {
            int n = Math.min(64 - (at & 63), from + count - at);
            long missing = ~bits[at >>> 6] & (n == 64 ? -1L : (1L << n) - 1) << at;
            if (missing != 0) {
                return (at & ~63) + Long.numberOfTrailingZeros(missing);
            }
            at += n;
        }
        return -1;
    }

    private long[] written() {
        if (written == null) {
            synchronized (this) {
                if (written == null) {
                    written = new long[(bytes + 63) / 64];
                }
            }
        }
        return written;
    }

    /** What an observer keeps about this block; null until it was set. */
    public synchronized @Nullable Object shadow(int observer) {
        return observer < shadows.length ? shadows[observer] : null;
    }

    public synchronized void setShadow(int observer, Object shadow) {
        if (observer >= shadows.length) {
            shadows = Arrays.copyOf(shadows, observer + 1);
        }
        shadows[observer] = shadow;
    }

    /** 1, 2, 4 or 8 bytes at an offset, zero-extended. */
    public long load(int at, int bytes) {
        return switch (bytes) {
            case 1 -> data[at] & 0xFFL;
            case 2 -> (short) SHORT.get(data, at) & 0xFFFFL;
            case 4 -> (int) INT.get(data, at) & 0xFFFFFFFFL;
            case 8 -> (long) LONG.get(data, at);
            default -> throw new IllegalArgumentException("no access has " + bytes + " bytes");
        };
    }

    /** Four bytes at an offset, zero-extended. */
    long loadWord(int at) {
        return (int) INT.get(data, at) & 0xFFFFFFFFL;
    }

    public void store(int at, int bytes, long value) {
        switch (bytes) {
            case 1 -> data[at] = (byte) value;
            case 2 -> SHORT.set(data, at, (short) value);
            case 4 -> INT.set(data, at, (int) value);
            case 8 -> LONG.set(data, at, value);
            default -> throw new IllegalArgumentException("no access has " + bytes + " bytes");
        }
    }

    @Override
    public String toString() {
        return name + " of " + bytes + " bytes at 0x" + Long.toHexString(base);
    }
}
