package org.contrastive4j.internal.sim.check;

import org.contrastive4j.internal.sim.exec.Access;
import org.contrastive4j.internal.sim.exec.Fault;
import org.contrastive4j.internal.sim.exec.Observer;
import org.contrastive4j.internal.sim.exec.Region;
import org.contrastive4j.internal.sim.exec.Step;
import org.contrastive4j.internal.sim.exec.Warp;
import org.contrastive4j.internal.sim.exec.WgmmaStep;

/**
 * Finds reads of registers, predicates and memory that nothing has written.
 *
 * <p>Copies and selections of registers may carry an unwritten value on, as compilers make them do; using it is the
 * mistake.
 */
public final class UninitializedCheck implements Observer {
    @Override
    public void step(Warp warp, Step step, int mask) {
        int[] written = warp.written();
        if (step.isCopy()) {
            int known = -1;
            for (int row : step.reads()) {
                known &= written[row / Warp.LANES];
            }
            for (int row : step.writes()) {
                int at = row / Warp.LANES;
                written[at] = written[at] & ~mask | known & mask;
            }
            copyPredicates(warp, step, mask);
            return;
        }
        check(warp, step, mask, step.reads());
        if (step instanceof WgmmaStep product && product.accumulates(warp)) {
            check(warp, step, mask, product.accumulators());
        }
        checkPredicates(warp, step, mask);
        int[] predicates = warp.predicatesWritten();
        for (int row : step.writes()) {
            written[row / Warp.LANES] |= mask;
        }
        for (int predicate : step.predicatesWritten()) {
            predicates[predicate] |= mask;
        }
    }

    private static void check(Warp warp, Step step, int mask, int[] rows) {
        int[] written = warp.written();
        for (int row : rows) {
            int missing = mask & ~written[row / Warp.LANES];
            if (missing != 0) {
                throw warp.fault(
                        Fault.Kind.UNINITIALIZED,
                        step,
                        Integer.numberOfTrailingZeros(missing),
                        "reads a register that was never written (" + warp.registerName(row / Warp.LANES) + ")");
            }
        }
    }

    private static void checkPredicates(Warp warp, Step step, int mask) {
        for (int predicate : step.predicatesRead()) {
            int missing = mask & ~warp.predicatesWritten()[predicate];
            if (missing != 0) {
                throw warp.fault(
                        Fault.Kind.UNINITIALIZED,
                        step,
                        Integer.numberOfTrailingZeros(missing),
                        "reads a predicate that was never written (" + warp.registerName(predicate) + ")");
            }
        }
    }

    /** mov.pred carries an unwritten predicate on; selp must know its own. */
    private static void copyPredicates(Warp warp, Step step, int mask) {
        int[] predicates = warp.predicatesWritten();
        if (step.predicatesWritten().length == 0) {
            checkPredicates(warp, step, mask);
            return;
        }
        int known = -1;
        for (int predicate : step.predicatesRead()) {
            known &= predicates[predicate];
        }
        for (int predicate : step.predicatesWritten()) {
            predicates[predicate] = predicates[predicate] & ~mask | known & mask;
        }
    }

    @Override
    public void access(Warp warp, Step step, int mask, Access access) {
        for (int left = mask; left != 0; left &= left - 1) {
            int lane = Integer.numberOfTrailingZeros(left);
            Region block = access.blocks[lane];
            if (block.space() == Region.Space.PARAM
                    || block.space() == Region.Space.CONST
                    || step.isParameterAccess()) {
                continue;
            }
            if (access.kind != Access.Kind.WRITE) {
                int missing = block.firstUnwritten(access.offsets[lane], access.bytes);
                if (missing >= 0) {
                    throw warp.fault(
                            Fault.Kind.UNINITIALIZED,
                            step,
                            lane,
                            "reads " + access.bytes + " bytes at offset " + access.offsets[lane] + " of " + block
                                    + "; nothing has written byte " + missing);
                }
            }
            if (access.kind != Access.Kind.READ) {
                block.markWritten(access.offsets[lane], access.bytes);
            }
        }
    }
}
