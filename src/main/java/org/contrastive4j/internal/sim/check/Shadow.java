package org.contrastive4j.internal.sim.check;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.Iterator;
import java.util.List;
import org.contrastive4j.internal.sim.exec.Access;
import org.contrastive4j.internal.sim.exec.Grid;
import org.contrastive4j.internal.sim.exec.Region;
import org.contrastive4j.internal.sim.exec.Step;
import org.contrastive4j.internal.sim.exec.Warp;
import org.jspecify.annotations.Nullable;

/**
 * The accesses to every four bytes of a region that later ones may race with: the last writes, and the reads since.
 *
 * <p>A write takes the place of an earlier one when every access that races with the earlier write also races with the
 * later one, or is ordered after it: a plain write that comes after any write, and a strong one that comes after a
 * strong one. Writes to different bytes of a word, a plain write and the atomics after it, and atomics in no order are
 * kept side by side.
 */
final class Shadow {
    private static final int GRAIN = 4;
    private static final int ALL_BYTES = (1 << GRAIN) - 1;
    /** Unordered strong writes to a word that are kept; of more, the last ones. */
    private static final int MOST_STRONG = 4;

    /**
     * One access.
     *
     * @param lane that made it
     * @param time of its agent
     * @param at first byte, of so many
     * @param value that a store writes, a hash where it has more than one element
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
            int bytes,
            long value) {
        boolean touches(Entry other) {
            return at < other.at + other.bytes && other.at < at + bytes;
        }

        /** Whether this touches all that the other touches of four bytes. */
        boolean covers(Entry other, int grain) {
            int from = Math.max(other.at, grain * GRAIN);
            int end = Math.min(other.at + other.bytes, grain * GRAIN + GRAIN);
            return at <= from && end <= at + bytes;
        }

        private boolean isSameThread(Entry other) {
            return agent == other.agent && lane == other.lane && cluster == other.cluster;
        }

        String describe() {
            return (isAsync ? "asynchronous " : "")
                    + (kind == Access.Kind.READ ? "read" : kind == Access.Kind.WRITE ? "write" : "atomic");
        }
    }

    private final Grid grid;
    private final Object[] writes;
    private final Object[] reads;

    Shadow(Grid grid, int bytes) {
        this.grid = grid;
        int grains = (bytes + GRAIN - 1) / GRAIN;
        writes = new Object[grains];
        reads = new Object[grains];
    }

    void giveTo(RaceCheck.Touches touches, Region region) {
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
        touches.touched(region, written, read);
    }

    boolean belongsTo(Grid launched) {
        return grid == launched;
    }

    /** Notes an access of bytes [at, at + bytes); returns an earlier one that it races with, or null. */
    @Nullable
    Entry record(int at, int bytes, Entry entry, HappensBefore order, int lane) {
        for (int grain = at / GRAIN; grain * GRAIN < at + bytes; grain++) {
            Entry other = check(grain, entry, order, lane);
            if (other != null) {
                return other;
            }
            if (entry.kind() == Access.Kind.READ) {
                addRead(grain, entry, order, lane);
            } else {
                addWrite(grain, entry, order, lane);
                int from = Math.max(at - grain * GRAIN, 0);
                int to = Math.min(at + bytes - grain * GRAIN, GRAIN);
                dropReads(grain, entry, (1 << to) - (1 << from) == ALL_BYTES);
            }
        }
        return null;
    }

    private @Nullable Entry check(int grain, Entry entry, HappensBefore order, int lane) {
        if (writes[grain] instanceof Entry write) {
            if (races(write, entry, order, lane) && !isSameValue(write, entry)) {
                return write;
            }
        } else if (writes[grain] != null) {
            for (Entry write : list(writes[grain])) {
                if (races(write, entry, order, lane) && !isSameValue(write, entry)) {
                    return write;
                }
            }
        }
        if (entry.kind() != Access.Kind.READ && reads[grain] != null) {
            if (reads[grain] instanceof Entry read) {
                return races(read, entry, order, lane) ? read : null;
            }
            for (Entry read : list(reads[grain])) {
                if (races(read, entry, order, lane)) {
                    return read;
                }
            }
        }
        return null;
    }

    /** Whether two unordered writes store the same value in the same bytes, which does no harm. */
    private static boolean isSameValue(Entry earlier, Entry later) {
        return earlier.kind() == Access.Kind.WRITE
                && later.kind() == Access.Kind.WRITE
                && !earlier.isAsync()
                && !later.isAsync()
                && earlier.step().isStore()
                && later.step().isStore()
                && earlier.at() == later.at()
                && earlier.bytes() == later.bytes()
                && earlier.value() == later.value();
    }

    private static boolean races(Entry earlier, Entry later, HappensBefore order, int lane) {
        if (!earlier.touches(later)) {
            return false;
        }
        boolean together = !earlier.blockScope() && !later.blockScope()
                || earlier.warp().cta() == later.warp().cta();
        return !(earlier.strong() && later.strong() && together) && !isOrdered(earlier, order, lane);
    }

    private static boolean isOrdered(Entry earlier, HappensBefore order, int lane) {
        return order.isOrderedBefore(earlier.cluster(), earlier.agent(), earlier.lane(), earlier.time(), lane);
    }

    @SuppressWarnings("unchecked")
    private static List<Entry> list(Object entries) {
        return (List<Entry>) entries;
    }

    private void addWrite(int grain, Entry entry, HappensBefore order, int lane) {
        Object before = writes[grain];
        if (before == null || before instanceof Entry one && replaces(entry, one, grain, order, lane)) {
            writes[grain] = entry;
            return;
        }
        if (before instanceof Entry one) {
            List<Entry> both = new ArrayList<>(4);
            both.add(one);
            both.add(entry);
            writes[grain] = both;
            return;
        }
        List<Entry> all = list(before);
        int strong = 0;
        for (Iterator<Entry> each = all.iterator(); each.hasNext(); ) {
            Entry one = each.next();
            if (replaces(entry, one, grain, order, lane)) {
                each.remove();
            } else {
                strong += one.strong() ? 1 : 0;
            }
        }
        if (all.isEmpty()) {
            writes[grain] = entry;
            return;
        }
        if (entry.strong() && strong >= MOST_STRONG) {
            for (int i = 0; i < all.size(); i++) {
                if (all.get(i).strong()) {
                    all.remove(i);
                    break;
                }
            }
        }
        all.add(entry);
    }

    /** Whether an earlier write need not be kept beside a later one. */
    private static boolean replaces(Entry later, Entry earlier, int grain, HappensBefore order, int lane) {
        return (!later.strong() || earlier.strong())
                && later.covers(earlier, grain)
                && (earlier.isSameThread(later) || isOrdered(earlier, order, lane));
    }

    /** After a plain write of the whole word the reads before it do not matter, after a strong one plain reads do. */
    private void dropReads(int grain, Entry write, boolean whole) {
        if (reads[grain] == null || !whole) {
            return;
        }
        if (!write.strong()) {
            reads[grain] = null;
        } else if (reads[grain] instanceof Entry read) {
            reads[grain] = read.strong() ? null : read;
        } else {
            list(reads[grain]).removeIf(Entry::strong);
            reads[grain] = list(reads[grain]).isEmpty() ? null : reads[grain];
        }
    }

    private void addRead(int grain, Entry entry, HappensBefore order, int lane) {
        Object before = reads[grain];
        if (before == null) {
            reads[grain] = entry;
            return;
        }
        if (before instanceof Entry one) {
            if (one.strong() == entry.strong() && entry.covers(one, grain) && isOrdered(one, order, lane)) {
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
     * A thread's read takes the place of its last one. Earlier reads that are ordered before it may be dropped too.
     * They are looked for only as the list doubles: a word that all lanes of a grid read would otherwise cost each of
     * them a walk through the list.
     */
    private static void addRead(List<Entry> all, int grain, Entry entry, HappensBefore order, int lane) {
        for (int i = 0; i < all.size(); i++) {
            Entry one = all.get(i);
            if (one.isSameThread(entry)
                    && entry.covers(one, grain)
                    && (one.strong() == entry.strong() || one.strong())) {
                all.set(i, entry);
                return;
            }
        }
        if (Integer.bitCount(all.size()) == 1) {
            all.removeIf(
                    one -> one.strong() == entry.strong() && entry.covers(one, grain) && isOrdered(one, order, lane));
        }
        all.add(entry);
    }
}
