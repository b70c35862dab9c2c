package org.contrastive4j.ops.ptx;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PinnedBuffer;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.ops.Later;

/**
 * Brings small results to the host in the order of the stream. The host waits when it asks for the first of them, and
 * once for all that were on their way by then.
 *
 * <p>A result has a place in pinned memory of its own; it is free for others when the result was taken, but for a
 * recorded one, which is written anew each time the recording runs.
 */
final class Readback implements AutoCloseable {
    private static final int PAGE_BYTES = 64 << 10;
    private static final int UNIT = 64;

    private record Place(PinnedBuffer page, int at, int bytes) {}

    private final PtxDevice device;
    private final DeviceStream stream;
    private final List<PinnedBuffer> pages = new ArrayList<>();
    private final Map<Integer, Deque<Place>> free = new HashMap<>();
    private int used = PAGE_BYTES; // of the last page
    private long given; // copies and recordings given to the stream
    private long done; // of these, known to be done

    Readback(PtxDevice device) {
        this.device = device;
        this.stream = device.stream();
    }

    /** The bytes of a storage, decoded when they are there; the storage may be closed at once. */
    synchronized <T> Later<T> later(DeviceStorage from, Function<ByteBuffer, T> decode) {
        int bytes = Math.toIntExact(from.bytes());
        Place place = place(bytes);
        stream.download(from, 0, place.page, place.at, bytes);
        return stream.isCapturing() ? new Recorded<>(place, bytes, decode) : new Once<>(place, bytes, ++given, decode);
    }

    /** Recorded copies were given to the stream once more. */
    synchronized void ran() {
        given++;
    }

    private Place place(int bytes) {
        int size = Math.max(UNIT, (bytes + UNIT - 1) / UNIT * UNIT);
        Deque<Place> kept = free.get(size);
        if (kept != null && !kept.isEmpty()) {
            return kept.pop();
        }
        if (size > PAGE_BYTES) {
            pages.add(0, device.pinned(size));
            return new Place(pages.get(0), 0, size);
        }
        if (used + size > PAGE_BYTES) {
            pages.add(device.pinned(PAGE_BYTES));
            used = 0;
        }
        Place place = new Place(pages.get(pages.size() - 1), used, size);
        used += size;
        return place;
    }

    private synchronized <T> T read(Place place, int bytes, long number, Function<ByteBuffer, T> decode) {
        if (number > done || stream.isCapturing()) { // which refuses to be waited for
            stream.synchronize();
            done = given;
        }
        return decode.apply(place.page.bytes().slice(place.at, bytes).order(ByteOrder.nativeOrder()));
    }

    private synchronized void giveBack(Place place) {
        free.computeIfAbsent(place.bytes, size -> new ArrayDeque<>()).push(place);
    }

    /** Of work that was done once: taken out of its place when first asked for. */
    private final class Once<T> implements Later<T> {
        private final int bytes;
        private final long number;
        private final Function<ByteBuffer, T> decode;
        private Place place;
        private T value;

        Once(Place place, int bytes, long number, Function<ByteBuffer, T> decode) {
            this.place = place;
            this.bytes = bytes;
            this.number = number;
            this.decode = decode;
        }

        @Override
        public synchronized T get() {
            if (place != null) {
                value = read(place, bytes, number, decode);
                giveBack(place);
                place = null;
            }
            return value;
        }
    }

    /** Of work that runs again: that of its last run. */
    private final class Recorded<T> implements Later<T> {
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
            return read(place, bytes, given, decode);
        }
    }

    @Override
    public void close() {
        pages.forEach(PinnedBuffer::close);
        pages.clear();
    }
}
