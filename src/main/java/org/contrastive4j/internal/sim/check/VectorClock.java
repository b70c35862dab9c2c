package org.contrastive4j.internal.sim.check;

import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A vector clock: for each agent of each cluster, the time up to which its accesses happened before.
 *
 * <p>An agent is a warp, or its asynchronous work of one kind, or an mbarrier. Of an agent, the accesses of all lanes
 * are covered up to one time, and those of some lanes up to a later one. Where two such sets of lanes are joined, their
 * union is taken with the later time: that can miss a race, never invent one.
 *
 * <p>Tested by {@code CheckersTest}.
 */
final class VectorClock {
    /** Times of the agents of one cluster. */
    private static final class Part {
        private int[] all = new int[8];
        private int[] some = new int[8];
        private int[] lanes = new int[8];

        private void reach(int agent) {
            if (agent >= all.length) {
                int size = Math.max(agent + 1, 2 * all.length);
                all = Arrays.copyOf(all, size);
                some = Arrays.copyOf(some, size);
                lanes = Arrays.copyOf(lanes, size);
            }
        }

        private void join(int agent, int time, int laterTime, int laterLanes) {
            reach(agent);
            all[agent] = Math.max(all[agent], time);
            if (laterTime > all[agent]) {
                if (laterTime >= some[agent] && laterLanes == lanes[agent] || some[agent] <= all[agent]) {
                    some[agent] = laterTime;
                    lanes[agent] = laterLanes;
                } else {
                    some[agent] = Math.max(some[agent], laterTime);
                    lanes[agent] |= laterLanes;
                }
            }
        }
    }

    private final Map<Object, Part> parts = new IdentityHashMap<>(2);
    private @Nullable VectorClock unfenced;
    private @Nullable Object lastKey;
    private @Nullable Part lastPart;

    private Part part(Object cluster) {
        Part part = lastPart;
        if (part == null || cluster != lastKey) {
            part = parts.computeIfAbsent(cluster, key -> new Part());
            lastKey = cluster;
            lastPart = part;
        }
        return part;
    }

    /** The clock of strong reads before the release; a fence of the acquiring thread completes it. */
    VectorClock unfenced() {
        if (unfenced == null) {
            unfenced = new VectorClock();
        }
        return unfenced;
    }

    boolean hasUnfenced() {
        return unfenced != null;
    }

    boolean isOrderedBefore(Object cluster, int agent, int lane, int time) {
        if (cluster != lastKey && !parts.containsKey(cluster)) {
            return false;
        }
        Part part = part(cluster);
        return agent < part.all.length
                && (time <= part.all[agent] || time <= part.some[agent] && (part.lanes[agent] >>> lane & 1) != 0);
    }

    /** Whether the accesses of all lanes of an agent up to a time are known. */
    boolean isOrderedForAll(Object cluster, int agent, int time) {
        if (cluster != lastKey && !parts.containsKey(cluster)) {
            return false;
        }
        Part part = part(cluster);
        return agent < part.all.length && time <= part.all[agent];
    }

    /** Knows the accesses of all lanes up to a time. */
    void advance(Object cluster, int agent, int time) {
        part(cluster).join(agent, time, 0, 0);
    }

    /** Knows the accesses of some lanes up to a time. */
    void advance(Object cluster, int agent, int time, int lanes) {
        part(cluster).join(agent, 0, time, lanes);
    }

    void join(VectorClock other) {
        other.parts.forEach((cluster, theirs) -> {
            Part mine = part(cluster);
            for (int agent = 0; agent < theirs.all.length; agent++) {
                if (theirs.all[agent] != 0 || theirs.some[agent] != 0) {
                    mine.join(agent, theirs.all[agent], theirs.some[agent], theirs.lanes[agent]);
                }
            }
        });
    }
}
