package org.contrastive4j.internal.sim.check;

import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.contrastive4j.internal.sim.exec.Async;
import org.contrastive4j.internal.sim.exec.Cluster;
import org.contrastive4j.internal.sim.exec.Cta;
import org.contrastive4j.internal.sim.exec.Region;
import org.contrastive4j.internal.sim.exec.Warp;
import org.jspecify.annotations.Nullable;

/**
 * The agents of one cluster (warps, their asynchronous work, mbarriers) by number, and the happens-before state of each
 * warp.
 */
final class Agents {
    private static final int KINDS = 1 + Async.Group.values().length;

    private final Map<Warp, HappensBefore> order = new IdentityHashMap<>();
    private final Map<Object, Integer> barriers = new IdentityHashMap<>();
    private final Map<Object, VectorClock> places = new IdentityHashMap<>();
    private final Map<Cta, VectorClock> exits = new IdentityHashMap<>();
    private final Map<Remote, Run> remote = new LinkedHashMap<>();
    private final int warps;
    private final List<Warp> all;
    /** Stands for the cluster in clocks, which are kept when the cluster is gone. */
    private final Object key = new Object();

    /** A thread that accesses the shared memory of another block of its cluster. */
    record Remote(Region shared, int agent, int lane) {}

    Agents(Cluster cluster) {
        warps = cluster.warps().size();
        all = cluster.warps();
        for (int w = 0; w < warps; w++) {
            order.put(
                    cluster.warps().get(w),
                    new HappensBefore(this, w * KINDS, Origin.of(cluster.warps().get(w))));
        }
    }

    Object key() {
        return key;
    }

    /** The warp that an agent is or belongs to. */
    Warp warp(int agent) {
        return all.get(agent / KINDS);
    }

    HappensBefore of(Warp warp) {
        return Objects.requireNonNull(order.get(warp), "the warp belongs to the cluster");
    }

    /** Returns the agent of asynchronous work that completes on an mbarrier. */
    int barrier(Object owner) {
        return barriers.computeIfAbsent(owner, key -> warps * KINDS + barriers.size());
    }

    /** Returns the clock of what was released through a location of this cluster. */
    VectorClock location(Object location) {
        return places.computeIfAbsent(location, key -> new VectorClock());
    }

    /** What is ordered before the exit of some thread of a block. */
    VectorClock exits(Cta cta) {
        return exits.computeIfAbsent(cta, key -> new VectorClock());
    }

    /** Notes that a thread accesses the shared memory of another block. */
    void remote(Region shared, Run run) {
        for (int left = run.lanes(); left != 0; left &= left - 1) {
            remote.put(new Remote(shared, run.stamp().agent(), Integer.numberOfTrailingZeros(left)), run);
        }
    }

    /** Last access of every thread to the shared memory of every other block. */
    Map<Remote, Run> remote() {
        return remote;
    }

    @Nullable
    VectorClock locationIfAny(Object location) {
        return places.get(location);
    }
}
