package org.contrastive4j.device.sim.exec;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/** Commit groups of asynchronous work of a warp, by kind. */
final class Groups {
    private final Map<Async.Group, List<Pending>> pending = new EnumMap<>(Async.Group.class);
    private final Map<Async.Group, Integer> open = new EnumMap<>(Async.Group.class);

    /** One piece of work of some lanes. */
    private record Pending(int number, int lanes, Later later) {}

    /** Number of the group that work started now belongs to. */
    int open(Async.Group group) {
        return open.getOrDefault(group, 0);
    }

    void add(Async.Group group, int lanes, Later later) {
        pending.computeIfAbsent(group, key -> new ArrayList<>()).add(new Pending(open(group), lanes, later));
    }

    void commit(Async.Group group) {
        open.merge(group, 1, Integer::sum);
    }

    /** Whether the groups up to this number of these lanes are done. */
    boolean isDone(Async.Group group, int lanes, int number) {
        List<Pending> list = pending.get(group);
        if (list == null) {
            return true;
        }
        list.removeIf(item -> item.later().isDone());
        for (Pending item : list) {
            if (item.number() <= number && (item.lanes() & lanes) != 0) {
                return false;
            }
        }
        return true;
    }
}
