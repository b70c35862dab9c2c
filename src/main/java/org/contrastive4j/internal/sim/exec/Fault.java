package org.contrastive4j.internal.sim.exec;

import org.contrastive4j.device.DeviceException.KernelException;
import org.jspecify.annotations.Nullable;

/**
 * Thrown for an error of a kernel; names kernel, line, instruction, block, thread, address, and for a race both
 * accesses.
 *
 * <p>Tested by {@code SimDeviceTest}.
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

    /** How much harm a fault does. */
    public enum Severity {
        /** Nothing: threads store the same value, or a value that nothing has written is read and not used. */
        INFO,
        /** Works on most GPUs, and is not guaranteed: flags without fences, copies that nothing waits for. */
        WARNING,
        /** Wrong results or an aborted kernel. */
        ERROR
    }

    /**
     * Where a fault is.
     *
     * @param file of the PTX text
     * @param line of the PTX text, 1-based, 0 when not known
     * @param origin file and line of the CUDA source, such as {@code add.cu:12}; null where not known
     * @param instruction as written
     * @param block coordinates
     * @param thread coordinates
     * @param lane of the warp; -1 where the fault is not of one lane
     */
    public record Site(
            String kernel,
            String file,
            int line,
            @Nullable String origin,
            String instruction,
            String block,
            String thread,
            int lane) {}

    private final Kind kind;
    private final Severity severity;
    private final transient Site site;
    private final String text;
    private final transient @Nullable Site other;

    /** @param line of the PTX text, 1-based, 0 when not known */
    public Fault(Kind kind, int line, String message) {
        this(kind, Severity.ERROR, new Site("", "", line, null, "", "", "", -1), message, null);
    }

    /** @param message with where the fault is */
    Fault(Kind kind, Severity severity, Site site, String message) {
        this(kind, severity, site, message, null);
    }

    private Fault(Kind kind, Severity severity, Site site, String message, @Nullable Site other) {
        super(kind + ": " + message);
        this.kind = kind;
        this.severity = severity;
        this.site = site;
        this.text = message;
        this.other = other;
    }

    /** Returns the same fault with another severity. */
    public Fault as(Severity changed) {
        return changed == severity ? this : new Fault(kind, changed, site, text, other);
    }

    /** Whether it is an access of one lane, without which the others can go on. */
    boolean isOfOneLane() {
        return kind == Kind.OUT_OF_BOUNDS || kind == Kind.MISALIGNED;
    }

    public Kind kind() {
        return kind;
    }

    public Severity severity() {
        return severity;
    }

    /** Returns the same fault with the earlier access that it is about. */
    public Fault after(Site earlier) {
        return new Fault(kind, severity, site, text, earlier);
    }

    /** Where the earlier access was; null where the fault is not about two of them. */
    public @Nullable Site other() {
        return other;
    }

    /** Returns the message without the kind. */
    public String text() {
        return text;
    }

    public Site site() {
        return site;
    }

    public int line() {
        return site.line();
    }
}
