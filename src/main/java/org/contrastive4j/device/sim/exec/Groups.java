package org.contrastive4j.device.sim.exec;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/** Asynchronous work of a warp in the order it was started, by kind, and where commit groups end. */
final class Groups {
    private final Map<Async.Group, Line> lines = new EnumMap<>(Async.Group.class);

    /** One piece of work of some lanes. */
    private record Pending(int number, int lanes, Later later) {}

    /** Work of one kind. */
    private static final class Line {
        private final List<Pending> pending = new ArrayList<>();
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

    void add(Async.Group group, int lanes, Later later) {
        Line line = line(group);
        line.pending.add(new Pending(line.next++, lanes, later));
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
        line.pending.removeIf(item -> item.later().isDone());
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
                item.later().complete();
            }
        }
    }
}
