package org.contrastive4j.internal.ptx;

import java.lang.ref.PhantomReference;
import java.lang.ref.Reference;
import java.lang.ref.ReferenceQueue;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Function;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxDevice.PinnedBuffer;
import org.contrastive4j.ops.Deferred;
import org.jspecify.annotations.Nullable;

/**
 * Downloads small results asynchronously into pinned memory. Reading the first result synchronises with the stream,
 * once for all results that were issued by then.
 *
 * <p>Each result has a slot of pinned memory. It is released when the result was read, or when the result became
 * unreachable. The slot of a captured download is written by every replay, and is released when the graph is closed.
 * Pinned memory cannot be allocated during a capture: one page is reserved before it, and a larger result reuses the
 * slot of the eager run of the same work.
 */
final class DeferredDownloads implements AutoCloseable {
    private static final int PAGE_BYTES = 64 << 10;
    private static final int SLOT_BYTES = 64;

    private record Slot(PinnedBuffer page, int at, int bytes) {}

    /** The slot of a result that may still be read. */
    private static final class Pending extends PhantomReference<Deferred<?>> {
        private final Slot slot;

        Pending(Deferred<?> result, Slot slot, ReferenceQueue<Deferred<?>> dropped) {
            super(result, dropped);
            this.slot = slot;
        }
    }

    private final PtxDevice device;
    private final DeviceStream stream;
    private final List<PinnedBuffer> pages = new ArrayList<>();
    private final Map<Integer, Deque<Slot>> free = new HashMap<>();
    private final ReferenceQueue<Deferred<?>> dropped = new ReferenceQueue<>();
    private final Set<Pending> pending = new HashSet<>();
    private @Nullable PinnedBuffer page;
    private @Nullable PinnedBuffer reserved; // the next page, allocated before a capture
    private int used = PAGE_BYTES; // bytes of the page
    private @Nullable List<Slot> captured; // slots of the current capture
    private long issued; // number of the last download or replay on the stream
    private long completed; // number of the last one that is known to be complete

    DeferredDownloads(PtxDevice device) {
        this.device = device;
        this.stream = device.stream();
    }

    /** Downloads a storage, which may be closed at once, and decodes it when it is read. */
    <T> Deferred<T> download(DeviceStorage from, Function<ByteBuffer, T> decode) {
        return download(from, 0, Math.toIntExact(from.bytes()), decode);
    }

    /** Downloads a part of a storage. */
    synchronized <T> Deferred<T> download(DeviceStorage from, long at, int bytes, Function<ByteBuffer, T> decode) {
        releaseDropped();
        Slot slot = slot(bytes);
        stream.download(from, at, slot.page, slot.at, bytes);
        if (!stream.isCapturing()) {
            return new SingleResult<>(slot, bytes, ++issued, decode);
        }
        Objects.requireNonNull(captured, "only capture() captures the stream").add(slot);
        return new ReplayedResult<>(slot, bytes, decode);
    }

    /**
     * Runs {@code record}, which captures work of this thread.
     *
     * @return releases the slots of the captured downloads; to be called when the graph is closed
     */
    Runnable capture(Runnable record) {
        List<Slot> slots = beginCapture();
        try {
            record.run();
        } catch (RuntimeException | Error refused) {
            release(slots);
            throw refused;
        }
        return () -> release(slots);
    }

    private synchronized List<Slot> beginCapture() {
        if (reserved == null) {
            reserved = device.pinned(PAGE_BYTES);
            pages.add(reserved);
        }
        captured = new ArrayList<>();
        return captured;
    }

    private synchronized void release(List<Slot> slots) {
        slots.forEach(this::release);
        slots.clear();
    }

    /** Counts a replay of captured downloads. */
    synchronized void replayed() {
        issued++;
    }

    private void releaseDropped() {
        for (Reference<?> gone = dropped.poll(); gone != null; gone = dropped.poll()) {
            Pending result = (Pending) gone;
            if (pending.remove(result)) {
                release(result.slot); // the stream orders the next copy after this one
            }
        }
    }

    private Slot slot(int bytes) {
        int size = Math.max(SLOT_BYTES, (bytes + SLOT_BYTES - 1) / SLOT_BYTES * SLOT_BYTES);
        Deque<Slot> kept = free.get(size);
        if (kept != null && !kept.isEmpty()) {
            return kept.pop();
        }
        if (size > PAGE_BYTES) {
            PinnedBuffer own = device.pinned(size);
            pages.add(own);
            return new Slot(own, 0, size);
        }
        PinnedBuffer current = page;
        if (current == null || used + size > PAGE_BYTES) {
            current = nextPage();
        }
        Slot slot = new Slot(current, used, size);
        used += size;
        return slot;
    }

    private PinnedBuffer nextPage() {
        PinnedBuffer next = reserved;
        reserved = null;
        if (next == null) {
            next = device.pinned(PAGE_BYTES);
            pages.add(next);
        }
        page = next;
        used = 0;
        return next;
    }

    private synchronized <T> T read(Slot slot, int bytes, long number, Function<ByteBuffer, T> decode) {
        if (number > completed || stream.isCapturing()) { // then synchronize() throws
            stream.synchronize();
            completed = issued;
        }
        return decode.apply(slot.page.bytes().slice(slot.at, bytes).order(ByteOrder.nativeOrder()));
    }

    private synchronized <T> T readLast(Slot slot, int bytes, Function<ByteBuffer, T> decode) {
        return read(slot, bytes, issued, decode);
    }

    private synchronized void release(Pending taken) {
        pending.remove(taken);
        taken.clear();
        release(taken.slot);
    }

    private synchronized void release(Slot slot) {
        free.computeIfAbsent(slot.bytes, size -> new ArrayDeque<>()).push(slot);
    }

    /** The result of an eager download: decoded and released when it is first read. */
    private final class SingleResult<T> implements Deferred<T> {
        private final int bytes;
        private final long number;
        private final Function<ByteBuffer, T> decode;
        private @Nullable Pending unread; // null when it was read
        private @Nullable T value;

        SingleResult(Slot slot, int bytes, long number, Function<ByteBuffer, T> decode) {
            unread = new Pending(this, slot, dropped);
            pending.add(unread);
            this.bytes = bytes;
            this.number = number;
            this.decode = decode;
        }

        @Override
        public synchronized T get() {
            if (unread != null) {
                value = read(unread.slot, bytes, number, decode);
                release(unread);
                unread = null;
            }
            return Objects.requireNonNull(value, "a download decodes to a value");
        }
    }

    /** The result of a captured download: that of the last replay. */
    private final class ReplayedResult<T> implements Deferred<T> {
        private final Slot slot;
        private final int bytes;
        private final Function<ByteBuffer, T> decode;

        ReplayedResult(Slot slot, int bytes, Function<ByteBuffer, T> decode) {
            this.slot = slot;
            this.bytes = bytes;
            this.decode = decode;
        }

        @Override
        public T get() {
            return readLast(slot, bytes, decode);
        }
    }

    @Override
    public void close() {
        pages.forEach(PinnedBuffer::close);
        pages.clear();
    }
}
