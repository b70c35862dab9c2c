package org.contrastive4j.internal.sim.check;

import java.util.IdentityHashMap;
import java.util.Map;
import org.contrastive4j.internal.sim.exec.Async;
import org.contrastive4j.internal.sim.exec.Cluster;
import org.contrastive4j.internal.sim.exec.Warp;

/** The agents of one cluster: numbers for warps, their asynchronous work and mbarriers, and what each warp knows. */
final class Agents {
    private static final int KINDS = 1 + Async.Group.values().length;

    private final Map<Warp, Knowledge> knowledge = new IdentityHashMap<>();
    private final Map<Object, Integer> barriers = new IdentityHashMap<>();
    private final Map<Object, Clock> places = new IdentityHashMap<>();
    private final int warps;

    Agents(Cluster cluster) {
        warps = cluster.warps().size();
        for (int w = 0; w < warps; w++) {
            knowledge.put(cluster.warps().get(w), new Knowledge(this, w * KINDS));
        }
    }

    Knowledge of(Warp warp) {
        return knowledge.get(warp);
    }

    /** The agent of asynchronous work that an mbarrier learns of. */
    int barrier(Object owner) {
        return barriers.computeIfAbsent(owner, key -> warps * KINDS + barriers.size());
    }

    /** What was released to a place of this cluster. */
    Clock place(Object place) {
        return places.computeIfAbsent(place, key -> new Clock());
    }

    Clock placeIfAny(Object place) {
        return places.get(place);
    }
}
