package org.contrastive4j.internal.sim.exec;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.contrastive4j.device.PtxModule.Launch;

/**
 * A thread block: its warps, its shared memory, its barriers.
 *
 * <p>Tested by {@code BarrierConformanceTest}.
 */
public final class Cta {
    /** Shared memory begins here, so that address 0 is never valid. */
    static final int SHARED_BASE = 1024;

    static final int MOST_BARRIERS = 16;

    private final Cluster cluster;
    private final Launch.Dim index;
    private final int rank;
    private final Region shared;
    private final List<Warp> warps = new ArrayList<>();
    private final NamedBarrier[] barriers = new NamedBarrier[MOST_BARRIERS];
    private final Map<Integer, Mbarrier> mbarriers = new HashMap<>();
    private final List<Mbarrier> everyMbarrier = new ArrayList<>();
    private final Map<Integer, List<Step>> warpGroups = new HashMap<>();
    private final int threads;

    Cta(Cluster cluster, Launch.Dim index, int rank, Code code, Launch launch) {
        this.cluster = cluster;
        this.index = index;
        this.rank = rank;
        this.threads = (int) launch.block().count();
        int bytes = code.sharedEnd() + launch.sharedBytes();
        this.shared = new Region(Region.Space.SHARED, "shared memory of block " + index, SHARED_BASE, bytes);
        Arrays.fill(shared.data(), GlobalMemory.POISON);
        if (code.reservedShared() > 0) { // counters of the system begin at zero
            int from = code.reservedShared() - SHARED_BASE;
            Arrays.fill(shared.data(), from, from + SharedVariables.RESERVED_BYTES, (byte) 0);
            shared.markWritten(from, SharedVariables.RESERVED_BYTES);
        }
        for (int first = 0; first < threads; first += Warp.LANES) {
            warps.add(new Warp(this, first / Warp.LANES, Math.min(Warp.LANES, threads - first), code));
        }
    }

    public Cluster cluster() {
        return cluster;
    }

    public Launch.Dim index() {
        return index;
    }

    /** In its cluster. */
    public int rank() {
        return rank;
    }

    public Region shared() {
        return shared;
    }

    public List<Warp> warps() {
        return warps;
    }

    public int threads() {
        return threads;
    }

    /** (x, y, z) of a linear thread number. */
    Launch.Dim thread(int linear) {
        Launch.Dim block = cluster.grid().launch().block();
        return new Launch.Dim(linear % block.x(), linear / block.x() % block.y(), linear / (block.x() * block.y()));
    }

    NamedBarrier barrier(int id) {
        if (barriers[id] == null) {
            barriers[id] = new NamedBarrier(this, id);
        }
        return barriers[id];
    }

    /** The mbarrier object at a shared address. */
    Mbarrier mbarrier(Warp warp, Step step, int lane, int address) {
        Mbarrier barrier = mbarriers.get(address);
        if (barrier == null) {
            throw warp.fault(
                    Fault.Kind.BARRIER,
                    step,
                    lane,
                    "there is no initialised mbarrier at shared address 0x" + Integer.toHexString(address));
        }
        return barrier;
    }

    void initialise(int address, int count) {
        Mbarrier barrier = new Mbarrier(this, address, count);
        mbarriers.put(address, barrier);
        everyMbarrier.add(barrier);
    }

    void invalidate(int address) {
        mbarriers.remove(address);
    }

    /** The warp group's instructions must be the same for its four warps. */
    void checkWarpGroup(Warp warp, Step step, int number) {
        List<Step> steps = warpGroups.computeIfAbsent(warp.index() / 4, key -> new ArrayList<>());
        if (number < steps.size() && steps.get(number) != step) {
            throw warp.fault(
                    Fault.Kind.DIVERGENT_ALIGNED,
                    step,
                    0,
                    "the warps of the warp group execute different " + "instructions: another is at line "
                            + steps.get(number).source().line());
        }
        if (number == steps.size()) {
            steps.add(step);
        }
    }

    void exited(Warp warp) {
        for (NamedBarrier barrier : barriers) {
            if (barrier != null) {
                barrier.exited();
            }
        }
    }

    /**
     * At the end: copies into shared memory were waited for, and every warp of a warp group has executed as many of the
     * group's instructions.
     */
    void checkEnd() {
        everyMbarrier.forEach(Mbarrier::checkEnd);
        warpGroups.forEach((group, steps) -> {
            for (int w = 4 * group; w < 4 * group + 4; w++) {
                if (w >= warps.size() || warps.get(w).warpGroupSteps < steps.size()) {
                    int done = w >= warps.size() ? 0 : warps.get(w).warpGroupSteps;
                    throw warps.get(4 * group)
                            .fault(
                                    Fault.Kind.DIVERGENT_ALIGNED,
                                    steps.get(done),
                                    0,
                                    "warp " + w + " of the warp group never came to it");
                }
            }
        });
    }
}
