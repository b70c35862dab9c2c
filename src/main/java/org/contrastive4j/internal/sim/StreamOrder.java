package org.contrastive4j.internal.sim;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import org.contrastive4j.internal.sim.exec.Fault;
import org.contrastive4j.internal.sim.exec.Region;

/**
 * What orders the work of several streams, and which work touches the same memory: finds two pieces of work on one
 * word, one of them a write, that no stream, event or host synchronisation orders. On a GPU they
 * run in any order; here all work is done as it is given, so that the order has to be followed by its reasons.
 *
 * <p>Vector clocks: a stream stores, for each stream, how many of its operations happen before its own next one. The
 * host is one, whatever its threads are. Words are of four bytes. Memory of a stream is given away again when that
 * stream has done what it was given before: what others do with it must be ordered after its allocation and before its
 * end. Bytes that are brought to pinned memory of the host are not there before the host has waited for them.
 */
final class StreamOrder {
    private static final int WORD = 4;

    /** For each stream, how many of its operations have happened before. */
    static final class Known {
        private int[] done = new int[4];

        private boolean has(int stream, int time) {
            return time == 0 || stream < done.length && done[stream] >= time;
        }

        private void advance(int stream, int time) {
            if (stream >= done.length) {
                done = Arrays.copyOf(done, 2 * stream);
            }
            done[stream] = Math.max(done[stream], time);
        }

        private void advance(Known other) {
            for (int stream = 0; stream < other.done.length; stream++) {
                if (other.done[stream] > 0) {
                    advance(stream, other.done[stream]);
                }
            }
        }
    }

    /** What a piece of work did with a block; words that later work took over are taken out. */
    private record Touch(int stream, int time, String work, BitSet written, BitSet read) {
        /** Words that both touch, one of them writing. */
        private BitSet conflict(Touch earlier) {
            BitSet words = (BitSet) earlier.read.clone();
            words.or(earlier.written);
            words.and(written);
            BitSet others = (BitSet) read.clone();
            others.and(earlier.written);
            words.or(others);
            return words;
        }

        /** Who comes after {@code later} comes after this too. */
        private boolean isCoveredBy(Touch later) {
            written.andNot(later.written);
            read.andNot(later.written);
            read.andNot(later.read);
            return written.isEmpty() && read.isEmpty();
        }
    }

    private record Birth(int stream, int time) {}

    /** Bytes on their way to the host. */
    private record Delivery(int stream, int time, Object to, Runnable arrival) {}

    private final boolean checks;
    private final List<Known> streams = new ArrayList<>();
    private final List<Integer> times = new ArrayList<>();
    private final Known host = new Known();
    private final Map<Region, List<Touch>> touches = new IdentityHashMap<>();
    private final Map<Region, Birth> births = new IdentityHashMap<>();
    private final List<Delivery> deliveries = new ArrayList<>();

    StreamOrder(boolean checks) {
        this.checks = checks;
    }

    /** The number of a new stream; the first is that of the device itself. */
    synchronized int newStream() {
        streams.add(new Known());
        times.add(0);
        return streams.size() - 1;
    }

    /** A piece of work is given: it comes after all that the host has waited for. */
    synchronized void begin(int stream) {
        Known known = streams.get(stream);
        known.advance(host);
        times.set(stream, times.get(stream) + 1);
        known.advance(stream, times.get(stream));
    }

    /** What an event of the stream stands for. */
    synchronized Known position(int stream) {
        Known position = new Known();
        position.advance(streams.get(stream));
        return position;
    }

    synchronized void await(int stream, Known event) {
        streams.get(stream).advance(event);
    }

    synchronized void hostAwaits(Known event) {
        host.advance(event);
        deliver();
    }

    synchronized void hostAwaits(int stream) {
        host.advance(streams.get(stream));
        deliver();
        forgetIfAllIsDone();
    }

    /**
     * The work of the stream that was given last brings bytes to the host, which are there when the host has waited for
     * it; where nothing is checked, at once.
     *
     * @param to what they are brought to
     */
    synchronized void brings(int stream, Object to, Runnable arrival) {
        if (checks) {
            deliveries.add(new Delivery(stream, times.get(stream), to, arrival));
        } else {
            arrival.run();
        }
    }

    /** The device reads what is brought there. */
    synchronized void reads(Object pinned) {
        deliver(deliveries.stream().filter(delivery -> delivery.to == pinned).toList());
    }

    private void deliver() {
        deliver(deliveries.stream()
                .filter(delivery -> host.has(delivery.stream, delivery.time))
                .toList());
    }

    private void deliver(List<Delivery> arrived) {
        arrived.forEach(delivery -> delivery.arrival.run());
        deliveries.removeAll(arrived);
    }

    /** The host waits for the whole device. */
    synchronized void hostAwaitsAll() {
        streams.forEach(host::advance);
        deliver();
        forgetIfAllIsDone();
    }

    private void forgetIfAllIsDone() {
        for (int stream = 0; stream < times.size(); stream++) {
            if (!host.has(stream, times.get(stream))) {
                return;
            }
        }
        touches.clear();
        births.clear();
    }

    /** Memory that is ready for what the stream does from now on. */
    synchronized void allocated(Region block, int stream) {
        if (checks && !host.has(stream, times.get(stream))) {
            births.put(block, new Birth(stream, times.get(stream)));
        }
    }

    /** Memory that others get when the stream has done what it was given so far. */
    synchronized void freed(Region block, int stream) {
        births.remove(block);
        List<Touch> before = touches.remove(block);
        for (Touch touch : before == null ? List.<Touch>of() : before) {
            if (!streams.get(stream).has(touch.stream, touch.time) && !host.has(touch.stream, touch.time)) {
                throw new Fault(
                        Fault.Kind.RACE,
                        0,
                        block + " was closed, " + name(stream) + " may have its memory for"
                                + " other work, and nothing orders that after the " + touch.work + " on "
                                + name(touch.stream)
                                + ", which uses it: an unordered access; wait for that work first, or let "
                                + name(stream)
                                + " await an event of it");
            }
        }
    }

    /** The stream's current operation accesses contiguous bytes. */
    void touched(int stream, String work, Region block, int from, int bytes, boolean writes) {
        if (checks && bytes > 0) {
            BitSet words = new BitSet();
            words.set(from / WORD, (from + bytes - 1) / WORD + 1);
            touched(stream, work, block, writes ? words : new BitSet(), writes ? new BitSet() : words);
        }
    }

    /** The work of the stream that was given last touches these words of four bytes; the sets are kept. */
    synchronized void touched(int stream, String work, Region block, BitSet written, BitSet read) {
        Known known = streams.get(stream);
        Birth birth = births.get(block);
        if (birth != null && !known.has(birth.stream, birth.time)) {
            throw new Fault(
                    Fault.Kind.RACE,
                    0,
                    work + " on " + name(stream) + " uses " + block
                            + ", which was allocated for " + name(birth.stream)
                            + ", and nothing orders it after what that stream was given before, which may use "
                            + "the same memory: "
                            + "an unordered access; let " + name(stream) + " await an event of "
                            + name(birth.stream) + ", or allocate for " + name(stream));
        }
        Touch now = new Touch(stream, times.get(stream), work, written, read);
        List<Touch> before = touches.computeIfAbsent(block, key -> new ArrayList<>());
        for (Touch earlier : before) {
            if (!known.has(earlier.stream, earlier.time)) {
                BitSet words = now.conflict(earlier);
                if (!words.isEmpty()) {
                    throw unordered(now, earlier, block, words);
                }
            }
        }
        before.removeIf(earlier -> known.has(earlier.stream, earlier.time) && earlier.isCoveredBy(now));
        before.add(now);
    }

    private static Fault unordered(Touch now, Touch earlier, Region block, BitSet words) {
        int first = words.nextSetBit(0);
        return new Fault(
                Fault.Kind.RACE,
                0,
                now.work + " on " + name(now.stream) + (now.written.get(first) ? " writes" : " reads") + " bytes from "
                        + WORD * first + " on of " + block + ", and nothing orders it after the "
                        + earlier.work + " on " + name(earlier.stream) + ", which "
                        + (earlier.written.get(first) ? "writes" : "reads")
                        + " them: an unordered access; record an event after that and let " + name(now.stream)
                        + " await it");
    }

    private static String name(int stream) {
        return stream == 0 ? "the stream of the device" : "stream " + stream;
    }
}
