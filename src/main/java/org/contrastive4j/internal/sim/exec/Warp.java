package org.contrastive4j.internal.sim.exec;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * 32 lanes: their registers, and which of them are where in the code.
 *
 * <p>Lanes that a branch separates run one group after the other and come together at the post-dominator of the
 * branch. Every group makes progress: one that loops for long lets the others run.
 *
 * <p>Tested by {@code WarpConformanceTest}.
 */
public final class Warp extends LaneState {
    public static final int LANES = 32;
    public static final int ALL = -1;
    /** Backward jumps in a row after which other lanes of the warp run. */
    private static final int PATIENCE = 1000;

    private final int index;
    private final Step[] code;
    private final Fragments fragments = new Fragments(this);
    private final int started;
    private int live;
    private int pc;
    private int mask;
    private @Nullable Frame calls;
    private @Nullable Wait wait;
    private @Nullable Convergence convergence;
    /** Where the running lanes wait for the others of their convergence; -1 when they belong to none here. */
    private int stop = -1;
    /** Lowest position of other lanes that could run: those that are behind go first. */
    private int nearestOther = Integer.MAX_VALUE;

    private int backwardJumps;
    private long executed;

    Warp(Cta cta, int index, int lanes, Code linked) {
        super(cta, linked);
        this.index = index;
        this.code = linked.steps();
        this.live = lanes == LANES ? ALL : (1 << lanes) - 1;
        this.mask = live;
        this.started = ALL;
        linked.fillSpecials(this);
    }

    /** In its block. */
    public int index() {
        return index;
    }

    /** Lanes that have not exited. */
    public int live() {
        return live;
    }

    /** Coordinates of the thread in a lane. */
    public String threadOf(int lane) {
        return cta.thread(lane0Thread() + Math.min(lane, LANES - 1)).toString();
    }

    public long executed() {
        return executed;
    }

    /** Returns the number of calls that the running lanes have not returned from. */
    int depth() {
        int depth = 0;
        for (Frame call = calls; call != null; call = call.outer()) {
            depth++;
        }
        return depth;
    }

    boolean isDone() {
        return live == 0;
    }

    int lane0Thread() {
        return index * LANES;
    }

    /** Whether some lanes could go on, or are found to wait for each other. */
    boolean isRunnable() {
        return mask != 0 && isFree(wait) || fragments.isRunnable() || isMismatched();
    }

    static boolean isFree(@Nullable Wait wait) {
        return wait == null || wait.isReady();
    }

    /** Runs up to {@code quantum} instructions; ends early when no lane can go on. */
    void run(int quantum) {
        Observer[] observers = cta.cluster().grid().stepObservers();
        for (int left = quantum; left > 0 && live != 0; left--) {
            if ((mask == 0 || wait != null || pc == stop || pc >= nearestOther) && !reselect()) {
                return;
            }
            Step step = code[pc++];
            int lanes = mask;
            if (step.guard() >= 0) {
                lanes &= step.isGuardNegated() ? ~p[step.guard()] : p[step.guard()];
                int undecided = mask & ~predicatesWritten()[step.guard()];
                if (undecided != 0 && !checkGuard(step, undecided, observers)) {
                    return;
                }
            }
            executed++;
            if (lanes != 0) {
                if (step.participation() != Step.Participation.ANY && !participates(step, lanes)) {
                    continue;
                }
                if (!execute(step, lanes, observers)) {
                    return;
                }
            }
        }
    }

    /** Runs a step; false when a check suspends its lanes. */
    private boolean execute(Step step, int lanes, Observer[] observers) {
        running = step;
        try {
            for (Observer observer : observers) {
                observer.step(this, step, lanes);
            }
            step.run(this, lanes);
            return true;
        } catch (Suspension suspended) {
            suspend(suspended, lanes);
            return false;
        } catch (Fault fault) {
            return recover(step, lanes, fault, observers);
        }
    }

    /** After an access of one lane that is not possible the other lanes go on, and the lane reads zeros. */
    private boolean recover(Step step, int lanes, Fault fault, Observer[] observers) {
        int lane = fault.site().lane();
        if (!collects() || !fault.isOfOneLane() || step.participation() != Step.Participation.ANY || lane < 0) {
            throw fault;
        }
        report(fault);
        for (int row : step.writes()) {
            r[row + lane] = 0;
            written()[row / LANES] |= 1 << lane;
        }
        int rest = lanes & ~(1 << lane);
        return rest == 0 || execute(step, rest, observers);
    }

    /** The guard of a step may never have been written for some lanes. */
    private boolean checkGuard(Step step, int undecided, Observer[] observers) {
        try {
            for (Observer observer : observers) {
                observer.undecidedGuard(this, step, undecided);
            }
            return true;
        } catch (Suspension suspended) {
            suspend(suspended, undecided);
            return false;
        }
    }

    private void suspend(Suspension suspended, int lanes) {
        cta.cluster().suspend(suspended.fault());
        if (lanes != mask) {
            separate(pc, mask & ~lanes, -1);
        }
        pc--;
        block(new Fragments.Suspended());
    }

    /** Chooses the lanes that are least far, after joining those that are at the same instruction. */
    private boolean reselect() {
        backwardJumps = 0;
        park();
        Fragment best = fragments.lowest();
        if (best != null) {
            take(best, true);
        }
        if (mask == 0) {
            nearestOther = Integer.MAX_VALUE;
            if (isMismatched()) {
                throw mismatch();
            }
            return false;
        }
        nearestOther = fragments.lowestRunnable();
        return true;
    }

    /** Puts the running lanes with the others; those at their point of convergence wait there. */
    private void park() {
        if (mask != 0) {
            if (wait == null && pc == stop) {
                Convergence here = Objects.requireNonNull(convergence, "lanes stop only at a convergence");
                here.arrive(mask);
                wait = new Fragments.Reconverging(here);
            }
            fragments.add(new Fragment(pc, mask, calls, wait, convergence));
            mask = 0;
            wait = null;
        }
        fragments.join();
    }

    private void take(Fragment fragment, boolean inTime) {
        fragments.remove(fragment);
        pc = fragment.pc;
        mask = fragment.mask;
        calls = fragment.calls;
        convergence = fragment.convergence;
        wait = null;
        if (fragment.wait != null) {
            fragment.wait.finish(inTime);
            if (fragment.wait instanceof Fragments.Reconverging reconverging) {
                convergence = reconverging.at().outer;
            }
        }
        updateStop();
        if (pc == stop) { // several branches converge here
            park();
            Fragment next = fragments.lowest();
            if (next != null) {
                take(next, true);
            }
        }
    }

    private void updateStop() {
        stop = convergence != null && convergence.calls == calls ? convergence.pc : -1;
    }

    /** Other lanes go on when the running ones have jumped backwards often: every lane makes progress. */
    private void giveWay() {
        backwardJumps = 0;
        Fragment next = pc == stop ? null : fragments.nextInTurn();
        if (next == null) {
            return;
        }
        fragments.add(new Fragment(pc, mask, calls, null, convergence));
        take(next, true);
        nearestOther = Integer.MAX_VALUE;
    }

    /** Lets lanes go on alone that wait for others of their branch; false when there are none, or none would help. */
    boolean releaseConvergence() {
        park();
        return fragments.isWaitingOutside() && fragments.releaseOne();
    }

    /** Whether all live lanes wait for each other at {@code .aligned} instructions that are not the same. */
    private boolean isMismatched() {
        if (mask == 0) {
            return fragments.isMismatched();
        }
        return (wait instanceof Fragments.Unaligned || wait instanceof Fragments.Missing) && fragments.isMismatched();
    }

    /** Whether lanes wait at an {@code .aligned} instruction for the rest of their warp. */
    boolean hasUnaligned() {
        park();
        return fragments.unaligned() != null;
    }

    Fault mismatch() {
        park();
        Fragment at = Objects.requireNonNull(fragments.unaligned(), "called only where lanes wait unaligned");
        return fault(
                Fault.Kind.DIVERGENT_ALIGNED,
                code[at.pc],
                Integer.numberOfTrailingZeros(at.mask),
                "lanes 0x" + Integer.toHexString(live & ~at.mask) + " of the warp do not take part: " + describe());
    }

    /**
     * Whether all live lanes of the warp execute an {@code .aligned} step; if not, these wait for the others.
     *
     * @throws Fault when the step needs 32 lanes and some have exited
     */
    private boolean participates(Step step, int lanes) {
        if (lanes != live) {
            await(step, lanes, new Fragments.Unaligned(this, lanes));
            return false;
        }
        if (step.participation() == Step.Participation.FULL && lanes != started) {
            throw fault(
                    Fault.Kind.DIVERGENT_ALIGNED,
                    step,
                    Integer.numberOfTrailingZeros(lanes),
                    "lanes 0x" + Integer.toHexString(started & ~lanes) + " of the warp have exited");
        }
        return true;
    }

    /** Lanes wait before a step, which runs again for them; lanes that its guard excludes go on. */
    private void await(Step step, int lanes, Wait on) {
        if (lanes != mask) {
            separate(pc, mask & ~lanes, step.convergence());
        }
        pc--;
        block(on);
    }

    /**
     * Whether all lanes that a {@code .sync} step names are here; if not, these wait and the step is run again when
     * more have come.
     */
    boolean awaitMembers(Step step, int lanes, int members) {
        int missing = members & live & ~lanes;
        if ((lanes & ~members) != 0) {
            throw fault(
                    Fault.Kind.ILLEGAL,
                    step,
                    Integer.numberOfTrailingZeros(lanes & ~members),
                    "the member mask 0x" + Integer.toHexString(members) + " lacks a lane that executes it");
        }
        if (missing == 0) {
            return true;
        }
        await(step, lanes, new Fragments.Missing(this, step, members, lanes));
        return false;
    }

    void block(Wait on) {
        wait = on;
    }

    /** Lets a wait of some lanes time out; returns false when there is none. */
    boolean timeOut() {
        park();
        Fragment impatient = fragments.impatient();
        if (impatient == null) {
            return false;
        }
        take(impatient, false);
        nearestOther = 0;
        return true;
    }

    /** Some of the running lanes go elsewhere; they come together at {@code converge} unless that is -1. */
    private void separate(int target, int lanes, int converge) {
        if (converge >= 0 && stop != converge) {
            convergence = new Convergence(converge, calls, convergence, mask);
            updateStop();
        }
        fragments.add(new Fragment(target, lanes, calls, null, convergence));
        mask &= ~lanes;
        nearestOther = Math.min(nearestOther, target);
    }

    void jump(int target, int lanes, int converge) {
        if (lanes == mask) {
            if (target < pc && !fragments.isEmpty() && ++backwardJumps > PATIENCE) {
                pc = target;
                giveWay();
                return;
            }
            pc = target;
            return;
        }
        if (lanes != 0) {
            separate(target, lanes, converge);
        }
    }

    void exit(int lanes) {
        groups.checkEnd(this, lanes);
        for (Observer observer : cta.cluster().observers()) {
            observer.exited(this, lanes);
        }
        live &= ~lanes;
        mask &= ~lanes;
        Convergence.leave(convergence, null, lanes);
        if (live == 0) {
            cta.exited(this);
        }
    }

    /** @param converge where lanes that do not call wait for those that do; -1 when they need not */
    void call(int target, int lanes, Frame.@Nullable Result result, Frame.@Nullable Saved saved, int converge) {
        if (lanes != mask) {
            separate(pc, mask & ~lanes, converge);
        }
        Frame deeper = new Frame(pc, calls, result, saved);
        if (stop != pc) { // lanes that return early wait for the others
            convergence = new Convergence(pc, calls, convergence, lanes);
        }
        calls = deeper;
        pc = target;
        updateStop();
    }

    /** Some of the running lanes execute the current step again, later. */
    void repeat(int lanes) {
        separate(pc - 1, lanes, pc);
    }

    /** Back to the caller; out of the kernel where there is none. */
    void ret(int lanes) {
        if (calls == null) {
            exit(lanes);
            return;
        }
        calls.leave(this, lanes);
        leaveStack(lanes, depth());
        Convergence after = convergence;
        while (after != null && after.calls == calls) {
            after = after.outer;
        }
        Convergence.leave(convergence, after, lanes);
        if (lanes != mask) {
            fragments.add(new Fragment(calls.back(), lanes, calls.outer(), null, after));
            mask &= ~lanes;
            nearestOther = 0;
            return;
        }
        pc = calls.back();
        calls = calls.outer();
        convergence = after;
        updateStop();
        nearestOther = fragments.isEmpty() ? Integer.MAX_VALUE : 0;
    }

    /** Describes which lanes wait where, for the report of a deadlock or an endless loop. */
    String describe() {
        return report().describe(index);
    }

    /** Returns the step that is about to run, or the one that lanes wait at. */
    Step current() {
        return report().current();
    }

    private WarpReport report() {
        List<Fragment> all = new ArrayList<>();
        if (mask != 0) {
            all.add(new Fragment(pc, mask, calls, wait, convergence));
        }
        all.addAll(fragments.all());
        return new WarpReport(cta, code, pc, all);
    }

    /** A fault of this warp: names kernel, line, instruction, block, thread. */
    public Fault fault(Fault.Kind kind, Step step, int lane, String message) {
        Fault.Site site = site(step, lane);
        return new Fault(
                kind,
                Fault.Severity.ERROR,
                site,
                "kernel " + site.kernel() + ", " + step.source().where() + ", \"" + site.instruction() + "\", block "
                        + site.block() + ", thread " + site.thread() + ": " + message
                        + (step == running ? values(step, lane) : ""));
    }

    /** Where a lane executes a step. */
    public Fault.Site site(Step step, int lane) {
        return new Fault.Site(
                cta.cluster().grid().code().name(),
                step.source().file(),
                step.source().line(),
                step.source().origin(),
                step.source().text(),
                cta.index().toString(),
                threadOf(lane),
                lane);
    }

    /** Reports a fault that lets the warp go on: to the collector of the launch, or by an exception. */
    public void report(Fault fault) {
        Consumer<Fault> collector = cta.cluster().grid().collector();
        if (collector != null) {
            collector.accept(fault);
        } else if (fault.severity() != Fault.Severity.INFO) {
            throw fault;
        }
    }

    /** Whether faults are collected instead of ending the launch. */
    public boolean collects() {
        return cta.cluster().grid().collector() != null;
    }
}
