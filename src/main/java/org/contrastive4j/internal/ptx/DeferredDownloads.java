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
import java.util.Set;
import java.util.function.Function;
import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PinnedBuffer;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.ops.Deferred;

/**
 * Brings small results to the host in the order of the stream. The host waits when it asks for the first of them, and
 * once for all that were on their way by then.
 *
 * <p>A result has a place in pinned memory of its own; it is free for others when the result was taken, but for a
 * recorded one, which is written anew each time the recording runs and is free when that is closed. That of a result
 * that nobody asked for, since an earlier one of the same step was bad, is free when nobody can ask any more. Pinned memory cannot
 * be allocated while work is recorded: a page is put aside for that before, and what is larger has the place of the same
 * work done directly.
 */
final class DeferredDownloads implements AutoCloseable {
    private static final int PAGE_BYTES = 64 << 10;
    private static final int UNIT = 64;

    private record Place(PinnedBuffer page, int at, int bytes) {}

    /** The place of a result that may yet be asked for. */
    private static final class Unasked extends PhantomReference<Deferred<?>> {
        private final Place place;

        Unasked(Deferred<?> result, Place place, ReferenceQueue<Deferred<?>> dropped) {
            super(result, dropped);
            this.place = place;
        }
    }

    private final PtxDevice device;
    private final DeviceStream stream;
    private final List<PinnedBuffer> pages = new ArrayList<>();
    private final Map<Integer, Deque<Place>> free = new HashMap<>();
    private final ReferenceQueue<Deferred<?>> dropped = new ReferenceQueue<>();
    private final Set<Unasked> unasked = new HashSet<>();
    private PinnedBuffer page;
    private PinnedBuffer spare; // the next page
    private int used = PAGE_BYTES; // of the page
    private List<Place> recorded; // while work is recorded
    private long given; // copies and recordings given to the stream
    private long done; // of these, known to be done

    DeferredDownloads(PtxDevice device) {
        this.device = device;
        this.stream = device.stream();
    }

    /** The bytes of a storage, decoded when they are there; the storage may be closed at once. */
    <T> Deferred<T> later(DeviceStorage from, Function<ByteBuffer, T> decode) {
        return later(from, 0, Math.toIntExact(from.bytes()), decode);
    }

    /** The same of a part of it. */
    synchronized <T> Deferred<T> later(DeviceStorage from, long at, int bytes, Function<ByteBuffer, T> decode) {
        takeBackDropped();
        Place place = place(bytes);
        stream.download(from, at, place.page, place.at, bytes);
        if (!stream.isCapturing()) {
            return new Once<>(place, bytes, ++given, decode);
        }
        recorded.add(place);
        return new Recorded<>(place, bytes, decode);
    }

    /**
     * Does {@code record}, which records work of this thread.
     *
     * @return to be called when the recording runs no more: the places of its results are free then
     */
    Runnable recording(Runnable record) {
        List<Place> places = beginRecording();
        try {
            record.run();
        } catch (RuntimeException | Error refused) {
            giveBack(places);
            throw refused;
        }
        return () -> giveBack(places);
    }

    private synchronized List<Place> beginRecording() {
        if (spare == null) {
            spare = device.pinned(PAGE_BYTES);
            pages.add(spare);
        }
        recorded = new ArrayList<>();
        return recorded;
    }

    private synchronized void giveBack(List<Place> places) {
        places.forEach(this::giveBack);
        places.clear();
    }

    /** Recorded copies were given to the stream once more. */
    synchronized void ran() {
        given++;
    }

    private void takeBackDropped() {
        for (Reference<?> gone = dropped.poll(); gone != null; gone = dropped.poll()) {
            Unasked result = (Unasked) gone;
            if (unasked.remove(result)) {
                giveBack(result.place); // what is copied there next comes after this in the stream
            }
        }
    }

    private Place place(int bytes) {
        int size = Math.max(UNIT, (bytes + UNIT - 1) / UNIT * UNIT);
        Deque<Place> kept = free.get(size);
        if (kept != null && !kept.isEmpty()) {
            return kept.pop();
        }
        if (size > PAGE_BYTES) {
            PinnedBuffer own = device.pinned(size);
            pages.add(own);
            return new Place(own, 0, size);
        }
        if (used + size > PAGE_BYTES) {
            nextPage();
        }
        Place place = new Place(page, used, size);
        used += size;
        return place;
    }

    private void nextPage() {
        page = spare;
        spare = null;
        if (page == null) {
            page = device.pinned(PAGE_BYTES);
            pages.add(page);
        }
        used = 0;
    }

    private synchronized <T> T read(Place place, int bytes, long number, Function<ByteBuffer, T> decode) {
        if (number > done || stream.isCapturing()) { // which refuses to be waited for
            stream.synchronize();
            done = given;
        }
        return decode.apply(place.page.bytes().slice(place.at, bytes).order(ByteOrder.nativeOrder()));
    }

    private synchronized <T> T readLast(Place place, int bytes, Function<ByteBuffer, T> decode) {
        return read(place, bytes, given, decode);
    }

    private synchronized void giveBack(Unasked taken) {
        unasked.remove(taken);
        taken.clear();
        giveBack(taken.place);
    }

    private synchronized void giveBack(Place place) {
        free.computeIfAbsent(place.bytes, size -> new ArrayDeque<>()).push(place);
    }

    /** Of work that was done once: taken out of its place when first asked for. */
    private final class Once<T> implements Deferred<T> {
        private final int bytes;
        private final long number;
        private final Function<ByteBuffer, T> decode;
        private Unasked unread; // null when it was read
        private T value;

        Once(Place place, int bytes, long number, Function<ByteBuffer, T> decode) {
            unread = new Unasked(this, place, dropped);
            unasked.add(unread);
            this.bytes = bytes;
            this.number = number;
            this.decode = decode;
        }

        @Override
        public synchronized T get() {
            if (unread != null) {
                value = read(unread.place, bytes, number, decode);
                giveBack(unread);
                unread = null;
            }
            return value;
        }
    }

    /** Of work that runs again: that of its last run. */
    private final class Recorded<T> implements Deferred<T> {
        private final Place place;
        private final int bytes;
        private final Function<ByteBuffer, T> decode;

        Recorded(Place place, int bytes, Function<ByteBuffer, T> decode) {
            this.place = place;
            this.bytes = bytes;
            this.decode = decode;
        }

        @Override
        public T get() {
            return readLast(place, bytes, decode);
        }
    }

    @Override
    public void close() {
        pages.forEach(PinnedBuffer::close);
        pages.clear();
    }
}
