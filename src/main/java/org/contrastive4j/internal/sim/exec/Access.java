package org.contrastive4j.internal.sim.exec;

/** Where the lanes of one instruction touch memory; reused from instruction to instruction. */
public final class Access {
    /** What is done to the bytes. */
    public enum Kind {
        READ,
        WRITE,
        ATOMIC
    }

    /** By lane. */
    public final Region[] blocks = new Region[Warp.LANES];

    public final int[] offsets = new int[Warp.LANES];
    /** Bytes that each lane touches. */
    public int bytes;

    public Kind kind;
    /** Strong in the sense of the memory model (atomic, volatile, relaxed or stronger): does not race with its like. */
    public boolean strong;
    /** Strong only among the threads of one block. */
    public boolean blockScope;
    /** Asynchronous work that makes the access; null for the instruction itself. */
    public Async async;
}
