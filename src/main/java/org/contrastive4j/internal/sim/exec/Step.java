package org.contrastive4j.internal.sim.exec;

import org.contrastive4j.internal.parse.Instruction;
import org.jspecify.annotations.Nullable;

/**
 * One decoded instruction with its register rows.
 *
 * <p>Tested by {@code SimDeviceTest}.
 */
public abstract class Step {
    static final int[] NONE = new int[0];

    @SuppressWarnings("NullAway.Init") // bind sets it before the step runs
    private Instruction source;

    private boolean pure;
    private boolean vectorStore;
    private @Nullable Definedness definedness;
    private int index;
    private int guard = -1;
    private boolean guardNegated;
    private int[] reads = NONE;
    private int[] writes = NONE;
    private int[] predicatesRead = NONE;
    private int[] predicatesWritten = NONE;
    private int convergence = PostDominators.NONE;

    /** Executes the step for the lanes in the mask, which is not empty. */
    abstract void run(Warp warp, int mask);

    /** Which lanes of a warp must execute a step together. */
    enum Participation {
        ANY,
        /** All that have not exited. */
        CONVERGED,
        /** All 32. */
        FULL
    }

    /** Whether it is {@code bar.warp.sync}, which lanes may come to at different instructions. */
    boolean isWarpBarrier() {
        return false;
    }

    /** Which lanes must execute it together; those that come first wait for the others. */
    Participation participation() {
        return Participation.ANY;
    }

    /** @param converge where lanes come together again that this step or its guard separates; -1 for nowhere */
    final void bind(Instruction from, int at, int guardRow, boolean negated, int converge) {
        convergence = converge;
        source = from;
        pure = Decoder.isPure(from.opcode());
        vectorStore = from.opcode().equals("st") && (from.has(".v2") || from.has(".v4") || from.has(".v8"));
        index = at;
        guard = guardRow;
        guardNegated = negated;
    }

    final void operands(int[] rowsRead, int[] rowsWritten, int[] predicateReads, int[] predicateWrites) {
        reads = rowsRead;
        writes = rowsWritten;
        predicatesRead = predicateReads;
        predicatesWritten = predicateWrites;
    }

    /** For which lanes a result is defined although an operand may not be. */
    interface Definedness {
        int of(Warp warp, int mask, int operands);
    }

    final Step definedWhere(Definedness rule) {
        definedness = rule;
        return this;
    }

    /**
     * Returns for which lanes the results are defined.
     *
     * @param operands lanes for which all operands are
     */
    public final int defined(Warp warp, int mask, int operands) {
        return definedness == null ? operands : definedness.of(warp, mask, operands);
    }

    /** Whether it does nothing but compute registers from registers. */
    public final boolean isPure() {
        return pure;
    }

    /** Whether it stores registers to memory. */
    public final boolean isStore() {
        return source.opcode().equals("st");
    }

    /** Whether it stores several elements at once. */
    public final boolean isVectorStore() {
        return vectorStore;
    }

    /** Whether its result may come from a lane that does not execute it. */
    public boolean mayReadInactiveLanes() {
        return false;
    }

    /** Whether it passes an argument or result of a call. */
    public final boolean isParameterAccess() {
        return source.has(".param") || source.has(".param::func");
    }

    public final Instruction source() {
        return source;
    }

    /** Position in the linked code. */
    public final int index() {
        return index;
    }

    final int convergence() {
        return convergence;
    }

    /** Number of the predicate that guards it; -1 for none. */
    public final int guard() {
        return guard;
    }

    final boolean isGuardNegated() {
        return guardNegated;
    }

    /** First lanes of the register rows it reads, immediates and special registers left out. */
    public final int[] reads() {
        return reads;
    }

    public final int[] writes() {
        return writes;
    }

    /** Predicate registers it reads, its guard included. */
    public final int[] predicatesRead() {
        return predicatesRead;
    }

    public final int[] predicatesWritten() {
        return predicatesWritten;
    }
}
