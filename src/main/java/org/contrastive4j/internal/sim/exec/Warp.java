package org.contrastive4j.internal.sim.exec;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** 32 lanes: their registers, and which of them are where in the code. */
public final class Warp {
    public static final int LANES = 32;
    public static final int ALL = -1;

    final Cta cta;
    final long[] r;
    final int[] p;
    final Access access = new Access();
    final Groups groups = new Groups();
    int warpGroupSteps;
    int carry;
    PendingWork lastWgmma;
    Cluster.NamedArrivals clusterArrivals;
    Region lastGlobal;
    private Region local;
    private Object cached;
    private final int[] written;
    private final int[] predicatesWritten;
    private final int index;
    private final Step[] code;
    private final List<Fragment> others = new ArrayList<>();
    private final int started;
    private int live;
    private int pc;
    private int mask;
    private Frame calls;
    private Wait wait;
    private int nearestOther = Integer.MAX_VALUE;
    private long executed;

    /** Lanes at one place of the code. */
    private static final class Fragment {
        final int pc;
        final Frame calls;
        final Wait wait;
        int mask;

        Fragment(int pc, int mask, Frame calls, Wait wait) {
            this.pc = pc;
            this.mask = mask;
            this.calls = calls;
            this.wait = wait;
        }
    }

    Warp(Cta cta, int index, int lanes, Code linked) {
        this.cta = cta;
        this.index = index;
        this.code = linked.steps();
        this.r = linked.freshRows();
        this.p = new int[linked.predicates()];
        p[0] = ALL;
        this.written = new int[linked.predicates()];
        this.predicatesWritten = new int[linked.predicates()];
        predicatesWritten[0] = ALL;
        this.live = lanes == LANES ? ALL : (1 << lanes) - 1;
        this.mask = live;
        this.started = ALL;
        linked.fillSpecials(this);
    }

    public Cta cta() {
        return cta;
    }

    /** In its block. */
    public int index() {
        return index;
    }

    /** Lanes that have not exited. */
    public int live() {
        return live;
    }

    public Access access() {
        return access;
    }

    /** By register row: lanes that were written; kept by the check of unwritten registers. */
    public int[] written() {
        return written;
    }

    /** By predicate: lanes that were written. */
    public int[] predicatesWritten() {
        return predicatesWritten;
    }

    /** Name of a register row, for messages. */
    public String registerName(int row) {
        return cta.cluster().grid().code().names()[row];
    }

    public boolean usesWgmma() {
        return cta.cluster().grid().code().usesWgmma();
    }

    /** Coordinates of the thread in a lane. */
    public String threadOf(int lane) {
        return cta.thread(lane0Thread() + Math.min(lane, LANES - 1)).toString();
    }

    /** What an observer wants to find again quickly. */
    public Object cached() {
        return cached;
    }

    public void cache(Object value) {
        cached = value;
    }

    public long executed() {
        return executed;
    }

    /** Local memory of all lanes, one after the other. */
    Region local() {
        if (local == null) {
            int bytes = cta.cluster().grid().code().localBytes();
            local = new Region(Region.Space.LOCAL, "local memory", 0, bytes * LANES);
        }
        return local;
    }

    boolean isDone() {
        return live == 0;
    }

    int lane0Thread() {
        return index * LANES;
    }

    /** Whether some lanes could go on. */
    boolean isRunnable() {
        if (mask != 0 && isFree(wait)) {
            return true;
        }
        for (Fragment other : others) {
            if (isFree(other.wait)) {
                return true;
            }
        }
        return false;
    }

    private static boolean isFree(Wait wait) {
        return wait == null || wait.isReady();
    }

    /** Runs up to {@code quantum} instructions; ends early when no lane can go on. */
    void run(int quantum) {
        Observer[] observers = cta.cluster().observers();
        for (int left = quantum; left > 0 && live != 0; left--) {
            if ((mask == 0 || wait != null || pc >= nearestOther) && !reselect()) {
                return;
            }
            Step step = code[pc++];
            int lanes = mask;
            if (step.guard() >= 0) {
                lanes &= step.isGuardNegated() ? ~p[step.guard()] : p[step.guard()];
            }
            executed++;
            if (lanes != 0 || step.runsWithoutLanes()) {
                for (Observer observer : observers) {
                    observer.step(this, step, lanes);
                }
                step.run(this, lanes);
            }
        }
    }

    /** Chooses the lanes that are least far, after joining those at the same place; false when all wait. */
    private boolean reselect() {
        if (mask != 0) {
            others.add(new Fragment(pc, mask, calls, wait));
            mask = 0;
            wait = null;
        }
        join();
        Fragment best = null;
        for (Fragment other : others) {
            if (isFree(other.wait) && (best == null || other.pc < best.pc)) {
                best = other;
            }
        }
        if (best == null) {
            nearestOther = Integer.MAX_VALUE;
            return false;
        }
        others.remove(best);
        take(best, true);
        nearestOther = Integer.MAX_VALUE;
        for (Fragment other : others) {
            if (other.wait == null || other.wait instanceof Missing) {
                nearestOther = Math.min(nearestOther, other.pc);
            }
        }
        return true;
    }

    private void take(Fragment fragment, boolean inTime) {
        pc = fragment.pc;
        mask = fragment.mask;
        calls = fragment.calls;
        wait = null;
        if (fragment.wait != null) {
            fragment.wait.finish(inTime);
        }
    }

    private void join() {
        for (int i = 0; i < others.size(); i++) {
            Fragment first = others.get(i);
            for (int k = others.size() - 1; k > i; k--) {
                Fragment second = others.get(k);
                boolean joinable = isJoinable(first) && isJoinable(second);
                if (joinable && first.pc == second.pc && Objects.equals(first.calls, second.calls)) {
                    others.remove(k);
                    first = new Fragment(first.pc, first.mask | second.mask, first.calls, null);
                    others.set(i, first);
                }
            }
        }
    }

    private static boolean isJoinable(Fragment fragment) {
        return fragment.wait == null || fragment.wait instanceof Missing;
    }

    /** Lanes that a {@code .sync} instruction names and that are elsewhere. */
    private record Missing(int lanes, String text) implements Wait {
        @Override
        public boolean isReady() {
            return false;
        }

        @Override
        public String describe() {
            return "lanes 0x" + Integer.toHexString(lanes) + " at " + text;
        }
    }

    /**
     * Whether all lanes that a {@code .sync} instruction names are here; if not, these wait and the instruction is run
     * again when more have come.
     */
    boolean together(Step step, int lanes, int members) {
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
        if (lanes != mask) { // under a guard: those without it can only come by another way
            others.add(new Fragment(pc, mask & ~lanes, calls, null));
            mask = lanes;
        }
        pc--;
        block(new Missing(missing, step.source().text()));
        return false;
    }

    /** @throws Fault unless every lane of the warp is here */
    void requireConverged(Step step, int lanes) {
        if (lanes != live) {
            int absent = live & ~lanes;
            throw fault(
                    Fault.Kind.DIVERGENT_ALIGNED,
                    step,
                    Integer.numberOfTrailingZeros(lanes == 0 ? live : lanes),
                    "lanes 0x" + Integer.toHexString(absent) + " of the warp do not take part");
        }
    }

    /** @throws Fault unless every lane that the warp began with is here, exited ones included */
    void requireFullWarp(Step step, int lanes) {
        requireConverged(step, lanes);
        if (lanes != started) {
            throw fault(
                    Fault.Kind.DIVERGENT_ALIGNED,
                    step,
                    Integer.numberOfTrailingZeros(lanes),
                    "lanes 0x" + Integer.toHexString(started & ~lanes) + " of the warp have exited");
        }
    }

    void block(Wait on) {
        wait = on;
    }

    /** Lets those go on that may give up waiting; false when there are none. */
    boolean timeOut() {
        if (mask != 0) {
            others.add(new Fragment(pc, mask, calls, wait));
            mask = 0;
            wait = null;
        }
        for (Fragment other : others) {
            if (other.wait != null && other.wait.mayTimeOut()) {
                others.remove(other);
                take(other, false);
                nearestOther = 0;
                return true;
            }
        }
        return false;
    }

    void jump(int target, int lanes) {
        if (lanes == mask) {
            pc = target;
            return;
        }
        if (lanes != 0) {
            others.add(new Fragment(target, lanes, calls, null));
            mask &= ~lanes;
            nearestOther = Math.min(nearestOther, target);
        }
    }

    void exit(int lanes) {
        groups.checkEnd(this, lanes);
        live &= ~lanes;
        mask &= ~lanes;
        if (live == 0) {
            cta.exited(this);
        }
    }

    void call(int target, int lanes, Frame.Result result, Frame.Saved saved) {
        Frame deeper = new Frame(pc, calls, result, saved);
        if (lanes != mask) {
            others.add(new Fragment(target, lanes, deeper, null));
            mask &= ~lanes;
            nearestOther = 0;
            return;
        }
        calls = deeper;
        pc = target;
    }

    /** Back to the caller; out of the kernel where there is none. */
    void ret(int lanes) {
        if (calls == null) {
            exit(lanes);
            return;
        }
        calls.leave(this, lanes);
        int back = calls.back();
        if (lanes != mask) {
            others.add(new Fragment(back, lanes, calls.outer(), null));
            mask &= ~lanes;
            nearestOther = 0;
            return;
        }
        calls = calls.outer();
        pc = back;
        nearestOther = others.isEmpty() ? Integer.MAX_VALUE : 0;
    }

    int mask() {
        return mask;
    }

    /** Who waits where, for the report of a deadlock or an endless loop. */
    String describe() {
        StringBuilder text = new StringBuilder("block " + cta.index() + " warp " + index + ":");
        if (mask != 0) {
            describe(text, pc, mask, wait);
        }
        for (Fragment other : others) {
            describe(text, other.pc, other.mask, other.wait);
        }
        return text.toString();
    }

    private void describe(StringBuilder text, int at, int lanes, Wait on) {
        Step step = code[Math.max(0, Math.min(code.length - 1, on == null || on instanceof Missing ? at : at - 1))];
        text.append(" lanes 0x")
                .append(Integer.toHexString(lanes))
                .append(" at line ")
                .append(step.source().line())
                .append(" (")
                .append(step.source().text())
                .append(")");
        if (on != null) {
            text.append(" wait for ").append(on.describe());
        }
        text.append(";");
    }

    /** The step that is about to run, or the one somebody waits at. */
    Step current() {
        int at = pc;
        if (mask == 0 && !others.isEmpty()) {
            at = others.get(0).pc - (others.get(0).wait == null || others.get(0).wait instanceof Missing ? 0 : 1);
        } else if (wait != null && !(wait instanceof Missing)) {
            at--;
        }
        return code[Math.max(0, Math.min(code.length - 1, at))];
    }

    /** A fault of this warp: names kernel, line, instruction, block, thread. */
    public Fault fault(Fault.Kind kind, Step step, int lane, String message) {
        return new Fault(
                kind,
                step.source().line(),
                "kernel " + cta.cluster().grid().code().name() + ", "
                        + step.source().file() + ":" + step.source().line() + ", \""
                        + step.source().text() + "\", block "
                        + cta.index() + ", thread " + cta.thread(lane0Thread() + Math.min(lane, LANES - 1)) + ": "
                        + message);
    }
}
