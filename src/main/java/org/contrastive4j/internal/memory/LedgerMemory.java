package org.contrastive4j.internal.memory;

import org.contrastive4j.memory.Memory;

/** A memory whose bytes are counted by an {@link AllocationLedger}. */
public interface LedgerMemory extends Memory {
    /** Returns the ledger that counts every allocation. */
    AllocationLedger<?> ledger();

    @Override
    default long currentBytes() {
        return ledger().current();
    }

    @Override
    default long peakBytes() {
        return ledger().peak();
    }

    @Override
    default void resetPeak() {
        ledger().resetPeak();
    }

    @Override
    default Meter meter() {
        return ledger().meter();
    }

    @Override
    default long limitBytes() {
        return ledger().limit();
    }
}
