package org.contrastive4j.internal.sim.exec;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The groups of lanes of a warp that do not run now.
 *
 * <p>Tested by {@code WarpConformanceTest}.
 */
final class Fragments {
    private final Warp warp;
    private final List<Fragment> all = new ArrayList<>();

    Fragments(Warp warp) {
        this.warp = warp;
    }

    /** Lanes that have used an undefined value and stay where they are. */
    record Suspended() implements Wait {
        @Override
        public boolean isReady() {
            return false;
        }

        @Override
        public boolean isBefore() {
            return true;
        }

        @Override
        public String describe() {
            return "nothing: they used an undefined value";
        }
    }

    /** Lanes that wait for the other lanes of a branch. */
    record Reconverging(Convergence at) implements Wait {
        @Override
        public boolean isReady() {
            return at.isComplete();
        }

        @Override
        public boolean isBefore() {
            return true;
        }

        @Override
        public String describe() {
            return "the other lanes of a branch";
        }
    }

    /** Lanes at an {@code .aligned} instruction that other live lanes have not come to. */
    record Unaligned(Warp warp, int lanes) implements Wait {
        @Override
        public boolean isReady() {
            return warp.live() == lanes;
        }

        @Override
        public boolean isBefore() {
            return true;
        }

        @Override
        public String describe() {
            return "the other lanes of the warp";
        }
    }

    /** Lanes at a {@code .sync} instruction that other members of its mask have not come to. */
    record Missing(Warp warp, Step step, int members, int lanes) implements Wait {
        @Override
        public boolean isReady() {
            return (members & warp.live() & ~lanes) == 0;
        }

        @Override
        public boolean isBefore() {
            return true;
        }

        @Override
        public String describe() {
            return "lanes 0x" + Integer.toHexString(members & warp.live() & ~lanes) + " of its member mask";
        }
    }

    void add(Fragment fragment) {
        all.add(fragment);
    }

    void remove(Fragment fragment) {
        all.remove(fragment);
    }

    boolean isEmpty() {
        return all.isEmpty();
    }

    List<Fragment> all() {
        return all;
    }

    boolean isRunnable() {
        for (Fragment one : all) {
            if (Warp.isFree(one.wait)) {
                return true;
            }
        }
        return false;
    }

    /** Returns those that can run and are least far in the code; null when all wait. */
    @Nullable
    Fragment lowest() {
        Fragment best = null;
        for (Fragment one : all) {
            if (Warp.isFree(one.wait) && (best == null || one.pc < best.pc)) {
                best = one;
            }
        }
        return best;
    }

    /** Returns the lowest position of those that wait for nothing. */
    int lowestRunnable() {
        int lowest = Integer.MAX_VALUE;
        for (Fragment one : all) {
            if (one.wait == null) {
                lowest = Math.min(lowest, one.pc);
            }
        }
        return lowest;
    }

    /** Returns the next that can run or could if it did not wait for other lanes of its branch; null when none can. */
    @Nullable
    Fragment nextInTurn() {
        for (Fragment one : all) {
            if (Warp.isFree(one.wait)) {
                return one;
            }
            if (one.wait instanceof Reconverging) {
                return release(one);
            }
        }
        return null;
    }

    /** Takes lanes out of the convergence that they wait at. */
    private Fragment release(Fragment waiting) {
        Convergence left = Objects.requireNonNull(waiting.convergence, "only reconverging lanes are released");
        left.leave(waiting.mask);
        Fragment alone = new Fragment(waiting.pc, waiting.mask, waiting.calls, null, left.outer);
        all.set(all.indexOf(waiting), alone);
        return alone;
    }

    boolean releaseOne() {
        for (Fragment one : all) {
            if (one.wait instanceof Reconverging && !one.wait.isReady()) {
                release(one);
                return true;
            }
        }
        return false;
    }

    /** Whether some wait for other warps or for asynchronous work. */
    boolean isWaitingOutside() {
        return all.stream().anyMatch(one -> one.wait != null && !isWithinWarp(one.wait));
    }

    private static boolean isWithinWarp(Wait wait) {
        return wait instanceof Reconverging || wait instanceof Unaligned || wait instanceof Missing;
    }

    /** Whether all wait for each other, some of them at an {@code .aligned} instruction. */
    boolean isMismatched() {
        boolean unaligned = false;
        for (Fragment one : all) {
            if (one.wait == null || !isWithinWarp(one.wait) || one.wait.isReady()) {
                return false;
            }
            unaligned |= one.wait instanceof Unaligned;
        }
        return unaligned;
    }

    /** Returns those that are least far and wait at an {@code .aligned} instruction; null when there are none. */
    @Nullable
    Fragment unaligned() {
        Fragment first = null;
        for (Fragment one : all) {
            if (one.wait instanceof Unaligned && (first == null || one.pc < first.pc)) {
                first = one;
            }
        }
        return first;
    }

    /** Returns some that may stop waiting; null when there are none. */
    @Nullable
    Fragment impatient() {
        for (Fragment one : all) {
            if (one.wait != null && one.wait.mayTimeOut()) {
                return one;
            }
        }
        return null;
    }

    /** Lets those go on whose {@code bar.warp.sync} all members of the mask have come to, at whatever instruction. */
    private void openWarpBarriers() {
        for (int i = 0; i < all.size(); i++) {
            if (!(all.get(i).wait instanceof Missing one) || !one.step.isWarpBarrier()) {
                continue;
            }
            int members = one.members;
            int come = 0;
            for (Fragment other : all) {
                come |= isAtBarrier(other, members) ? other.mask : 0;
            }
            if ((members & warp.live() & ~come) == 0) {
                MemoryOrder.converge(warp, come);
                all.replaceAll(other -> isAtBarrier(other, members)
                        ? new Fragment(other.pc + 1, other.mask, other.calls, null, other.convergence)
                        : other);
            }
        }
    }

    private static boolean isAtBarrier(Fragment fragment, int members) {
        return fragment.wait instanceof Missing missing && missing.members == members && missing.step.isWarpBarrier();
    }

    /** Joins those that are at the same instruction of the same call. */
    void join() {
        openWarpBarriers();
        for (int i = 0; i < all.size(); i++) {
            for (int k = all.size() - 1; k > i; k--) {
                Fragment joined = join(all.get(i), all.get(k));
                if (joined != null) {
                    all.remove(k);
                    all.set(i, joined);
                }
            }
        }
    }

    private static @Nullable Fragment join(Fragment a, Fragment b) {
        if (a.pc != b.pc || !Objects.equals(a.calls, b.calls)) {
            return null;
        }
        int lanes = a.mask | b.mask;
        if (a.wait instanceof Reconverging && b.wait instanceof Reconverging) {
            return a.convergence == b.convergence ? new Fragment(a.pc, lanes, a.calls, a.wait, a.convergence) : null;
        }
        if (!isJoinable(a) || !isJoinable(b)) {
            return null;
        }
        Convergence common = Convergence.common(a.convergence, b.convergence);
        Convergence.leave(a.convergence, common, a.mask);
        Convergence.leave(b.convergence, common, b.mask);
        return new Fragment(a.pc, lanes, a.calls, null, common);
    }

    private static boolean isJoinable(Fragment fragment) {
        return fragment.wait == null || fragment.wait instanceof Missing || fragment.wait instanceof Unaligned;
    }
}
