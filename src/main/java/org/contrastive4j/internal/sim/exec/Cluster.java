package org.contrastive4j.internal.sim.exec;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.contrastive4j.device.PtxModule.Launch;
import org.jspecify.annotations.Nullable;

/**
 * Thread blocks that run at the same time and see each other's shared memory; without clusters, one block.
 *
 * <p>Tested by {@code BarrierConformanceTest}.
 */
public final class Cluster {
    private static final int PATIENCE = 64;
    private static final int MOST_TURNS = 32;

    private final Grid grid;
    private final int index;
    private final List<Cta> ctas = new ArrayList<>();
    private final List<Warp> warps = new ArrayList<>();
    private final List<PendingWork> asyncs = new ArrayList<>();
    private final List<Integer> due = new ArrayList<>();
    private final SplittableRandom random;
    private final Schedule.Order order;
    private final Schedule.Completion completion;
    private final int longestTurn;
    private NamedArrivals arrivals = new NamedArrivals();
    private int turn;
    private int next;
    private @Nullable Warp lastChosen;
    private int turnsInARow;
    private int nextOther;
    private long executed;
    private long progress;
    private long progressAtTimeOut = -1;
    private int timeOuts;
    private @Nullable Fault suspended;

    /** Arrivals at the barrier of the cluster. */
    static final class NamedArrivals {
        int lanes;
        boolean done;
    }

    Cluster(Grid grid, int index, List<Launch.Dim> blocks) {
        this.grid = grid;
        this.index = index;
        this.random = new SplittableRandom(
                new SplittableRandom(grid.schedule().seed()).nextLong() ^ index * 0x9E3779B97F4A7C15L);
        this.order = grid.schedule().order();
        this.completion = grid.schedule().completion();
        this.longestTurn = order == Schedule.Order.RANDOM ? 48 : 512;
        for (Launch.Dim block : blocks) {
            Cta cta = new Cta(this, block, ctas.size(), grid.code(), grid.launch());
            ctas.add(cta);
            warps.addAll(cta.warps());
        }
    }

    public Grid grid() {
        return grid;
    }

    /** In the grid. */
    public int index() {
        return index;
    }

    public List<Cta> ctas() {
        return ctas;
    }

    public List<Warp> warps() {
        return warps;
    }

    Observer[] observers() {
        return grid.observers();
    }

    SplittableRandom random() {
        return random;
    }

    /** Records progress that a waiting warp may depend on. */
    void progress() {
        progress++;
    }

    long progressCount() {
        return progress;
    }

    /**
     * Starts asynchronous work; the schedule decides whether it completes at once, when no warp can continue without
     * it, or in between.
     */
    PendingWork start(Runnable action) {
        PendingWork work = new PendingWork(action);
        if (completion == Schedule.Completion.EARLY) {
            work.complete();
            progress();
        } else {
            asyncs.add(work);
            due.add(completion == Schedule.Completion.LATE ? Integer.MAX_VALUE : turn + random.nextInt(40));
        }
        return work;
    }

    boolean isDone() {
        return warps.stream().allMatch(Warp::isDone);
    }

    /** Runs some instructions of some warp; false when none of them can go on, nor any asynchronous work. */
    boolean turn() {
        turn++;
        for (int i = asyncs.size() - 1; i >= 0; i--) {
            if (due.get(i) <= turn) {
                land(i);
            }
        }
        Warp warp = choose();
        if (warp == null) {
            if (asyncs.isEmpty()) {
                return timeOut() || release();
            }
            land(completion == Schedule.Completion.LATE ? random.nextInt(asyncs.size()) : 0);
            return true;
        }
        long before = warp.executed();
        warp.run(order == Schedule.Order.RANDOM ? 1 + random.nextInt(longestTurn) : longestTurn);
        executed += warp.executed() - before;
        if (executed > grid.limit()) {
            if (suspended != null) {
                throw suspended;
            }
            throw warp.fault(
                    Fault.Kind.LIMIT,
                    warp.current(),
                    0,
                    "more than " + grid.limit() + " warp instructions in one cluster; it was at: " + describe());
        }
        return true;
    }

    /** Work of one thread lands in the order it was started. */
    private void land(int at) {
        PendingWork work = asyncs.remove(at);
        due.remove(at);
        work.complete();
        progress();
    }

    private @Nullable Warp choose() {
        int n = warps.size();
        int start =
                switch (order) {
                    case RANDOM -> random.nextInt(n);
                    case ROUND -> next;
                    case FIRST, LAST -> 0;
                };
        for (int k = 0; k < n; k++) {
            int at = order == Schedule.Order.LAST ? n - 1 - k : (start + k) % n;
            Warp warp = warps.get(at);
            if (!warp.isDone() && warp.isRunnable()) {
                next = (at + 1) % n;
                return inTurn(warp);
            }
        }
        return null;
    }

    /** Every warp makes progress: one that runs for long, as in a loop that waits for another, lets the others run. */
    private Warp inTurn(Warp chosen) {
        turnsInARow = chosen == lastChosen ? turnsInARow + 1 : 0;
        lastChosen = chosen;
        if (turnsInARow < MOST_TURNS || order == Schedule.Order.RANDOM) {
            return chosen;
        }
        if (turnsInARow >= MOST_TURNS + warps.size()) {
            turnsInARow = 0;
        }
        for (int k = 0; k < warps.size(); k++) {
            Warp other = warps.get(nextOther++ % warps.size());
            if (!other.isDone() && other.isRunnable()) {
                return other;
            }
        }
        return chosen;
    }

    /** Lets a wait time out; a limited number of times while nothing else makes progress. */
    private boolean timeOut() {
        timeOuts = progress == progressAtTimeOut ? timeOuts + 1 : 0;
        progressAtTimeOut = progress;
        if (timeOuts > PATIENCE * warps.size()) {
            return false;
        }
        for (int k = 0; k < warps.size(); k++) {
            Warp warp = warps.get((next + k) % warps.size());
            if (!warp.isDone() && warp.timeOut()) {
                next = (next + k + 1) % warps.size();
                return true;
            }
        }
        return false;
    }

    /** Lets lanes go on alone that wait for other lanes of their branch. */
    private boolean release() {
        return warps.stream().anyMatch(warp -> !warp.isDone() && warp.releaseConvergence());
    }

    /** Completes asynchronous work that no thread waited for. */
    void finish() {
        while (!asyncs.isEmpty()) {
            land(0);
        }
        ctas.forEach(Cta::checkEnd);
    }

    NamedArrivals arrivals() {
        return arrivals;
    }

    /** Lanes arrive at the barrier of the cluster; it opens when all threads that live have. */
    void arrive(int lanes) {
        arrivals.lanes += lanes;
        checkArrivals();
    }

    private void checkArrivals() {
        int alive =
                warps.stream().mapToInt(warp -> Integer.bitCount(warp.live())).sum();
        if (arrivals.lanes >= alive && arrivals.lanes > 0) {
            arrivals.done = true;
            arrivals = new NamedArrivals();
            progress();
        }
    }

    String describe() {
        StringBuilder text = new StringBuilder();
        warps.stream()
                .filter(warp -> !warp.isDone())
                .limit(16)
                .forEach(warp -> text.append(text.isEmpty() ? "" : " ").append(warp.describe()));
        return text.toString();
    }

    /** A thread has used undefined memory; another may yet turn out to write it. */
    void suspend(Fault fault) {
        suspended = suspended == null ? fault : suspended;
    }

    /** The first use of undefined memory; null when there was none. */
    @Nullable
    Fault suspended() {
        return suspended;
    }

    Fault deadlock() {
        if (suspended != null) {
            return suspended;
        }
        for (Warp warp : warps) {
            if (!warp.isDone() && warp.hasUnaligned()) {
                return warp.mismatch();
            }
        }
        Warp warp = warps.stream().filter(one -> !one.isDone()).findFirst().orElseThrow();
        return warp.fault(Fault.Kind.DEADLOCK, warp.current(), 0, "no warp can continue: " + describe());
    }

    /** Returns the number of warp instructions executed. */
    public long executed() {
        return executed;
    }
}
