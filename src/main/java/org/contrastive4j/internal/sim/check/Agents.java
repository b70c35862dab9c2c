package org.contrastive4j.internal.sim.check;

import java.util.IdentityHashMap;
import java.util.Map;
import org.contrastive4j.internal.sim.exec.Async;
import org.contrastive4j.internal.sim.exec.Cluster;
import org.contrastive4j.internal.sim.exec.Warp;

/** The agents of one cluster: numbers for warps, their asynchronous work and mbarriers, and what each warp knows. */
final class Agents {
    private static final int KINDS = 1 + Async.Group.values().length;

    private final Map<Warp, HappensBefore> order = new IdentityHashMap<>();
    private final Map<Object, Integer> barriers = new IdentityHashMap<>();
    private final Map<Object, VectorClock> places = new IdentityHashMap<>();
    private final int warps;

    Agents(Cluster cluster) {
        warps = cluster.warps().size();
        for (int w = 0; w < warps; w++) {
            order.put(cluster.warps().get(w), new HappensBefore(this, w * KINDS));
        }
    }

    HappensBefore of(Warp warp) {
        return order.get(warp);
    }

    /** The agent of asynchronous work that an mbarrier learns of. */
    int barrier(Object owner) {
        return barriers.computeIfAbsent(owner, key -> warps * KINDS + barriers.size());
    }

    /** What was released to a place of this cluster. */
    VectorClock location(Object location) {
        return places.computeIfAbsent(location, key -> new VectorClock());
    }

    VectorClock locationIfAny(Object location) {
        return places.get(location);
    }
}
