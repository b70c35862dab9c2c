package org.contrastive4j.internal.sim.check;

import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import org.contrastive4j.internal.sim.exec.Access;
import org.contrastive4j.internal.sim.exec.Cluster;
import org.contrastive4j.internal.sim.exec.Code;
import org.contrastive4j.internal.sim.exec.Fault;
import org.contrastive4j.internal.sim.exec.Grid;
import org.contrastive4j.internal.sim.exec.Observer;
import org.contrastive4j.internal.sim.exec.Region;
import org.contrastive4j.internal.sim.exec.Step;
import org.contrastive4j.internal.sim.exec.Warp;
import org.jspecify.annotations.Nullable;

/**
 * Finds bytes written by ordinary instructions that bulk copies or wgmma touch without the writing thread's
 * fence.proxy.async in between.
 *
 * <p>Tested by {@code CheckersTest}.
 */
public final class ProxyCheck implements Observer {
    private static final int GRAIN = 4;
    private static final int[] NO_COUNTS = {};

    private final Map<Cluster, Map<Warp, int[]>> fences = new ConcurrentHashMap<>();
    private @Nullable Grid grid;
    private int index;

    /** Who wrote a grain last, and how many fences that lane had executed. */
    private record Write(Warp warp, Step step, int lane, int fences) {}

    private record Writes(@Nullable Grid grid, Write[] last) {}

    @Override
    public void begin(Grid launched) {
        grid = launched;
        index = launched.observer(this);
        fences.clear();
    }

    @Override
    public boolean watchesSteps(Code code) {
        return false;
    }

    @Override
    public boolean watchesAccesses(Code code) {
        return code.usesAsyncProxy();
    }

    @Override
    public void begin(Cluster cluster) {
        Map<Warp, int[]> counts = new IdentityHashMap<>();
        cluster.warps().forEach(warp -> counts.put(warp, new int[Warp.LANES]));
        fences.put(cluster, counts);
    }

    @Override
    public void end(Cluster cluster) {
        fences.remove(cluster);
    }

    /** Number of fences that each lane of a warp has executed. */
    private int[] fences(Warp warp) {
        Map<Warp, int[]> counts = Objects.requireNonNull(fences.get(warp.cta().cluster()), "the cluster has begun");
        return Objects.requireNonNull(counts.get(warp), "the warp belongs to the cluster");
    }

    @Override
    public void fence(Warp warp, int mask, Fence fence) {
        if (fence == Fence.PROXY_ASYNC) {
            int[] counts = fences(warp);
            for (int left = mask; left != 0; left &= left - 1) {
                counts[Integer.numberOfTrailingZeros(left)]++;
            }
        }
    }

    @Override
    public void access(Warp warp, Step step, int mask, Access access) {
        boolean proxy = access.async != null && access.async.isAsyncProxy();
        if (!proxy && access.kind == Access.Kind.READ) {
            return;
        }
        int[] counts = proxy ? NO_COUNTS : fences(warp);
        for (int left = mask; left != 0; left &= left - 1) {
            int lane = Integer.numberOfTrailingZeros(left);
            Region block = access.blocks[lane];
            if (block.space() != Region.Space.SHARED && block.space() != Region.Space.GLOBAL) {
                continue;
            }
            Writes writes = writes(block, !proxy);
            if (writes == null) {
                continue;
            }
            int from = access.offsets[lane] / GRAIN;
            int to = (access.offsets[lane] + access.bytes + GRAIN - 1) / GRAIN;
            synchronized (writes) {
                if (proxy) {
                    check(warp, step, lane, block, writes, from, to);
                } else {
                    Arrays.fill(writes.last(), from, to, new Write(warp, step, lane, counts[lane]));
                }
            }
        }
    }

    private void check(Warp warp, Step step, int lane, Region block, Writes writes, int from, int to) {
        for (int grain = from; grain < to; grain++) {
            Write write = writes.last()[grain];
            if (write == null) {
                continue;
            }
            boolean running = fences.containsKey(write.warp().cta().cluster());
            if (running && fences(write.warp())[write.lane()] <= write.fences()) {
                warp.report(warp.fault(
                        Fault.Kind.PROXY_FENCE,
                        step,
                        lane,
                        "offset " + grain * GRAIN + " of " + warp.describe(block, grain * GRAIN)
                                + " was written by line "
                                + write.step().source().line() + " (\""
                                + write.step().source().text() + "\") of block "
                                + write.warp().cta().index() + ", thread "
                                + write.warp().threadOf(write.lane())
                                + ", which has not executed fence.proxy.async since"));
            }
            writes.last()[grain] = null;
        }
    }

    private @Nullable Writes writes(Region block, boolean make) {
        Object shadow = block.shadow(index);
        if (shadow instanceof Writes mine && mine.grid() == grid) {
            return mine;
        }
        if (!make) {
            return null;
        }
        synchronized (block) {
            shadow = block.shadow(index);
            if (!(shadow instanceof Writes mine && mine.grid() == grid)) {
                shadow = new Writes(grid, new Write[(block.bytes() + GRAIN - 1) / GRAIN]);
                block.setShadow(index, shadow);
            }
            return (Writes) shadow;
        }
    }
}
