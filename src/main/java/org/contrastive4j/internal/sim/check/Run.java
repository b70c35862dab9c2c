package org.contrastive4j.internal.sim.check;

import org.contrastive4j.internal.sim.exec.Access;
import org.contrastive4j.internal.sim.exec.Async;
import org.contrastive4j.internal.sim.exec.Step;
import org.contrastive4j.internal.sim.exec.Warp;
import org.jspecify.annotations.Nullable;

/**
 * Accesses of one instruction that one object stands for: neighbouring lanes that access neighbouring bytes, or lanes
 * that access the same bytes.
 *
 * @param stamp what the accesses have in common
 * @param from offset of the first byte
 * @param bytes that each lane accesses
 * @param firstLane lane of the first bytes
 * @param lanes all of them; they access the same bytes if {@code together}, else one after the other
 */
record Run(Stamp stamp, int from, int bytes, int firstLane, int lanes, boolean together) {
    /**
     * What the accesses of an instruction have in common.
     *
     * @param cluster whose agent made them
     * @param time of the agent
     * @param async kind of asynchronous work that makes the accesses; null for the instruction itself
     * @param strong whether they do not race with strong accesses
     * @param isVolatile whether the instruction is {@code .volatile}
     * @param blockScope whether they are strong among the threads of one block only
     * @param storesOneValue whether all lanes store the same element
     * @param value that element
     */
    record Stamp(
            Object cluster,
            int agent,
            int time,
            boolean strong,
            boolean blockScope,
            boolean isVolatile,
            Async.@Nullable Group async,
            Access.Kind kind,
            Origin origin,
            Step step,
            boolean storesOneValue,
            long value) {
        boolean isAsync() {
            return async != null;
        }
    }

    /** Offset behind the last byte. */
    int to() {
        return from + bytes * (together ? 1 : Integer.bitCount(lanes));
    }

    boolean covers(int start, int end) {
        return from <= start && end <= to();
    }

    /** Returns the lanes that access some of these bytes, as a mask. */
    int lanesOf(int start, int end) {
        int first = Math.max(start, from);
        int last = Math.min(end, to());
        if (first >= last) {
            return 0;
        }
        if (together) {
            return lanes;
        }
        int low = firstLane + (first - from) / bytes;
        int high = firstLane + (last - 1 - from) / bytes;
        return (high == Warp.LANES - 1 ? -1 : (1 << high + 1) - 1) & -1 << low;
    }

    /** First byte of what a lane accesses. */
    int at(int lane) {
        return together ? from : from + (lane - firstLane) * bytes;
    }

    /** Whether every byte of both is accessed by the same lane of the same agent. */
    boolean hasSameLanes(Run other) {
        return stamp.agent() == other.stamp.agent()
                && stamp.cluster() == other.stamp.cluster()
                && bytes == other.bytes
                && together == other.together
                && (together
                        ? from == other.from && (lanes & ~other.lanes) == 0
                        : from - firstLane * bytes == other.from - other.firstLane * bytes);
    }

    String describe() {
        return (stamp.isAsync() ? "asynchronous " : "")
                + (stamp.kind() == Access.Kind.READ ? "read" : stamp.kind() == Access.Kind.WRITE ? "write" : "atomic");
    }
}
