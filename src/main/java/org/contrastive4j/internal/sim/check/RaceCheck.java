package org.contrastive4j.internal.sim.check;

import java.util.BitSet;
import java.util.Map;
import java.util.Objects;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.contrastive4j.internal.sim.exec.Access;
import org.contrastive4j.internal.sim.exec.Async;
import org.contrastive4j.internal.sim.exec.Cluster;
import org.contrastive4j.internal.sim.exec.Cta;
import org.contrastive4j.internal.sim.exec.Fault;
import org.contrastive4j.internal.sim.exec.Grid;
import org.contrastive4j.internal.sim.exec.Observer;
import org.contrastive4j.internal.sim.exec.Region;
import org.contrastive4j.internal.sim.exec.Step;
import org.contrastive4j.internal.sim.exec.Warp;
import org.jspecify.annotations.Nullable;

/**
 * Finds two accesses to one byte, one of them a write, that nothing orders: in shared and global memory, between lanes,
 * warps, blocks and asynchronous work. Barriers, mbarriers, fences with strong accesses, and waits order; time does
 * not, so that any schedule finds the same races.
 *
 * <p>Source: Flanagan and Freund, FastTrack, PLDI 2009 (last write and last reads by epoch), with the order of the PTX
 * memory model.
 */
public final class RaceCheck implements Observer {
    private final Map<Cluster, Agents> clusters = new ConcurrentHashMap<>();
    private final Map<Object, VectorClock> places = new ConcurrentHashMap<>();
    private final Queue<Region> touched = new ConcurrentLinkedQueue<>();
    private @Nullable Grid grid;
    private int index;

    /** Takes what a kernel did with a block of global memory, by words of four bytes; the sets are its own. */
    public interface Touches {
        void touched(Region block, BitSet written, BitSet read);
    }

    @Override
    public void begin(Grid launched) {
        grid = launched;
        index = launched.observer(this);
        clusters.clear();
        places.clear();
        touched.clear();
    }

    private Grid grid() {
        return Objects.requireNonNull(grid, "a kernel was launched");
    }

    /** All global memory that the last kernel touched. */
    public void forEachTouched(Touches touches) {
        for (Region block : touched) {
            if (block.shadow(index) instanceof Shadow shadow && shadow.belongsTo(grid())) {
                shadow.giveTo(touches, block);
            }
        }
    }

    @Override
    public void begin(Cluster cluster) {
        clusters.put(cluster, new Agents(cluster));
    }

    /** A block's shared memory is there until the last of its threads has exited: that must be after all accesses. */
    @Override
    public void end(Cluster cluster) {
        Agents agents = Objects.requireNonNull(clusters.remove(cluster), "the cluster has begun");
        agents.remote().forEach((remote, entry) -> {
            Cta owner = cluster.ctas().stream()
                    .filter(cta -> cta.shared() == remote.shared())
                    .findFirst()
                    .orElseThrow();
            if (!agents.exits(owner).isOrderedBefore(agents, entry.agent(), entry.lane(), entry.time())) {
                throw entry.warp()
                        .fault(
                                Fault.Kind.RACE,
                                entry.step(),
                                entry.lane(),
                                entry.describe() + " of " + entry.bytes() + " bytes at offset " + entry.at() + " of "
                                        + remote.shared() + " is not ordered before the exit of thread (0, 0, 0) of"
                                        + " block " + owner.index()
                                        + ", which ends the lifetime of its shared memory; put"
                                        + " barrier.cluster.arrive and barrier.cluster.wait before the end");
            }
        });
    }

    @Override
    public void exited(Warp warp, int mask) {
        if (warp.cta().cluster().ctas().size() > 1) {
            of(warp).publish(mask, warp.live(), of(warp).cluster().exits(warp.cta()));
        }
    }

    private HappensBefore of(Warp warp) {
        Object cached = warp.cached();
        if (cached == null) {
            HappensBefore order = Objects.requireNonNull(clusters.get(warp.cta().cluster()), "the cluster has begun")
                    .of(warp);
            warp.cache(order);
            return order;
        }
        return (HappensBefore) cached;
    }

    @Override
    public void access(Warp warp, Step step, int mask, Access access) {
        HappensBefore order = of(warp);
        Async async = access.async;
        int agent = order.agent();
        int time = order.now();
        if (async != null && async.owner() != null && async.location() != null) {
            agent = order.cluster().barrier(async.owner());
            time = async.number() + 1;
            order.cluster().location(async.location()).advance(order.cluster(), agent, time);
        } else if (async != null) {
            agent = order.agent(async.group());
            time = async.number() + 1;
        }
        for (int left = mask; left != 0; left &= left - 1) {
            int lane = Integer.numberOfTrailingZeros(left);
            Region block = access.blocks[lane];
            if (block.space() != Region.Space.SHARED && block.space() != Region.Space.GLOBAL) {
                continue;
            }
            boolean wide = async != null && (async.group() == Async.Group.WGMMA || async.owner() != null);
            Shadow.Entry entry = new Shadow.Entry(
                    order.cluster(),
                    agent,
                    wide ? 0 : lane,
                    time,
                    isStrong(access, order, lane),
                    access.blockScope,
                    async != null,
                    access.kind,
                    warp,
                    step,
                    access.offsets[lane],
                    access.bytes,
                    access.value(warp, lane));
            if (block.space() == Region.Space.SHARED
                    && async == null
                    && block != warp.cta().shared()) {
                order.cluster().remote(block, entry);
            }
            Shadow shadow = shadow(block);
            synchronized (shadow) {
                Shadow.Entry other = shadow.record(access.offsets[lane], access.bytes, entry, order, lane);
                if (other != null) {
                    throw race(warp, step, lane, access, block, other, entry);
                }
            }
        }
    }

    /**
     * A volatile store is as strong as a relaxed one, but programs use it in place of a barrier: it counts as strong
     * only where the thread has executed a fence, as one that sets a flag does.
     */
    private static boolean isStrong(Access access, HappensBefore order, int lane) {
        return access.strong && !(access.isVolatile && access.kind == Access.Kind.WRITE && !order.hasFenced(lane));
    }

    private Shadow shadow(Region block) {
        Object shadow = block.shadow(index);
        if (shadow instanceof Shadow mine && mine.belongsTo(grid())) {
            return mine;
        }
        synchronized (block) {
            shadow = block.shadow(index);
            if (!(shadow instanceof Shadow mine && mine.belongsTo(grid()))) {
                shadow = new Shadow(grid(), block.bytes());
                block.setShadow(index, shadow);
                if (block.space() == Region.Space.GLOBAL) {
                    touched.add(block);
                }
            }
            return (Shadow) shadow;
        }
    }

    private Fault race(
            Warp warp, Step step, int lane, Access access, Region block, Shadow.Entry other, Shadow.Entry mine) {
        // a thread waits for its own cp.async; between threads there must also be a barrier, waited for or not
        boolean betweenThreads = other.agent() == of(other.warp()).agent(Async.Group.CP_ASYNC)
                && (other.warp() != warp || other.lane() != lane);
        Fault.Kind kind = other.isAsync() && !betweenThreads ? Fault.Kind.ASYNC_PENDING : Fault.Kind.RACE;
        return warp.fault(
                kind,
                step,
                lane,
                mine.describe() + " of " + access.bytes + " bytes at offset "
                        + access.offsets[lane] + " of " + block + " is not ordered after the " + other.describe()
                        + " by line "
                        + other.step().source().line() + origin(other.step()) + " (\""
                        + other.step().source().text() + "\") of block "
                        + other.warp().cta().index() + ", thread "
                        + other.warp().threadOf(other.lane()));
    }

    private static String origin(Step step) {
        return step.source().origin() == null ? "" : ", " + step.source().origin();
    }

    @Override
    public void release(Warp warp, int mask, Object location) {
        HappensBefore order = of(warp);
        order.release(mask, warp.live(), order.cluster().location(location));
    }

    @Override
    public void acquire(Warp warp, int mask, Object location) {
        HappensBefore order = of(warp);
        VectorClock known = order.cluster().locationIfAny(location);
        if (known != null) {
            order.acquire(mask, warp.live(), known);
        }
    }

    @Override
    public void strongWrite(Warp warp, int mask, Object location, boolean release) {
        HappensBefore order = of(warp);
        int lane = Integer.numberOfTrailingZeros(mask);
        if (release || order.hasFenced(lane)) {
            VectorClock there = places.computeIfAbsent(location, key -> new VectorClock());
            synchronized (there) {
                if (release) {
                    order.release(mask, warp.live(), there);
                } else {
                    order.strongWrite(lane, there);
                }
            }
        }
    }

    @Override
    public void strongRead(Warp warp, int mask, Object location, boolean acquire) {
        VectorClock there = places.get(location);
        if (there != null) {
            synchronized (there) {
                if (acquire) {
                    of(warp).acquire(mask, warp.live(), there);
                } else {
                    of(warp).strongRead(Integer.numberOfTrailingZeros(mask), there);
                }
            }
        }
    }

    @Override
    public void converge(Warp warp, int mask) {
        of(warp).converge(mask, warp.live());
    }

    @Override
    public void fence(Warp warp, int mask, Fence fence) {
        if (fence == Fence.MEMORY) {
            of(warp).fence(mask, warp.live());
        }
    }

    @Override
    public void waited(Warp warp, int mask, Async.Group group, int number) {
        of(warp).waited(mask, group, number);
    }

    @Override
    public void arrives(Warp warp, int mask, Object location, Async.Group group, int number) {
        HappensBefore order = of(warp);
        order.cluster().location(location).advance(order.cluster(), order.agent(group), number, mask);
    }
}
