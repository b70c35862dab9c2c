package org.contrastive4j.internal.sim.exec;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * Asynchronous work of a warp in order, by kind; where commit groups end; what has not been waited for.
 *
 * <p>Tested by {@code AsyncCopyConformanceTest}.
 */
final class Groups {
    private final Map<Async.Group, Line> lines = new EnumMap<>(Async.Group.class);

    /** One piece of work of some lanes. */
    private record Pending(int number, int lanes, PendingWork work) {}

    /** Work that these lanes have not waited for. */
    private static final class Owed {
        private final Step step;
        private final int number;
        private int lanes;

        Owed(Step step, int number, int lanes) {
            this.step = step;
            this.number = number;
            this.lanes = lanes;
        }
    }

    /** Work of one kind. */
    private static final class Line {
        private final List<Pending> pending = new ArrayList<>();
        private final List<Owed> owed = new ArrayList<>();
        private final List<Integer> ends = new ArrayList<>();
        private int next;
    }

    private Line line(Async.Group group) {
        return lines.computeIfAbsent(group, key -> new Line());
    }

    /** Number of the piece of work that is started next. */
    int next(Async.Group group) {
        return line(group).next;
    }

    /** Starts work of these lanes; what a bulk store writes need not be waited for, what it reads has to be. */
    void add(Async.Group group, Step step, int lanes, PendingWork work) {
        Line line = line(group);
        if (group != Async.Group.BULK) {
            line.owed.add(new Owed(step, line.next, lanes));
        }
        line.pending.add(new Pending(line.next++, lanes, work));
    }

    /** These lanes have waited for their work below this number. */
    void waited(Async.Group group, int lanes, int limit) {
        List<Owed> owed = line(group == Async.Group.BULK ? Async.Group.BULK_READ : group).owed;
        owed.removeIf(item -> item.number < limit && (item.lanes &= ~lanes) == 0);
    }

    /** Whether one of these lanes has not waited for some work. */
    boolean owes(Async.Group group, int lanes) {
        for (Owed item : line(group).owed) {
            if ((item.lanes & lanes) != 0) {
                return true;
            }
        }
        return false;
    }

    /** @throws Fault when these lanes end before they have waited for all of their work */
    void checkEnd(Warp warp, int lanes) {
        lines.forEach((group, line) -> {
            for (Owed item : line.owed) {
                if ((item.lanes & lanes) != 0) {
                    warp.report(warp.fault(
                                    Fault.Kind.ASYNC_PENDING,
                                    item.step,
                                    Integer.numberOfTrailingZeros(item.lanes & lanes),
                                    "the thread ends and has not waited for it: it may still "
                                            + switch (group) {
                                                case BULK_READ ->
                                                    "read shared memory; put cp.async.bulk.wait_group.read 0";
                                                case WGMMA -> "read shared memory; put wgmma.wait_group.sync.aligned 0";
                                                default -> "write shared memory; put cp.async.wait_group 0";
                                            }
                                            + " before the end")
                            .as(Fault.Severity.WARNING));
                }
            }
        });
    }

    void commit(Async.Group group) {
        Line line = line(group);
        line.ends.add(line.next);
    }

    /** Work below this number must be done when all but the last {@code keep} committed groups are. */
    int limit(Async.Group group, int keep) {
        List<Integer> ends = line(group).ends;
        return ends.size() <= keep ? 0 : ends.get(ends.size() - 1 - keep);
    }

    /** Whether the work below this number of these lanes is done. */
    boolean isDone(Async.Group group, int lanes, int limit) {
        Line line = line(group);
        line.pending.removeIf(item -> item.work().isDone());
        for (Pending item : line.pending) {
            if (item.number() < limit && (item.lanes() & lanes) != 0) {
                return false;
            }
        }
        return true;
    }

    /** Does all that is pending, in order. */
    void complete(Async.Group group, int lanes) {
        for (Pending item : List.copyOf(line(group).pending)) {
            if ((item.lanes() & lanes) != 0) {
                item.work().complete();
            }
        }
    }
}
