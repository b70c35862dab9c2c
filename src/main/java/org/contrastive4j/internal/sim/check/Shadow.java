package org.contrastive4j.internal.sim.check;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import org.contrastive4j.internal.sim.exec.Access;
import org.contrastive4j.internal.sim.exec.Grid;
import org.contrastive4j.internal.sim.exec.Region;
import org.contrastive4j.internal.sim.exec.Step;
import org.contrastive4j.internal.sim.exec.Warp;

/** The last write of every four bytes of a block, and the reads since that may still matter. */
final class Shadow {
    private static final int GRAIN = 4;

    /**
     * One access.
     *
     * @param lane that made it
     * @param time of its agent
     * @param at first byte, of so many
     */
    record Entry(
            Object cluster,
            int agent,
            int lane,
            int time,
            boolean strong,
            boolean blockScope,
            boolean isAsync,
            Access.Kind kind,
            Warp warp,
            Step step,
            int at,
            int bytes) {
        boolean touches(Entry other) {
            return at < other.at + other.bytes && other.at < at + bytes;
        }

        /** Whether this touches all that the other touches of four bytes. */
        boolean covers(Entry other, int grain) {
            int from = Math.max(other.at, grain * GRAIN);
            int end = Math.min(other.at + other.bytes, grain * GRAIN + GRAIN);
            return at <= from && end <= at + bytes;
        }

        String describe() {
            return (isAsync ? "asynchronous " : "")
                    + (kind == Access.Kind.READ ? "read" : kind == Access.Kind.WRITE ? "write" : "atomic");
        }
    }

    private final Grid grid;
    private final Entry[] writes;
    private final byte[] writtenBytes;
    private final Object[] reads;

    Shadow(Grid grid, int bytes) {
        this.grid = grid;
        int grains = (bytes + GRAIN - 1) / GRAIN;
        writes = new Entry[grains];
        writtenBytes = new byte[grains];
        reads = new Object[grains];
    }

    void giveTo(RaceCheck.Touches touches, Region block) {
        BitSet written = new BitSet(writes.length);
        BitSet read = new BitSet(writes.length);
        for (int grain = 0; grain < writes.length; grain++) {
            if (writes[grain] != null) {
                written.set(grain);
            }
            if (reads[grain] != null) {
                read.set(grain);
            }
        }
        touches.touched(block, written, read);
    }

    boolean belongsTo(Grid launched) {
        return grid == launched;
    }

    /** Notes an access of bytes [at, at + bytes); an earlier one that it races with, or null. */
    Entry record(int at, int bytes, Entry entry, HappensBefore order, int lane) {
        for (int grain = at / GRAIN; grain * GRAIN < at + bytes; grain++) {
            int from = Math.max(at - grain * GRAIN, 0);
            int to = Math.min(at + bytes - grain * GRAIN, GRAIN);
            int touched = (1 << to) - (1 << from);
            Entry other = check(grain, touched, entry, order, lane);
            if (other != null) {
                return other;
            }
            if (entry.kind() == Access.Kind.READ) {
                addRead(grain, entry, order, lane);
            } else {
                writtenBytes[grain] = (byte)
                        (writes[grain] != null
                                        && touched != 15
                                        && writes[grain].time() == entry.time()
                                        && writes[grain].agent() == entry.agent()
                                        && writes[grain].lane() == entry.lane()
                                ? writtenBytes[grain] | touched
                                : touched);
                writes[grain] = entry;
                if (touched == 15) {
                    reads[grain] = null;
                }
            }
        }
        return null;
    }

    private Entry check(int grain, int touched, Entry entry, HappensBefore order, int lane) {
        Entry write = writes[grain];
        if (write != null && (writtenBytes[grain] & touched) != 0 && races(write, entry, order, lane)) {
            return write;
        }
        if (entry.kind() != Access.Kind.READ && reads[grain] != null) {
            if (reads[grain] instanceof Entry read) {
                return read.touches(entry) && races(read, entry, order, lane) ? read : null;
            }
            for (Entry read : list(reads[grain])) {
                if (read.touches(entry) && races(read, entry, order, lane)) {
                    return read;
                }
            }
        }
        return null;
    }

    private static boolean races(Entry earlier, Entry later, HappensBefore order, int lane) {
        boolean together = !earlier.blockScope() && !later.blockScope()
                || earlier.warp().cta() == later.warp().cta();
        return !(earlier.strong() && later.strong() && together)
                && !order.isOrderedBefore(earlier.cluster(), earlier.agent(), earlier.lane(), earlier.time(), lane);
    }

    @SuppressWarnings("unchecked")
    private static List<Entry> list(Object reads) {
        return (List<Entry>) reads;
    }

    private void addRead(int grain, Entry entry, HappensBefore order, int lane) {
        Object before = reads[grain];
        if (before == null) {
            reads[grain] = entry;
            return;
        }
        if (before instanceof Entry one) {
            if (one.strong() == entry.strong()
                    && entry.covers(one, grain)
                    && order.isOrderedBefore(one.cluster(), one.agent(), one.lane(), one.time(), lane)) {
                reads[grain] = entry;
                return;
            }
            List<Entry> both = new ArrayList<>(4);
            both.add(one);
            both.add(entry);
            reads[grain] = both;
            return;
        }
        addRead(list(before), grain, entry, order, lane);
    }

    /**
     * A lane's read takes the place of its last one. Reads that this lane knows of may go too, as who comes after it
     * comes after them, but need not: they are looked for as the list doubles, or a word that all lanes of a grid read
     * would cost each of them a walk through what it knows.
     */
    private static void addRead(List<Entry> all, int grain, Entry entry, HappensBefore order, int lane) {
        for (int i = 0; i < all.size(); i++) {
            Entry one = all.get(i);
            if (entry.covers(one, grain)
                    && one.agent() == entry.agent()
                    && one.lane() == entry.lane()
                    && one.cluster() == entry.cluster()) {
                all.set(i, entry);
                return;
            }
        }
        if (Integer.bitCount(all.size()) == 1) {
            all.removeIf(one -> entry.covers(one, grain)
                    && order.isOrderedBefore(one.cluster(), one.agent(), one.lane(), one.time(), lane));
        }
        all.add(entry);
    }
}
