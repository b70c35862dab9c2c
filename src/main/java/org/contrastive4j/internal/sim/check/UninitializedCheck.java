package org.contrastive4j.internal.sim.check;

import org.contrastive4j.internal.sim.exec.Access;
import org.contrastive4j.internal.sim.exec.Fault;
import org.contrastive4j.internal.sim.exec.Observer;
import org.contrastive4j.internal.sim.exec.Region;
import org.contrastive4j.internal.sim.exec.Step;
import org.contrastive4j.internal.sim.exec.Suspension;
import org.contrastive4j.internal.sim.exec.Undefined;
import org.contrastive4j.internal.sim.exec.Warp;
import org.contrastive4j.internal.sim.exec.WgmmaStep;
import org.jspecify.annotations.Nullable;

/**
 * Finds uses of values that nothing has written.
 *
 * <p>Compilers read registers, and padding of structures, whose value does not matter in the end. Arithmetic therefore
 * only marks its result as undefined; a fault is the use of such a value in an address, a branch, a store or any
 * instruction that does more than compute a register. The fault names the instruction that read the undefined value.
 *
 * <p>A thread that used undefined memory is suspended until the other threads have ended, as one of them may yet write
 * it: then the cause is the race, whichever of the two comes first.
 *
 * <p>Tested by {@code CheckersTest}.
 */
public final class UninitializedCheck implements Observer {
    @Override
    public void step(Warp warp, Step step, int mask) {
        if (!step.isPure()) {
            use(warp, step, mask);
            return;
        }
        int[] written = warp.written();
        int[] predicates = warp.predicatesWritten();
        int known = -1;
        for (int row : step.reads()) {
            known &= written[row / Warp.LANES];
        }
        for (int predicate : step.predicatesRead()) {
            known &= predicates[predicate];
        }
        if ((mask & ~known) == 0) {
            for (int row : step.writes()) {
                written[row / Warp.LANES] |= mask;
            }
            for (int predicate : step.predicatesWritten()) {
                predicates[predicate] |= mask;
            }
            if (!step.mayReadInactiveLanes()) {
                return;
            }
        }
        propagate(warp, step, mask, known);
    }

    private static void propagate(Warp warp, Step step, int mask, int operands) {
        int known = step.defined(warp, mask, operands);
        if (step.guard() >= 0) {
            known &= warp.predicatesWritten()[step.guard()];
        }
        Undefined origin = (mask & ~known) == 0 ? null : origin(warp, step, mask);
        for (int row : step.writes()) {
            set(warp, warp.written(), row / Warp.LANES, mask, known, origin);
        }
        for (int predicate : step.predicatesWritten()) {
            set(warp, warp.predicatesWritten(), predicate, mask, known, origin);
        }
    }

    private static void set(Warp warp, int[] written, int at, int mask, int known, @Nullable Undefined origin) {
        written[at] = written[at] & ~mask | known & mask;
        if ((mask & ~known) != 0) {
            warp.undefined()[at] = origin;
        }
    }

    @Override
    public void undecidedGuard(Warp warp, Step step, int lanes) {
        Undefined origin = origin(warp, step, step.guard(), lanes, "predicate");
        if (!step.isPure()) {
            raise(warp, step, origin);
            warp.predicatesWritten()[step.guard()] |= lanes;
            return;
        }
        for (int row : step.writes()) {
            set(warp, warp.written(), row / Warp.LANES, lanes, 0, origin);
        }
        for (int predicate : step.predicatesWritten()) {
            set(warp, warp.predicatesWritten(), predicate, lanes, 0, origin);
        }
    }

    /** Where the first undefined operand comes from. */
    private static Undefined origin(Warp warp, Step step, int mask) {
        for (int row : step.reads()) {
            int at = row / Warp.LANES;
            int missing = mask & ~warp.written()[at];
            if (missing != 0) {
                return origin(warp, step, at, missing, "register");
            }
        }
        for (int at : step.predicatesRead()) {
            int missing = mask & ~warp.predicatesWritten()[at];
            if (missing != 0) {
                return origin(warp, step, at, missing, "predicate");
            }
        }
        return new Undefined(
                step, Integer.numberOfTrailingZeros(mask), "reads a lane that does not take part", false, false);
    }

    private static Undefined origin(Warp warp, Step step, int at, int missing, String what) {
        Undefined origin = warp.undefined()[at];
        return origin != null
                ? origin
                : new Undefined(
                        step,
                        Integer.numberOfTrailingZeros(missing),
                        "reads a " + what + " that was never written (" + warp.registerName(at) + ")",
                        false,
                        false);
    }

    /** An instruction that needs all of its operands. */
    private static void use(Warp warp, Step step, int mask) {
        check(warp, step, mask, step.reads());
        if (step instanceof WgmmaStep product && product.accumulates(warp)) {
            check(warp, step, mask, product.accumulators());
        }
        for (int at : step.predicatesRead()) {
            int missing = mask & ~warp.predicatesWritten()[at];
            if (missing != 0) {
                raise(warp, step, origin(warp, step, at, missing, "predicate"));
                warp.predicatesWritten()[at] |= missing;
            }
        }
        for (int row : step.writes()) {
            warp.written()[row / Warp.LANES] |= mask;
        }
        for (int predicate : step.predicatesWritten()) {
            warp.predicatesWritten()[predicate] |= mask;
        }
    }

    private static void check(Warp warp, Step step, int mask, int[] rows) {
        for (int row : rows) {
            int at = row / Warp.LANES;
            int missing = mask & ~warp.written()[at];
            if (missing == 0) {
                continue;
            }
            Undefined origin = origin(warp, step, at, missing, "register");
            if (!(origin.padding() && step.isVectorStore())) {
                raise(warp, step, origin);
                warp.written()[at] |= missing;
            }
        }
    }

    /**
     * Reports the use of an undefined value; a thread that read undefined memory is suspended where the launch ends.
     */
    private static void raise(Warp warp, Step use, Undefined origin) {
        String text = origin.what()
                + (origin.step() == use
                        ? ""
                        : "; line " + use.source().line() + " uses the value (\""
                                + use.source().text() + "\")");
        Fault fault = warp.fault(Fault.Kind.UNINITIALIZED, origin.step(), origin.lane(), text);
        if (origin.isMemory() && !warp.collects()) {
            throw new Suspension(fault);
        }
        warp.report(fault);
    }

    @Override
    public void access(Warp warp, Step step, int mask, Access access) {
        if (access.span > 0 && isWhole(step, mask, access)) {
            return;
        }
        for (int left = mask; left != 0; left &= left - 1) {
            int lane = Integer.numberOfTrailingZeros(left);
            Region region = access.blocks[lane];
            if (region.space() == Region.Space.PARAM
                    || region.space() == Region.Space.CONST
                    || step.isParameterAccess()) {
                continue;
            }
            if (access.kind != Access.Kind.WRITE) {
                int missing = region.firstUnwritten(access.offsets[lane], access.bytes);
                if (missing >= 0) {
                    read(warp, step, lane, access, missing);
                }
            }
            int[] rows = access.rows;
            if (access.kind == Access.Kind.WRITE && rows != null && rows.length > 1) {
                writeParts(warp, lane, access, rows);
            } else if (access.kind != Access.Kind.READ) {
                region.markWritten(access.offsets[lane], access.bytes);
            }
        }
    }

    /** Checks or marks neighbouring bytes at once; false where a closer look is needed. */
    private static boolean isWhole(Step step, int mask, Access access) {
        int first = Integer.numberOfTrailingZeros(mask);
        Region region = access.blocks[first];
        boolean data = region.space() == Region.Space.SHARED || region.space() == Region.Space.GLOBAL;
        if (!data || step.isParameterAccess()) {
            return false;
        }
        if (access.kind != Access.Kind.WRITE) {
            return region.firstUnwritten(access.offsets[first], access.span) < 0;
        }
        if (access.rows != null && access.rows.length > 1) {
            return false;
        }
        region.markWritten(access.offsets[first], access.span);
        return true;
    }

    /** Lanes read bytes that nothing has written: a load marks what it loads, all else is a use. */
    private static void read(Warp warp, Step step, int lane, Access access, int missing) {
        Region region = access.blocks[lane];
        String what = "reads " + access.bytes + " bytes at offset " + access.offsets[lane] + " of "
                + warp.describe(region, missing) + "; nothing has written byte " + missing;
        if (access.rows == null || access.kind != Access.Kind.READ) {
            Fault fault = warp.fault(Fault.Kind.UNINITIALIZED, step, lane, what);
            if (!warp.collects()) {
                throw new Suspension(fault);
            }
            warp.report(fault);
            return;
        }
        if (warp.collects()) {
            warp.report(warp.fault(Fault.Kind.UNINITIALIZED, step, lane, what + "; the value is not used")
                    .as(Fault.Severity.INFO));
        }
        boolean padding = access.rows.length > 1;
        for (int part = 0; part < access.rows.length; part++) {
            int from = access.offsets[lane] + part * access.partBytes;
            if (region.firstUnwritten(from, access.partBytes) >= 0) {
                int at = access.rows[part] / Warp.LANES;
                warp.written()[at] &= ~(1 << lane);
                warp.undefined()[at] = new Undefined(step, lane, what, true, padding);
            }
        }
    }

    /** A vector store may copy the padding of a structure: such bytes stay unwritten. */
    private static void writeParts(Warp warp, int lane, Access access, int[] rows) {
        Region region = access.blocks[lane];
        for (int part = 0; part < rows.length; part++) {
            int from = access.offsets[lane] + part * access.partBytes;
            int at = rows[part] / Warp.LANES;
            boolean known = at >= warp.written().length
                    || rows[part] == 0
                    || (warp.written()[at] >>> lane & 1) != 0
                    || warp.undefined()[at] == null;
            if (known) {
                region.markWritten(from, access.partBytes);
            } else {
                region.markUnwritten(from, access.partBytes);
            }
        }
    }
}
