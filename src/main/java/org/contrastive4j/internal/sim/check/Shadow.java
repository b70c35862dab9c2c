package org.contrastive4j.internal.sim.check;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.Iterator;
import java.util.List;
import org.contrastive4j.internal.sim.exec.Access;
import org.contrastive4j.internal.sim.exec.Grid;
import org.contrastive4j.internal.sim.exec.Region;
import org.contrastive4j.internal.sim.exec.Warp;
import org.jspecify.annotations.Nullable;

/**
 * The accesses to every four bytes of a region that later ones may race with: the last writes, and the reads since.
 *
 * <p>A write takes the place of an earlier one when every access that races with the earlier write also races with the
 * later one, or is ordered after it: a plain write that comes after any write, and a strong one that comes after a
 * strong one. Writes to different bytes of a word, a plain write and the atomics after it, and atomics in no order are
 * kept side by side.
 *
 * <p>Memory: 128 bytes that one instruction of a warp has accessed as a whole take one reference and a {@link Run};
 * only where accesses are not as regular as that, every four bytes have a reference of their own.
 *
 * <p>Tested by {@code CheckersTest}.
 */
final class Shadow {
    private static final int GRAIN = 4;
    private static final int GRAINS = 32;
    private static final int LINE = GRAIN * GRAINS;
    /** Unordered strong writes to a word that are kept; of more, the last ones. */
    private static final int MOST_STRONG = 4;

    private final Grid grid;
    private final int bytes;
    /** By line: null, the {@link Run} or {@code Both} that cover it, or a {@code Cells}. */
    private final @Nullable Object[] writes;

    private final @Nullable Object[] reads;

    /** A plain write that covers a line, and the strong ones after it. */
    private record Both(Run plain, Run strong) {}

    /** The accesses to each four bytes of a line: null, a {@link Run}, or a list of them. */
    private record Cells(@Nullable Object[] grains) {}

    /**
     * Two accesses that nothing orders.
     *
     * @param harmless whether both store the same value
     */
    record Conflict(Run earlier, int earlierLane, int laterLane, boolean harmless) {
        /** Returns the one that does harm; the first of two that are alike. */
        static @Nullable Conflict worse(@Nullable Conflict first, @Nullable Conflict second) {
            return first == null || second != null && first.harmless && !second.harmless ? second : first;
        }
    }

    /** The warp that makes an access now, and the region that it accesses. */
    record Where(Warp warp, Region region) {}

    Shadow(Grid grid, int bytes) {
        this.grid = grid;
        this.bytes = bytes;
        int lines = (bytes + LINE - 1) / LINE;
        writes = new Object[lines];
        reads = new Object[lines];
    }

    boolean belongsTo(Grid launched) {
        return grid == launched;
    }

    void giveTo(RaceCheck.Touches touches, Region region) {
        touches.touched(region, touched(writes), touched(reads));
    }

    private static BitSet touched(@Nullable Object[] lines) {
        BitSet words = new BitSet(lines.length * GRAINS);
        for (int line = 0; line < lines.length; line++) {
            if (lines[line] instanceof Run || lines[line] instanceof Both) {
                words.set(line * GRAINS, (line + 1) * GRAINS);
            } else if (lines[line] instanceof Cells cells) {
                for (int grain = 0; grain < GRAINS; grain++) {
                    if (cells.grains[grain] != null) {
                        words.set(line * GRAINS + grain);
                    }
                }
            }
        }
        return words;
    }

    /** Notes accesses; returns an earlier one that one of them races with, or null. */
    @Nullable
    Conflict record(Run run, HappensBefore order, Where where) {
        Conflict first = null;
        for (int line = run.from() / LINE; line * LINE < run.to(); line++) {
            int from = line * LINE;
            int to = Math.min(from + LINE, bytes);
            if (run.covers(from, to) && recordLine(line, from, to, run, order)) {
                continue;
            }
            int grain = Math.max(run.from() - from, 0) / GRAIN;
            for (; grain < GRAINS && from + grain * GRAIN < run.to(); grain++) {
                first = Conflict.worse(first, record(line, grain, run, order, where));
            }
        }
        return first;
    }

    /** Records a run that covers a line which another has covered before; false where a closer look is needed. */
    private boolean recordLine(int line, int from, int to, Run run, HappensBefore order) {
        Object write = writes[line];
        Object read = reads[line];
        if (write instanceof Cells || read instanceof Cells || run.together()) {
            return false;
        }
        boolean reading = run.stamp().kind() == Access.Kind.READ;
        boolean afterWrite = write instanceof Both both
                ? isAfter(both.plain, run, order) && isAfter(both.strong, run, order)
                : !(write instanceof Run last) || isAfter(last, run, order);
        boolean afterRead = !(read instanceof Run last) || isAfter(last, run, order);
        if (!afterWrite || !afterRead) {
            return false;
        }
        if (reading) {
            if (read instanceof Run last && last.stamp().strong() != run.stamp().strong()) {
                return false;
            }
            reads[line] = run;
            return true;
        }
        if (!run.stamp().strong() || write == null) {
            writes[line] = run;
        } else if (write instanceof Both both) {
            writes[line] = new Both(both.plain, run);
        } else {
            Run last = (Run) write;
            writes[line] = last.stamp().strong() ? run : new Both(last, run);
        }
        if (read instanceof Run last && (!run.stamp().strong() || last.stamp().strong())) {
            reads[line] = null;
        }
        return true;
    }

    /** Whether all of the earlier accesses are ordered before all of the later ones, as far as one look shows. */
    private static boolean isAfter(Run earlier, Run later, HappensBefore order) {
        return later.hasSameLanes(earlier) && !later.stamp().isAsync() || isOrderedForAll(earlier, order);
    }

    private static @Nullable Object[] cells(@Nullable Object[] lines, int line) {
        if (lines[line] instanceof Cells cells) {
            return cells.grains;
        }
        @Nullable Object[] grains = new Object[GRAINS];
        for (int grain = 0; grain < GRAINS; grain++) {
            grains[grain] = entry(lines, line, grain);
        }
        lines[line] = new Cells(grains);
        return grains;
    }

    private @Nullable Conflict record(int line, int grain, Run run, HappensBefore order, Where where) {
        int from = line * LINE + grain * GRAIN;
        boolean reading = run.stamp().kind() == Access.Kind.READ;
        Object write = entry(writes, line, grain);
        Object read = entry(reads, line, grain);
        Conflict conflict = find(write, from, run, order, where);
        if (!reading) {
            conflict = Conflict.worse(conflict, find(read, from, run, order, where));
            cells(writes, line)[grain] = added(write, from, run, order);
            if (read != null) {
                cells(reads, line)[grain] = remaining(read, from, run);
            }
        } else {
            cells(reads, line)[grain] = addedRead(read, from, run, order);
        }
        return conflict;
    }

    private static @Nullable Object entry(@Nullable Object[] lines, int line, int grain) {
        if (lines[line] instanceof Both both) {
            return pair(both.plain, both.strong);
        }
        return lines[line] instanceof Cells cells ? cells.grains[grain] : lines[line];
    }

    private static @Nullable Conflict find(
            @Nullable Object entry, int from, Run run, HappensBefore order, Where where) {
        if (entry instanceof Run earlier) {
            return conflict(earlier, from, run, order, where);
        }
        Conflict found = null;
        if (entry != null) {
            for (Run earlier : list(entry)) {
                found = Conflict.worse(found, conflict(earlier, from, run, order, where));
            }
        }
        return found;
    }

    private static @Nullable Conflict conflict(Run earlier, int from, Run later, HappensBefore order, Where where) {
        boolean inScope = !earlier.stamp().blockScope() && !later.stamp().blockScope()
                || earlier.stamp().origin().isOfSameBlock(later.stamp().origin());
        if (earlier.stamp().strong() && later.stamp().strong() && inScope) {
            return null;
        }
        if (isOrderedForAll(earlier, order)) {
            return null;
        }
        Conflict found = null;
        for (int left = later.lanesOf(from, from + GRAIN); left != 0; left &= left - 1) {
            int lane = Integer.numberOfTrailingZeros(left);
            int start = Math.max(from, later.at(lane));
            int end = Math.min(from + GRAIN, later.at(lane) + later.bytes());
            for (int others = earlier.lanesOf(start, end); others != 0; others &= others - 1) {
                int other = Integer.numberOfTrailingZeros(others);
                if (!isOrdered(earlier, other, order, lane)) {
                    boolean same = SameValue.isStored(earlier, other, later, lane, where);
                    found = Conflict.worse(found, new Conflict(earlier, other, lane, same));
                }
            }
        }
        return found;
    }

    private static boolean isOrderedForAll(Run earlier, HappensBefore order) {
        Run.Stamp stamp = earlier.stamp();
        return order.isOrderedForAll(stamp.cluster(), stamp.agent(), stamp.time());
    }

    private static boolean isOrdered(Run earlier, int earlierLane, HappensBefore order, int lane) {
        Run.Stamp stamp = earlier.stamp();
        return order.isOrderedBefore(stamp.cluster(), stamp.agent(), earlierLane, stamp.time(), lane);
    }

    @SuppressWarnings("unchecked")
    private static List<Run> list(Object entries) {
        return (List<Run>) entries;
    }

    private static Object added(@Nullable Object before, int from, Run run, HappensBefore order) {
        if (before == null || before instanceof Run one && replaces(run, one, from, order)) {
            return run;
        }
        if (before instanceof Run one) {
            return pair(one, run);
        }
        List<Run> all = list(before);
        int strong = 0;
        for (Iterator<Run> each = all.iterator(); each.hasNext(); ) {
            Run one = each.next();
            if (replaces(run, one, from, order)) {
                each.remove();
            } else {
                strong += one.stamp().strong() ? 1 : 0;
            }
        }
        if (all.isEmpty()) {
            return run;
        }
        if (run.stamp().strong() && strong >= MOST_STRONG) {
            for (int i = 0; i < all.size(); i++) {
                if (all.get(i).stamp().strong()) {
                    all.remove(i);
                    break;
                }
            }
        }
        all.add(run);
        return all;
    }

    private static List<Run> pair(Run one, Run other) {
        List<Run> both = new ArrayList<>(4);
        both.add(one);
        both.add(other);
        return both;
    }

    /** Whether an earlier write need not be kept beside a later one. */
    private static boolean replaces(Run later, Run earlier, int from, HappensBefore order) {
        return (!later.stamp().strong() || earlier.stamp().strong()) && succeeds(later, earlier, from, order);
    }

    /** Whether the later accesses touch all that the earlier ones touch of a word, each after them. */
    private static boolean succeeds(Run later, Run earlier, int from, HappensBefore order) {
        int start = Math.max(from, earlier.from());
        int end = Math.min(from + GRAIN, earlier.to());
        if (!later.covers(start, end)) {
            return false;
        }
        if (isOrderedForAll(earlier, order)
                || later.hasSameLanes(earlier) && !later.stamp().isAsync()) {
            return true;
        }
        if (!order.lanesDiffer() && !order.isOwn(earlier.stamp().agent())) {
            return isOrdered(earlier, Integer.numberOfTrailingZeros(earlier.lanes()), order, 0)
                    && Integer.bitCount(earlier.lanes()) == 1;
        }
        boolean sameAgent = later.stamp().agent() == earlier.stamp().agent()
                && later.stamp().cluster() == earlier.stamp().cluster();
        for (int left = earlier.lanesOf(start, end); left != 0; left &= left - 1) {
            int lane = Integer.numberOfTrailingZeros(left);
            int low = Math.max(start, earlier.at(lane));
            int high = Math.min(end, earlier.at(lane) + earlier.bytes());
            int after = later.lanesOf(low, high);
            boolean same = sameAgent && (after & ~(1 << lane)) == 0
                    || sameAgent && later.together() && (after >>> lane & 1) != 0;
            if (!same && !isOrderedBeforeOne(earlier, lane, after, order, later.together())) {
                return false;
            }
        }
        return true;
    }

    /**
     * Whether an access is ordered before all of these lanes, or before one of them where they touch the same bytes.
     */
    private static boolean isOrderedBeforeOne(Run earlier, int lane, int lanes, HappensBefore order, boolean one) {
        for (int left = lanes; left != 0; left &= left - 1) {
            boolean ordered = isOrdered(earlier, lane, order, Integer.numberOfTrailingZeros(left));
            if (ordered == one) {
                return one;
            }
        }
        return !one;
    }

    /** After a plain write of the whole word the reads before it do not matter, after a strong one plain reads do. */
    private static @Nullable Object remaining(Object read, int from, Run write) {
        if (!write.covers(from, from + GRAIN)) {
            return read;
        }
        if (!write.stamp().strong()) {
            return null;
        }
        if (read instanceof Run one) {
            return one.stamp().strong() ? null : one;
        }
        list(read).removeIf(one -> one.stamp().strong());
        return list(read).isEmpty() ? null : read;
    }

    private static Object addedRead(@Nullable Object before, int from, Run run, HappensBefore order) {
        if (before == null) {
            return run;
        }
        if (before instanceof Run one) {
            boolean replaced = one.stamp().strong() == run.stamp().strong() && succeeds(run, one, from, order);
            return replaced ? run : pair(one, run);
        }
        addRead(list(before), from, run, order);
        return before;
    }

    /**
     * A thread's read takes the place of its last one. Earlier reads that are ordered before it may be dropped too.
     * They are looked for only as the list doubles: a word that all warps of a grid read would otherwise cost each of
     * them a walk through the list.
     */
    private static void addRead(List<Run> all, int from, Run run, HappensBefore order) {
        for (int i = 0; i < all.size(); i++) {
            Run one = all.get(i);
            if (run.hasSameLanes(one)
                    && run.covers(Math.max(from, one.from()), Math.min(from + GRAIN, one.to()))
                    && (!run.together() || (one.lanes() & ~run.lanes()) == 0)
                    && (one.stamp().strong() == run.stamp().strong()
                            || one.stamp().strong())) {
                all.set(i, run);
                return;
            }
        }
        if (Integer.bitCount(all.size()) == 1) {
            all.removeIf(one -> one.stamp().strong() == run.stamp().strong() && succeeds(run, one, from, order));
        }
        all.add(run);
    }
}
