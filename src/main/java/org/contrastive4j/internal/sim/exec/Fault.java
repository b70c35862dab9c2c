package org.contrastive4j.internal.sim.exec;

import org.contrastive4j.device.DeviceException.KernelException;

/**
 * Thrown for an error of a kernel; names kernel, line, instruction, block, thread, address, and for a race both
 * accesses.
 */
public final class Fault extends KernelException {
    /** Kinds of faults; a launch stops at the first. */
    public enum Kind {
        /** An access outside every allocation, or outside the shared or local memory there is. */
        OUT_OF_BOUNDS,
        /** An address that is not a multiple of what the access needs. */
        MISALIGNED,
        /** A read of memory or a register that nothing has written. */
        UNINITIALIZED,
        /** Two accesses to one byte, one of them a write, that nothing orders. */
        RACE,
        /**
         * Generic accesses that the async proxy (bulk copies, wgmma) is not ordered after for lack of
         * {@code fence.proxy.async}.
         */
        PROXY_FENCE,
        /** A {@code wgmma} on registers that were touched after the last {@code wgmma.fence}. */
        WGMMA_FENCE,
        /** Use of registers or shared memory that asynchronous work still owns, or its end: a missing wait. */
        ASYNC_PENDING,
        /** An {@code .aligned} instruction that not all threads of the warp (or warp group) came to together. */
        DIVERGENT_ALIGNED,
        /** Wrong use of a barrier: counts that do not fit, an mbarrier that was not initialised or overflowed. */
        BARRIER,
        /** All warps wait. */
        DEADLOCK,
        /** More instructions than the limit. */
        LIMIT,
        /** An operand the instruction does not allow: a bad descriptor, size, lane mask, or {@code trap}. */
        ILLEGAL
    }

    private final Kind kind;
    private final int line;

    /** @param line of the PTX text, 1-based, 0 when not known */
    public Fault(Kind kind, int line, String message) {
        super(kind + ": " + message);
        this.kind = kind;
        this.line = line;
    }

    public Kind kind() {
        return kind;
    }

    public int line() {
        return line;
    }
}
