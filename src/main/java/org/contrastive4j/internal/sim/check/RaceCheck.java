package org.contrastive4j.internal.sim.check;

import java.util.BitSet;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.contrastive4j.internal.sim.exec.Access;
import org.contrastive4j.internal.sim.exec.Async;
import org.contrastive4j.internal.sim.exec.Block;
import org.contrastive4j.internal.sim.exec.Cluster;
import org.contrastive4j.internal.sim.exec.Fault;
import org.contrastive4j.internal.sim.exec.Grid;
import org.contrastive4j.internal.sim.exec.Observer;
import org.contrastive4j.internal.sim.exec.Step;
import org.contrastive4j.internal.sim.exec.Warp;

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
    private final Map<Object, Clock> places = new ConcurrentHashMap<>();
    private final Queue<Block> touched = new ConcurrentLinkedQueue<>();
    private Grid grid;
    private int index;

    /** Takes what a kernel did with a block of global memory, by words of four bytes; the sets are its own. */
    public interface Touches {
        void touched(Block block, BitSet written, BitSet read);
    }

    @Override
    public void begin(Grid launched) {
        grid = launched;
        index = launched.observer(this);
        clusters.clear();
        places.clear();
        touched.clear();
    }

    /** All global memory that the last kernel touched. */
    public void forEachTouched(Touches touches) {
        for (Block block : touched) {
            if (block.shadow(index) instanceof Shadow shadow && shadow.belongsTo(grid)) {
                shadow.giveTo(touches, block);
            }
        }
    }

    @Override
    public void begin(Cluster cluster) {
        clusters.put(cluster, new Agents(cluster));
    }

    @Override
    public void end(Cluster cluster) {
        clusters.remove(cluster);
    }

    private Knowledge of(Warp warp) {
        Object cached = warp.cached();
        if (cached == null) {
            cached = clusters.get(warp.cta().cluster()).of(warp);
            warp.cache(cached);
        }
        return (Knowledge) cached;
    }

    @Override
    public void access(Warp warp, Step step, int mask, Access access) {
        Knowledge knowledge = of(warp);
        Async async = access.async;
        int agent = knowledge.agent();
        int time = knowledge.now();
        if (async != null && async.owner() != null) {
            agent = knowledge.cluster().barrier(async.owner());
            time = async.number() + 1;
            knowledge.cluster().place(async.place()).learn(knowledge.cluster(), agent, time);
        } else if (async != null) {
            agent = knowledge.agent(async.group());
            time = async.number() + 1;
        }
        for (int left = mask; left != 0; left &= left - 1) {
            int lane = Integer.numberOfTrailingZeros(left);
            Block block = access.blocks[lane];
            if (block.space() != Block.Space.SHARED && block.space() != Block.Space.GLOBAL) {
                continue;
            }
            boolean wide = async != null && (async.group() == Async.Group.WGMMA || async.owner() != null);
            Shadow.Entry entry = new Shadow.Entry(
                    knowledge.cluster(),
                    agent,
                    wide ? 0 : lane,
                    time,
                    access.strong,
                    access.blockScope,
                    async != null,
                    access.kind,
                    warp,
                    step,
                    access.offsets[lane],
                    access.bytes);
            Shadow shadow = shadow(block);
            synchronized (shadow) {
                Shadow.Entry other = shadow.record(access.offsets[lane], access.bytes, entry, knowledge, lane);
                if (other != null) {
                    throw race(warp, step, lane, access, block, other, entry);
                }
            }
        }
    }

    private Shadow shadow(Block block) {
        Object shadow = block.shadow(index);
        if (shadow instanceof Shadow mine && mine.belongsTo(grid)) {
            return mine;
        }
        synchronized (block) {
            shadow = block.shadow(index);
            if (!(shadow instanceof Shadow mine && mine.belongsTo(grid))) {
                shadow = new Shadow(grid, block.bytes());
                block.setShadow(index, shadow);
                if (block.space() == Block.Space.GLOBAL) {
                    touched.add(block);
                }
            }
            return (Shadow) shadow;
        }
    }

    private static Fault race(
            Warp warp, Step step, int lane, Access access, Block block, Shadow.Entry other, Shadow.Entry mine) {
        Fault.Kind kind = other.isAsync() ? Fault.Kind.ASYNC_PENDING : Fault.Kind.RACE;
        return warp.fault(
                kind,
                step,
                lane,
                mine.describe() + " of " + access.bytes + " bytes at offset "
                        + access.offsets[lane] + " of " + block + " is not ordered after the " + other.describe()
                        + " by line "
                        + other.step().source().line() + " (\""
                        + other.step().source().text() + "\") of block "
                        + other.warp().cta().index() + ", thread "
                        + other.warp().threadOf(other.lane()));
    }

    @Override
    public void release(Warp warp, int mask, Object place) {
        Knowledge knowledge = of(warp);
        knowledge.release(mask, warp.live(), knowledge.cluster().place(place));
    }

    @Override
    public void acquire(Warp warp, int mask, Object place) {
        Knowledge knowledge = of(warp);
        Clock known = knowledge.cluster().placeIfAny(place);
        if (known != null) {
            knowledge.acquire(mask, warp.live(), known);
        }
    }

    @Override
    public void strongWrite(Warp warp, int mask, Object place, boolean release) {
        Knowledge knowledge = of(warp);
        int lane = Integer.numberOfTrailingZeros(mask);
        if (release || knowledge.hasFenced(lane)) {
            Clock there = places.computeIfAbsent(place, key -> new Clock());
            synchronized (there) {
                if (release) {
                    knowledge.release(mask, warp.live(), there);
                } else {
                    knowledge.strongWrite(lane, there);
                }
            }
        }
    }

    @Override
    public void strongRead(Warp warp, int mask, Object place, boolean acquire) {
        Clock there = places.get(place);
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
    public void arrives(Warp warp, int mask, Object place, Async.Group group, int number) {
        Knowledge knowledge = of(warp);
        knowledge.cluster().place(place).learn(knowledge.cluster(), knowledge.agent(group), number, mask);
    }
}
