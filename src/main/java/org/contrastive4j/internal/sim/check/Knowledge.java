package org.contrastive4j.internal.sim.check;

import java.util.Arrays;
import org.contrastive4j.internal.sim.exec.Async;
import org.contrastive4j.internal.sim.exec.Warp;

/** What the lanes of one warp know of the past: together, each for itself, and of each other. */
final class Knowledge {
    private static final int GROUPS = Async.Group.values().length;

    private final Agents cluster;
    private final int agent;
    private final Clock shared = new Clock();
    private final Clock[] own = new Clock[Warp.LANES];
    private final Clock[] fenced = new Clock[Warp.LANES];
    private final Clock[] unfenced = new Clock[Warp.LANES];
    private final int[][] waited = new int[GROUPS][Warp.LANES];
    private final int[][] waitedTogether = new int[GROUPS][Warp.LANES];
    private int[] pairs;
    private int together;
    private int now = 1;

    Knowledge(Agents cluster, int agent) {
        this.cluster = cluster;
        this.agent = agent;
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
    boolean knows(Object theirCluster, int theirAgent, int theirLane, int time, int lane) {
        if (theirCluster == cluster && theirAgent >= agent && theirAgent <= agent + GROUPS) {
            if (theirAgent == agent
                    ? knowsLane(theirLane, time, lane)
                    : knowsWork(theirAgent - agent - 1, theirLane, time, lane)) {
                return true;
            }
        }
        return shared.knows(theirCluster, theirAgent, theirLane, time)
                || own[lane] != null && own[lane].knows(theirCluster, theirAgent, theirLane, time);
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

    void release(int mask, int live, Clock place) {
        publish(mask, live, place);
        now++;
    }

    private void publish(int mask, int live, Clock place) {
        place.join(shared);
        for (int lane = 0; lane < Warp.LANES; lane++) {
            if ((mask >>> lane & 1) != 0 && own[lane] != null) {
                place.join(own[lane]);
            }
            if ((mask >>> lane & 1) != 0 && unfenced[lane] != null) {
                place.unfenced().join(unfenced[lane]);
            }
        }
        place.learn(cluster, agent, together);
        if (mask == live) {
            place.learn(cluster, agent, now);
        } else {
            place.learn(cluster, agent, now, mask);
        }
        for (int group = 0; group < GROUPS; group++) {
            for (int lane = 0; lane < Warp.LANES; lane++) {
                boolean mine = (mask >>> lane & 1) != 0;
                int known =
                        mine ? Math.max(waited[group][lane], waitedTogether[group][lane]) : waitedTogether[group][lane];
                if (known > 0) {
                    place.learn(cluster, agent + 1 + group, known, 1 << lane);
                }
            }
        }
    }

    void acquire(int mask, int live, Clock place) {
        for (int lane = 0; lane < Warp.LANES && place.hasUnfenced(); lane++) {
            if ((mask >>> lane & 1) != 0) {
                own(unfenced, lane).join(place.unfenced());
            }
        }
        if (mask == live) {
            shared.join(place);
            return;
        }
        for (int lane = 0; lane < Warp.LANES; lane++) {
            if ((mask >>> lane & 1) != 0) {
                own(own, lane).join(place);
            }
        }
    }

    private static Clock own(Clock[] clocks, int lane) {
        if (clocks[lane] == null) {
            clocks[lane] = new Clock();
        }
        return clocks[lane];
    }

    /** Lanes learn what each of them knows, and of each other's accesses. */
    void converge(int mask, int live) {
        Clock joint = new Clock();
        for (int lane = 0; lane < Warp.LANES; lane++) {
            if ((mask >>> lane & 1) != 0 && own[lane] != null) {
                joint.join(own[lane]);
            }
        }
        if (mask == live) {
            shared.join(joint);
            Arrays.fill(own, null);
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

    private void convergeSome(int mask, Clock joint) {
        pairs = pairs == null ? new int[Warp.LANES * Warp.LANES] : pairs;
        for (int a = 0; a < Warp.LANES; a++) {
            if ((mask >>> a & 1) != 0) {
                own(own, a).join(joint);
                for (int b = 0; b < Warp.LANES; b++) {
                    if ((mask >>> b & 1) != 0) {
                        pairs[a * Warp.LANES + b] = now;
                    }
                }
            }
        }
    }

    /** A fence: what was read strongly before is known, what was known before can be published by a strong write. */
    void fence(int mask, int live) {
        for (int lane = 0; lane < Warp.LANES; lane++) {
            if ((mask >>> lane & 1) != 0) {
                if (unfenced[lane] != null) {
                    own(own, lane).join(unfenced[lane]);
                    unfenced[lane] = null;
                }
                Clock snapshot = new Clock();
                publish(1 << lane, live, snapshot);
                fenced[lane] = snapshot;
            }
        }
        now++;
    }

    void strongWrite(int lane, Clock place) {
        if (fenced[lane] != null) {
            place.join(fenced[lane]);
        }
    }

    boolean hasFenced(int lane) {
        return fenced[lane] != null;
    }

    void strongRead(int lane, Clock place) {
        own(unfenced, lane).join(place);
    }

    void waited(int mask, Async.Group group, int number) {
        for (int lane = 0; lane < Warp.LANES; lane++) {
            if ((mask >>> lane & 1) != 0) {
                waited[group.ordinal()][lane] = Math.max(waited[group.ordinal()][lane], number);
            }
        }
    }
}
