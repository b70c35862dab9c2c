package org.contrastive4j.internal.sim.check;

import org.contrastive4j.internal.sim.exec.Access;
import org.contrastive4j.internal.sim.exec.Warp;

/** Finds unordered writes that store the same value in the same bytes, which does no harm. */
final class SameValue {
    private SameValue() {}

    /** Whether two stores, the later about to be executed, store the same. */
    static boolean isStored(Run earlier, int earlierLane, Run later, int lane, Shadow.Where where) {
        if (!isPlainStore(earlier)
                || !isPlainStore(later)
                || earlier.bytes() != later.bytes()
                || earlier.at(earlierLane) != later.at(lane)) {
            return false;
        }
        Warp warp = where.warp();
        Access access = warp.access();
        if (earlier.stamp() == later.stamp()) {
            return access.value(warp, earlierLane) == access.value(warp, lane);
        }
        if (earlier.stamp().storesOneValue() && access.storesOneValue(warp, 1 << lane)) {
            return earlier.stamp().value() == access.value(warp, lane); // it may not be in memory yet
        }
        return access.storesWhatIsThere(warp, lane, where.region(), later.at(lane));
    }

    private static boolean isPlainStore(Run run) {
        return run.stamp().kind() == Access.Kind.WRITE
                && !run.stamp().isAsync()
                && run.stamp().step().isStore();
    }
}
