package org.contrastive4j.internal.sim;

import static org.contrastive4j.internal.sim.Schedules.fault;
import static org.contrastive4j.internal.sim.Schedules.kernel;
import static org.contrastive4j.internal.sim.Schedules.run;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.IntStream;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.internal.sim.exec.Fault;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Legal kernels as compilers write them: they run to the end, with the right result, under every schedule. */
@Tag("sampled")
final class LegalKernelsTest {
    @Test
    void barSync_lanesThatReturnedEarly_areNotWaitedFor() {
        int[] result = run(Launch.of(1, 64), 64, kernel("", """
                setp.gt.u32 %p, %r0, 40;
                @%p bra DONE;
                bar.sync 0;
                st.global.u32 [%rd1], 1;
                DONE:
                ret;"""));
        assertArrayEquals(IntStream.range(0, 64).map(i -> i <= 40 ? 1 : 0).toArray(), result);
    }

    @Test
    void barSync_coldBranchBehindTheEnd_rejoinsBeforeTheBarrier() {
        int[] result = run(Launch.of(1, 64), 64, kernel("", """
                mov.u32 %r1, 1;
                and.b32 %r2, %r0, 3;
                setp.eq.u32 %p, %r2, 0;
                @%p bra COLD;
                BACK:
                bar.sync 0;
                st.global.u32 [%rd1], %r1;
                ret;
                COLD:
                mov.u32 %r1, 2;
                bra BACK;"""));
        assertArrayEquals(IntStream.range(0, 64).map(i -> i % 4 == 0 ? 2 : 1).toArray(), result);
    }

    @Test
    void barSync_storeBeforeTheEarlyReturn_isLegal() {
        int[] result = run(Launch.of(1, 64), 64, kernel("", """
                setp.lt.u32 %p, %r0, 41;
                @%p bra GO;
                st.global.u32 [%rd1], 7;
                ret;
                GO:
                bar.sync 0;
                st.global.u32 [%rd1], 1;
                ret;"""));
        assertArrayEquals(IntStream.range(0, 64).map(i -> i < 41 ? 1 : 7).toArray(), result);
    }

    @Test
    void shuffle_lanesThatReturnLater_areNotWaitedFor() {
        int[] result = run(Launch.of(1, 32), 32, kernel("", """
                setp.lt.u32 %p, %r0, 16;
                @%p bra GO;
                st.global.u32 [%rd1], 7;
                ret;
                GO:
                shfl.sync.bfly.b32 %r1, %r0, 1, 31, 0xffffffff;
                st.global.u32 [%rd1], %r1;
                ret;"""));
        assertArrayEquals(IntStream.range(0, 32).map(i -> i < 16 ? i ^ 1 : 7).toArray(), result);
    }

    @Test
    void warpSync_atDifferentInstructions_isOneBarrier() {
        int[] result = run(Launch.of(1, 32), 32, kernel(".shared .b32 s[32];", """
                mov.u32 %r2, s;
                mad.lo.u32 %r2, %r0, 4, %r2;
                st.shared.u32 [%r2], %r0;
                setp.lt.u32 %p, %r0, 16;
                @%p bra LOW;
                bar.warp.sync 0xffffffff;
                ld.shared.u32 %r1, [%r2+-64];
                bra END;
                LOW:
                bar.warp.sync 0xffffffff;
                ld.shared.u32 %r1, [%r2+64];
                END:
                st.global.u32 [%rd1], %r1;
                ret;"""));
        assertArrayEquals(IntStream.range(0, 32).map(i -> i ^ 16).toArray(), result);
    }

    /** Lanes of one warp take a lock one after the other: the one that has it runs although the others spin. */
    @Test
    void spinLock_lanesOfOneWarp_allMakeProgress() {
        int[] result = run(Launch.of(2, 32), 2, kernel("", """
                add.u64 %rd2, %rd0, 4;
                LOCK:
                atom.acquire.gpu.global.cas.b32 %r1, [%rd2], 0, 1;
                setp.ne.u32 %p, %r1, 0;
                @%p bra LOCK;
                ld.relaxed.gpu.global.u32 %r3, [%rd0];
                add.u32 %r3, %r3, 1;
                st.relaxed.gpu.global.u32 [%rd0], %r3;
                atom.release.gpu.global.exch.b32 %r1, [%rd2], 0;
                ret;"""));
        assertEquals(64, result[0]);
        assertEquals(0, result[1]);
    }

    /** The lanes that wait for a flag come before the lane that sets it. */
    @Test
    void flag_setByAnotherLaneOfTheWarp_isSeen() {
        int[] result = run(Launch.of(1, 32), 1, kernel(".shared .b32 flag;", """
                setp.eq.u32 %q, %r0, 0;
                @%q st.shared.u32 [flag], 0;
                bar.sync 0;
                setp.eq.u32 %p, %r0, 31;
                @%p bra SET;
                SPIN:
                ld.relaxed.cta.shared.u32 %r1, [flag];
                setp.eq.u32 %p, %r1, 0;
                @%p bra SPIN;
                bra END;
                SET:
                st.relaxed.cta.shared.u32 [flag], 1;
                END:
                bar.sync 0;
                @%q st.global.u32 [%rd0], 1;
                ret;"""));
        assertEquals(1, result[0]);
    }

    @Test
    void barSync_lanesThatSkipItAndGoOn_isAFault() {
        Fault fault = fault(Launch.of(1, 32), 32, kernel("", """
                setp.gt.u32 %p, %r0, 15;
                @%p bra SKIP;
                bar.sync 0;
                SKIP:
                st.global.u32 [%rd1], 1;
                ret;"""));
        assertEquals(Fault.Kind.DIVERGENT_ALIGNED, fault.kind());
        assertTrue(fault.getMessage().contains("0xffff0000"), fault.getMessage());
    }

    @Test
    void undefinedRegister_maskedByAPredicate_isLegal() {
        int[] result = run(Launch.of(1, 32), 32, kernel("", """
                setp.lt.u32 %p, %r0, 8;
                @!%p bra SKIP;
                mov.u32 %r5, 3;
                SKIP:
                setp.eq.u32 %q, %r5, 3;
                and.pred %q, %q, %p;
                add.u32 %r6, %r5, 1;
                selp.u32 %r7, %r6, 0, %p;
                selp.u32 %r7, %r7, 9, %q;
                st.global.u32 [%rd1], %r7;
                ret;"""));
        assertArrayEquals(IntStream.range(0, 32).map(i -> i < 8 ? 4 : 9).toArray(), result);
    }

    @Test
    void undefinedRegister_decidesABranch_isAFault() {
        Fault fault = fault(Launch.of(1, 32), 32, kernel("", """
                add.u32 %r6, %r5, 1;
                setp.eq.u32 %q, %r6, 3;
                @%q bra END;
                st.global.u32 [%rd1], 1;
                END:
                ret;"""));
        assertEquals(Fault.Kind.UNINITIALIZED, fault.kind());
        assertTrue(fault.getMessage().contains("%r5"), fault.getMessage());
        assertTrue(fault.getMessage().contains("@%q bra END"), fault.getMessage());
    }

    /** PTX leaves the value undefined; reading it is no error as long as nobody uses it. */
    @Test
    void shuffle_fromALaneOutsideTheMask_isUndefinedAndNoFault() {
        String text = kernel("", """
                setp.lt.u32 %p, %r0, 16;
                @!%p bra END;
                shfl.sync.down.b32 %r1, %r0, 8, 31, 0xffff;
                setp.lt.u32 %q, %r0, 8;
                selp.u32 %r1, %r1, 5, %q;
                st.global.u32 [%rd1], %r1;
                END:
                ret;""");
        int[] result = run(Launch.of(1, 32), 32, text);
        assertArrayEquals(
                IntStream.range(0, 32).map(i -> i < 8 ? i + 8 : i < 16 ? 5 : 0).toArray(), result);
        Fault fault = fault(Launch.of(1, 32), 32, text.replace("selp.u32 %r1, %r1, 5, %q;", ""));
        assertEquals(Fault.Kind.UNINITIALIZED, fault.kind());
        assertTrue(fault.getMessage().contains("does not take part"), fault.getMessage());
    }

    /** A structure of three words in four: its padding is copied with it. */
    @Test
    void vectorCopy_ofAStructureWithPadding_isLegal() {
        int[] result = run(Launch.of(1, 1), 4, kernel(".shared .align 16 .b8 s[32];", """
                mov.u32 %r2, s;
                st.shared.v2.u32 [%r2], {1, 2};
                st.shared.u32 [%r2+8], 3;
                ld.shared.v4.u32 {%r3, %r4, %r5, %r6}, [%r2];
                st.shared.v4.u32 [%r2+16], {%r3, %r4, %r5, %r6};
                ld.shared.v4.u32 {%r3, %r4, %r5, %r6}, [%r2+16];
                st.global.u32 [%rd0], %r3;
                st.global.u32 [%rd0+4], %r4;
                st.global.u32 [%rd0+8], %r5;
                ret;"""));
        assertArrayEquals(new int[] {1, 2, 3, 0}, result);
    }

    /** Half of the schedules read before the write, the others after it: the cause is the same. */
    @Test
    void missingBarrier_isARaceInEverySchedule() {
        Fault fault = fault(Launch.of(1, 64), 64, kernel(".shared .b32 s[64];", """
                mov.u32 %r2, s;
                mad.lo.u32 %r3, %r0, 4, %r2;
                st.shared.u32 [%r3], %r0;
                xor.b32 %r4, %r0, 32;
                mad.lo.u32 %r3, %r4, 4, %r2;
                ld.shared.u32 %r5, [%r3];
                st.global.u32 [%rd1], %r5;
                ret;"""));
        assertEquals(Fault.Kind.RACE, fault.kind());
        assertTrue(fault.getMessage().contains("st.shared.u32 [%r3], %r0"), fault.getMessage());
        assertTrue(fault.getMessage().contains("ld.shared.u32 %r5, [%r3]"), fault.getMessage());
    }

    /** Zero the counter, forget the barrier, add: the atomic of block 0 must not hide its own plain store. */
    @Test
    void plainStoreBeforeAnAtomic_isARaceInEverySchedule() {
        Fault fault = fault(Launch.of(2, 1), 1, kernel("", """
                mov.u32 %r1, %ctaid.x;
                setp.eq.u32 %p, %r1, 0;
                @%p st.global.u32 [%rd0], 0;
                atom.global.add.u32 %r2, [%rd0], 1;
                ret;"""));
        assertEquals(Fault.Kind.RACE, fault.kind());
    }

    @Test
    void plainStoreBeforeAnAtomic_inSharedMemory_isARaceInEverySchedule() {
        Fault fault = fault(Launch.of(1, 64), 1, kernel(".shared .b32 count;", """
                setp.eq.u32 %p, %r0, 0;
                @%p st.shared.u32 [count], 0;
                atom.shared.add.u32 %r2, [count], 1;
                ret;"""));
        assertEquals(Fault.Kind.RACE, fault.kind());
    }

    /** A write to the other half of the word does not erase the record of this half. */
    @Test
    void halves_ofAWordBetweenBlocks_areARaceInEverySchedule() {
        Fault fault = fault(Launch.of(3, 1), 1, kernel("", """
                mov.u32 %r1, %ctaid.x;
                cvt.u16.u32 %h0, %r1;
                setp.eq.u32 %p, %r1, 1;
                @%p st.global.u16 [%rd0+2], 7;
                @!%p st.global.u16 [%rd0], %h0;
                ret;"""));
        assertEquals(Fault.Kind.RACE, fault.kind());
    }

    @Test
    void halves_ofAWord_writtenByDifferentThreads_areLegal() {
        int[] result = run(Launch.of(1, 64), 32, kernel("", """
                cvt.u16.u32 %h0, %r0;
                mad.wide.u32 %rd2, %r0, 2, %rd0;
                st.global.u16 [%rd2], %h0;
                ret;"""));
        assertArrayEquals(
                IntStream.range(0, 32).map(i -> 2 * i | 2 * i + 1 << 16).toArray(), result);
    }

    /** The last steps of a reduction as written before Volta: volatile does not replace the warp barrier. */
    @Test
    void volatileReduction_withoutWarpBarrier_isARace() {
        Fault fault = fault(Launch.of(1, 32), 1, kernel(".shared .b32 s[64];", """
                mov.u32 %r2, s;
                mad.lo.u32 %r2, %r0, 4, %r2;
                st.volatile.shared.u32 [%r2], %r0;
                st.volatile.shared.u32 [%r2+128], 0;
                ld.volatile.shared.u32 %r3, [%r2];
                ld.volatile.shared.u32 %r4, [%r2+64];
                add.u32 %r3, %r3, %r4;
                st.volatile.shared.u32 [%r2], %r3;
                ret;"""));
        assertEquals(Fault.Kind.RACE, fault.kind());
    }

    /** A flag as it is commonly written: fence, volatile store; volatile load, fence. */
    @Test
    void volatileFlag_withFences_isLegal() {
        int[] result = run(Launch.of(2, 1).asCooperative(), 3, kernel("", """
                mov.u32 %r1, %ctaid.x;
                setp.eq.u32 %p, %r1, 1;
                @%p bra SPIN;
                st.global.u32 [%rd0], 42;
                membar.gl;
                st.volatile.global.u32 [%rd0+4], 1;
                ret;
                SPIN:
                ld.volatile.global.u32 %r2, [%rd0+4];
                setp.eq.u32 %q, %r2, 0;
                @%q bra SPIN;
                membar.gl;
                ld.global.u32 %r3, [%rd0];
                st.global.u32 [%rd0+8], %r3;
                ret;"""));
        assertArrayEquals(new int[] {42, 1, 42}, result);
    }

    @Test
    void sameValue_writtenByAllThreads_isLegal() {
        // many blocks, which run on several host threads
        int[] result = run(Launch.of(64, 64), 1, kernel("", """
                st.global.u32 [%rd0], 1;
                ret;"""));
        assertArrayEquals(new int[] {1}, result);
    }

    private static final String PEER = """
            mov.u32 %r2, s;
            st.shared.u32 [%r2], %r0;
            mov.u32 %r4, %cluster_ctarank;
            xor.b32 %r4, %r4, 1;
            mapa.shared::cluster.u32 %r3, %r2, %r4;
            barrier.cluster.arrive.aligned;
            barrier.cluster.wait.aligned;
            ld.shared::cluster.u32 %r5, [%r3];
            LAST
            mov.u32 %r6, %ctaid.x;
            mad.wide.u32 %rd2, %r6, 4, %rd0;
            st.global.u32 [%rd2], %r5;
            ret;""";

    private static String peer(String last) {
        return kernel(".shared .b32 s;", PEER.replace("LAST", last))
                .replace("pout)", "pout) .explicitcluster .reqnctapercluster 2, 1, 1");
    }

    /** A block may not end while another of its cluster still reads its shared memory. */
    @Test
    void peerRead_withoutALastClusterBarrier_isARaceInEverySchedule() {
        Fault fault = fault(Launch.of(2, 1), 2, peer(""));
        assertEquals(Fault.Kind.RACE, fault.kind());
        assertTrue(fault.getMessage().contains("barrier.cluster"), fault.getMessage());
        int[] result = run(Launch.of(2, 1), 2, peer("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;"));
        assertArrayEquals(new int[] {0, 0}, result);
    }
}
