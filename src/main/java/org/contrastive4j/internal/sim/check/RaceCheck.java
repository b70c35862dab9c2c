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
import org.contrastive4j.internal.sim.exec.Code;
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
 *
 * <p>Tested by {@code CheckersTest}.
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
        agents.remote().forEach((remote, run) -> {
            Cta owner = cluster.ctas().stream()
                    .filter(cta -> cta.shared() == remote.shared())
                    .findFirst()
                    .orElseThrow();
            Run.Stamp stamp = run.stamp();
            if (!agents.exits(owner).isOrderedBefore(agents.key(), stamp.agent(), remote.lane(), stamp.time())) {
                Warp warp = agents.warp(stamp.agent());
                warp.report(warp.fault(
                        Fault.Kind.RACE,
                        stamp.step(),
                        remote.lane(),
                        run.describe() + " of " + run.bytes() + " bytes at offset " + run.at(remote.lane()) + " of "
                                + remote.shared() + " is not ordered before the exit of thread (0, 0, 0) of"
                                + " block " + owner.index()
                                + ", which ends the lifetime of its shared memory; put"
                                + " barrier.cluster.arrive and barrier.cluster.wait before the end"));
            }
        });
    }

    @Override
    public void exited(Warp warp, int mask) {
        if (warp.cta().cluster().ctas().size() > 1) {
            of(warp).publish(mask, warp.live(), of(warp).cluster().exits(warp.cta()));
        }
    }

    @Override
    public boolean watchesSteps(Code code) {
        return false;
    }

    @Override
    public int publishingLanes(Warp warp, int mask, boolean release) {
        return release ? mask : mask & of(warp).fencedLanes();
    }

    @Override
    public boolean needsStrongRead() {
        return !places.isEmpty();
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
            order.cluster().location(async.location()).advance(order.cluster().key(), agent, time);
        } else if (async != null) {
            agent = order.agent(async.group());
            time = async.number() + 1;
        }
        int strong = access.strong ? strongLanes(access, order, mask) : 0;
        boolean wide = async != null && (async.group() == Async.Group.WGMMA || async.owner() != null);
        boolean oneValue = async == null && step.isStore() && access.storesOneValue(warp, mask);
        long value = oneValue ? access.value(warp, Integer.numberOfTrailingZeros(mask)) : 0;
        for (int part = 0; part < 2; part++) {
            int lanes = part == 0 ? mask & strong : mask & ~strong;
            if (lanes != 0) {
                Run.Stamp stamp = new Run.Stamp(
                        order.cluster().key(),
                        agent,
                        time,
                        part == 0,
                        access.blockScope,
                        access.isVolatile,
                        async == null ? null : async.group(),
                        access.kind,
                        order.origin(),
                        step,
                        oneValue,
                        value);
                recordAll(warp, lanes, mask, access, stamp, order, wide);
            }
        }
    }

    /** Records accesses run by run; where {@code wide}, each as if lane 0 had made it. */
    private void recordAll(
            Warp warp, int lanes, int mask, Access access, Run.Stamp stamp, HappensBefore order, boolean wide) {
        boolean mayShare = access.kind == Access.Kind.READ || stamp.strong();
        for (int left = lanes; left != 0; ) {
            int first = Integer.numberOfTrailingZeros(left);
            Region block = access.blocks[first];
            if (block.space() != Region.Space.SHARED && block.space() != Region.Space.GLOBAL) {
                left &= left - 1;
                continue;
            }
            int taken = wide
                    ? 1 << first
                    : access.span > 0 && left == lanes && lanes == mask ? lanes : neighbours(access, left, first);
            boolean together = false;
            if (mayShare && !wide && taken == 1 << first) {
                taken = sharing(access, left, first);
                together = taken != 1 << first;
            }
            left &= ~taken;
            Run run = new Run(stamp, access.offsets[first], access.bytes, wide ? 0 : first, wide ? 1 : taken, together);
            record(warp, first, run, block, order);
        }
    }

    /** Returns the lanes from the first on without gap that access bytes one after the other. */
    private static int neighbours(Access access, int lanes, int first) {
        int taken = 1 << first;
        int next = access.offsets[first] + access.bytes;
        for (int lane = first + 1; lane < Warp.LANES; lane++) {
            if ((lanes >>> lane & 1) == 0
                    || access.offsets[lane] != next
                    || access.blocks[lane] != access.blocks[first]) {
                break;
            }
            taken |= 1 << lane;
            next += access.bytes;
        }
        return taken;
    }

    /** Returns the lanes that access the same bytes as the first. */
    private static int sharing(Access access, int lanes, int first) {
        int taken = 0;
        for (int left = lanes; left != 0; left &= left - 1) {
            int lane = Integer.numberOfTrailingZeros(left);
            if (access.offsets[lane] == access.offsets[first] && access.blocks[lane] == access.blocks[first]) {
                taken |= 1 << lane;
            }
        }
        return taken;
    }

    private void record(Warp warp, int lane, Run run, Region block, HappensBefore order) {
        if (block.space() == Region.Space.SHARED
                && !run.stamp().isAsync()
                && block != warp.cta().shared()) {
            order.cluster().remote(block, run);
        }
        Shadow shadow = shadow(block);
        Shadow.Conflict conflict;
        synchronized (shadow) {
            conflict = shadow.record(run, order, new Shadow.Where(warp, block));
        }
        if (conflict != null && (!conflict.harmless() || warp.collects())) {
            warp.report(race(warp, run, lane, block, conflict));
        }
    }

    /**
     * A volatile store is as strong as a relaxed one, but programs use it in place of a barrier: it counts as strong
     * only where the thread has executed a fence, as one that sets a flag does.
     */
    private static int strongLanes(Access access, HappensBefore order, int mask) {
        if (!access.isVolatile || access.kind != Access.Kind.WRITE) {
            return mask;
        }
        int strong = 0;
        for (int left = mask; left != 0; left &= left - 1) {
            int lane = Integer.numberOfTrailingZeros(left);
            strong |= order.hasFenced(lane) ? 1 << lane : 0;
        }
        return strong;
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

    private Fault race(Warp warp, Run mine, int firstLane, Region block, Shadow.Conflict conflict) {
        Run other = conflict.earlier();
        Run.Stamp stamp = other.stamp();
        int lane = mine.stamp().isAsync() ? firstLane : conflict.laterLane();
        // a thread waits for its own cp.async; between threads there must also be a barrier, waited for or not
        boolean betweenThreads = stamp.async() == Async.Group.CP_ASYNC
                && (stamp.origin() != mine.stamp().origin() || conflict.earlierLane() != lane);
        Fault.Kind kind = stamp.isAsync() && !betweenThreads ? Fault.Kind.ASYNC_PENDING : Fault.Kind.RACE;
        boolean isFlag = mine.stamp().isVolatile() && stamp.isVolatile();
        Fault.Severity severity =
                conflict.harmless() ? Fault.Severity.INFO : isFlag ? Fault.Severity.WARNING : Fault.Severity.ERROR;
        return warp.fault(
                        kind,
                        mine.stamp().step(),
                        lane,
                        (conflict.harmless() ? "the same value is stored: " : "") + mine.describe() + " of "
                                + mine.bytes() + " bytes at offset "
                                + mine.at(conflict.laterLane()) + " of "
                                + warp.describe(block, mine.at(conflict.laterLane()))
                                + " is not ordered after the " + other.describe()
                                + " by line "
                                + stamp.step().source().line() + origin(stamp.step()) + " (\""
                                + stamp.step().source().text() + "\") of block "
                                + stamp.origin().block() + ", thread "
                                + stamp.origin().thread(conflict.earlierLane()))
                .as(severity)
                .after(stamp.origin().site(stamp.step(), conflict.earlierLane()));
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
        order.cluster().location(location).advance(order.cluster().key(), order.agent(group), number, mask);
    }
}
