package org.contrastive4j.internal.sim.exec;

import java.util.StringJoiner;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * The registers and the local memory of the lanes of a warp, and which registers were written.
 *
 * <p>Tested by {@code PtxRunTest}.
 */
public abstract class LaneState {
    /** Whole numbers above it are written in hexadecimal. */
    private static final long LARGE = 1L << 31;

    final Cta cta;

    /** What is executed now; the registers that it reads still have their values. */
    @Nullable
    Step running;

    final long[] r;
    final int[] p;
    final Layout sharedLayout;

    /** Those that are told of accesses. */
    final Observer[] accessObservers;

    final Access access = new Access();
    final Groups groups = new Groups();
    int warpGroupSteps;
    int carry;

    @Nullable
    PendingWork lastWgmma;

    Cluster.@Nullable NamedArrivals clusterArrivals;

    @Nullable
    Region lastGlobal;

    private @Nullable Region local;
    private @Nullable LocalStack stack;
    private @Nullable Object cached;
    private final int[] written;
    private final int[] predicatesWritten;
    private Undefined @Nullable [] undefined;

    LaneState(Cta cta, Code linked) {
        this.cta = cta;
        this.r = linked.freshRows();
        this.p = new int[linked.predicates()];
        p[0] = Warp.ALL;
        this.sharedLayout = linked.sharedLayout();
        this.accessObservers = cta.cluster().grid().accessObservers();
        this.written = new int[linked.predicates()];
        this.predicatesWritten = new int[linked.predicates()];
        predicatesWritten[0] = Warp.ALL;
    }

    public Cta cta() {
        return cta;
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

    /** By register: where the value comes from that is undefined for some lane. */
    public Undefined[] undefined() {
        if (undefined == null) {
            undefined = new Undefined[written.length];
        }
        return undefined;
    }

    /** Name of a register row, for messages. */
    public String registerName(int row) {
        return cta.cluster().grid().code().names()[row];
    }

    public boolean usesWgmma() {
        return cta.cluster().grid().code().usesWgmma();
    }

    /** State that an observer caches. */
    public @Nullable Object cached() {
        return cached;
    }

    public void cache(Object value) {
        cached = value;
    }

    /** Local memory of all lanes, one after the other. */
    Region local() {
        if (local == null) {
            int bytes = cta.cluster().grid().code().localBytes();
            local = new Region(Region.Space.LOCAL, "local memory", 0, bytes * Warp.LANES);
        }
        return local;
    }

    /** What its lanes have allocated by {@code alloca}. */
    LocalStack stack() {
        if (stack == null) {
            stack = new LocalStack(cta.cluster().grid().code().stackBase());
        }
        return stack;
    }

    boolean isOnStack(int lane, long offset, int bytes) {
        return stack != null && stack.contains(lane, offset, bytes);
    }

    /** Frees what a function of this depth of calls has allocated. */
    void leaveStack(int lanes, int depth) {
        if (stack != null) {
            stack.leave(lanes, depth);
        }
    }

    /** Describes a byte of a region for messages: the shared variable, or the parameter that points to the region. */
    public String describe(Region region, int offset) {
        if (region.space() == Region.Space.SHARED) {
            Layout layout = cta.cluster().grid().code().sharedLayout();
            return region + layout.name(offset);
        }
        String parameter =
                region.space() == Region.Space.GLOBAL ? cta.cluster().grid().parameterOf(region) : null;
        return parameter == null ? region.toString() : region + " (parameter " + parameter + ")";
    }

    /** The values of the registers that a step reads, for messages. */
    String values(Step step, int lane) {
        if (lane < 0 || lane >= Warp.LANES) {
            return "";
        }
        StringJoiner values = new StringJoiner(", ", " [", "]");
        values.setEmptyValue("");
        for (int row : step.reads()) {
            String name = registerName(row / Warp.LANES);
            if (!name.isEmpty()) {
                values.add(name + " = " + value(row / Warp.LANES, lane));
            }
        }
        return values.toString();
    }

    /** The value of a register as its type has it. */
    String value(int register, int lane) {
        Type type = cta.cluster().grid().code().types()[register];
        if (type == Type.PRED) {
            return String.valueOf((p[register] >>> lane & 1) != 0);
        }
        long bits = r[register * Warp.LANES + lane];
        if (type.isFloat()) {
            return String.valueOf(Numbers.decode(bits, type));
        }
        long whole = type.isBits() ? bits : Numbers.whole(bits, type);
        return whole >= -LARGE && whole < LARGE || type.isSigned()
                ? String.valueOf(whole)
                : "0x" + Long.toHexString(bits);
    }
}
