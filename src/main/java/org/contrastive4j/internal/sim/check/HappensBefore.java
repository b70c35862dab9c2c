package org.contrastive4j.internal.sim.check;

import java.util.Arrays;
import org.contrastive4j.internal.sim.exec.Async;
import org.contrastive4j.internal.sim.exec.Warp;
import org.jspecify.annotations.Nullable;

/**
 * The happens-before state of one warp: clocks that all lanes share, clocks of single lanes, and the order among lanes.
 *
 * <p>Tested by {@code CheckersTest}.
 */
final class HappensBefore {
    private static final int GROUPS = Async.Group.values().length;

    private final Agents cluster;
    private final int agent;
    private final Object key;
    private final Origin origin;
    private final VectorClock shared = new VectorClock();
    private final VectorClock[] own = new VectorClock[Warp.LANES];
    private final VectorClock[] fenced = new VectorClock[Warp.LANES];
    private final VectorClock[] unfenced = new VectorClock[Warp.LANES];
    private final int[][] waited = new int[GROUPS][Warp.LANES];
    private final int[][] waitedTogether = new int[GROUPS][Warp.LANES];
    private int @Nullable [] pairs;
    private int together;
    private int now = 1;
    private int fencedLanes;
    private boolean lanesDiffer;

    HappensBefore(Agents cluster, int agent, Origin origin) {
        this.key = cluster.key();
        this.origin = origin;
        this.cluster = cluster;
        this.agent = agent;
    }

    Origin origin() {
        return origin;
    }

    Agents cluster() {
        return cluster;
    }

    int agent() {
        return agent;
    }

    int agent(Async.Group group) {
        return agent + 1 + group.ordinal();
    }

    /** Time of what the warp does now. */
    int now() {
        return now;
    }

    /** Whether an access of an agent of the same or another cluster is ordered before what {@code lane} does now. */
    boolean isOrderedBefore(Object theirCluster, int theirAgent, int theirLane, int time, int lane) {
        if (theirCluster == key && theirAgent >= agent && theirAgent <= agent + GROUPS) {
            if (theirAgent == agent
                    ? knowsLane(theirLane, time, lane)
                    : knowsWork(theirAgent - agent - 1, theirLane, time, lane)) {
                return true;
            }
        }
        return shared.isOrderedBefore(theirCluster, theirAgent, theirLane, time)
                || own[lane] != null && own[lane].isOrderedBefore(theirCluster, theirAgent, theirLane, time);
    }

    /**
     * Whether all that an agent did up to a time is ordered before what any lane does now, as far as all lanes know.
     */
    boolean isOrderedForAll(Object theirCluster, int theirAgent, int time) {
        return theirCluster == key && theirAgent == agent && time <= together
                || shared.isOrderedForAll(theirCluster, theirAgent, time);
    }

    private boolean knowsLane(int theirLane, int time, int lane) {
        return theirLane == lane
                || time <= together
                || pairs != null && theirLane < Warp.LANES && time <= pairs[theirLane * Warp.LANES + lane];
    }

    private boolean knowsWork(int group, int theirLane, int time, int lane) {
        return theirLane < Warp.LANES
                && (time <= waitedTogether[group][theirLane] || theirLane == lane && time <= waited[group][lane]);
    }

    void release(int mask, int live, VectorClock location) {
        publish(mask, live, location);
        now++;
    }

    void publish(int mask, int live, VectorClock location) {
        location.join(shared);
        for (int lane = 0; lane < Warp.LANES; lane++) {
            if ((mask >>> lane & 1) != 0 && own[lane] != null) {
                location.join(own[lane]);
            }
            if ((mask >>> lane & 1) != 0 && unfenced[lane] != null) {
                location.unfenced().join(unfenced[lane]);
            }
        }
        location.advance(key, agent, together);
        if (mask == live) {
            location.advance(key, agent, now);
        } else {
            location.advance(key, agent, now, mask);
        }
        for (int group = 0; group < GROUPS; group++) {
            for (int lane = 0; lane < Warp.LANES; lane++) {
                boolean mine = (mask >>> lane & 1) != 0;
                int known =
                        mine ? Math.max(waited[group][lane], waitedTogether[group][lane]) : waitedTogether[group][lane];
                if (known > 0) {
                    location.advance(key, agent + 1 + group, known, 1 << lane);
                }
            }
        }
    }

    void acquire(int mask, int live, VectorClock location) {
        for (int lane = 0; lane < Warp.LANES && location.hasUnfenced(); lane++) {
            if ((mask >>> lane & 1) != 0) {
                own(unfenced, lane).join(location.unfenced());
            }
        }
        if (mask == live) {
            shared.join(location);
            return;
        }
        for (int lane = 0; lane < Warp.LANES; lane++) {
            if ((mask >>> lane & 1) != 0) {
                ownOf(lane).join(location);
            }
        }
    }

    private VectorClock ownOf(int lane) {
        lanesDiffer = true;
        return own(own, lane);
    }

    private static VectorClock own(VectorClock[] clocks, int lane) {
        if (clocks[lane] == null) {
            clocks[lane] = new VectorClock();
        }
        return clocks[lane];
    }

    /** Lanes synchronise: their clocks are joined, and their accesses are ordered among each other. */
    void converge(int mask, int live) {
        VectorClock joint = new VectorClock();
        for (int lane = 0; lane < Warp.LANES; lane++) {
            if ((mask >>> lane & 1) != 0 && own[lane] != null) {
                joint.join(own[lane]);
            }
        }
        if (mask == live) {
            shared.join(joint);
            Arrays.fill(own, null);
            lanesDiffer = false;
            together = now;
            for (int group = 0; group < GROUPS; group++) {
                for (int lane = 0; lane < Warp.LANES; lane++) {
                    waitedTogether[group][lane] = Math.max(waitedTogether[group][lane], waited[group][lane]);
                }
            }
        } else {
            convergeSome(mask, joint);
        }
        now++;
    }

    private void convergeSome(int mask, VectorClock joint) {
        pairs = pairs == null ? new int[Warp.LANES * Warp.LANES] : pairs;
        for (int a = 0; a < Warp.LANES; a++) {
            if ((mask >>> a & 1) != 0) {
                ownOf(a).join(joint);
                for (int b = 0; b < Warp.LANES; b++) {
                    if ((mask >>> b & 1) != 0) {
                        pairs[a * Warp.LANES + b] = now;
                    }
                }
            }
        }
    }

    /**
     * Executes a fence: earlier strong reads acquire, and later strong writes release what happened before the fence.
     */
    void fence(int mask, int live) {
        for (int lane = 0; lane < Warp.LANES; lane++) {
            if ((mask >>> lane & 1) != 0) {
                if (unfenced[lane] != null) {
                    ownOf(lane).join(unfenced[lane]);
                    unfenced[lane] = null;
                }
                VectorClock snapshot = new VectorClock();
                publish(1 << lane, live, snapshot);
                fenced[lane] = snapshot;
                fencedLanes |= 1 << lane;
            }
        }
        now++;
    }

    void strongWrite(int lane, VectorClock location) {
        if (fenced[lane] != null) {
            location.join(fenced[lane]);
        }
    }

    /** Whether an agent is the warp itself or its asynchronous work. */
    boolean isOwn(int theirAgent) {
        return theirAgent >= agent && theirAgent <= agent + GROUPS;
    }

    /** Lanes that have executed a fence. */
    int fencedLanes() {
        return fencedLanes;
    }

    /** Whether what happened before another agent's accesses may differ between the lanes. */
    boolean lanesDiffer() {
        return lanesDiffer;
    }

    boolean hasFenced(int lane) {
        return fenced[lane] != null;
    }

    void strongRead(int lane, VectorClock location) {
        own(unfenced, lane).join(location);
    }

    void waited(int mask, Async.Group group, int number) {
        for (int lane = 0; lane < Warp.LANES; lane++) {
            if ((mask >>> lane & 1) != 0) {
                waited[group.ordinal()][lane] = Math.max(waited[group.ordinal()][lane], number);
            }
        }
    }
}
