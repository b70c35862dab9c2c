package org.contrastive4j.internal.sim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.internal.sim.exec.Fault;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.SampledSeeds;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Legal kernels as compilers write them: they run to the end, with the right result, under every schedule. */
@Tag("sampled")
final class LegalKernelsTest {
    private static final List<Integer> SCHEDULES = SampledSeeds.of(20, 5);

    private static String kernel(String shared, String body) {
        return """
                .version 8.0
                .target sm_90
                .address_size 64
                %s
                .visible .entry k(.param .u64 pout)
                {
                .reg .pred %%p, %%q;
                .reg .b16 %%h<4>;
                .reg .b32 %%r<16>;
                .reg .b64 %%rd<8>;
                .reg .f32 %%f<8>;
                .reg .f64 %%d<8>;
                ld.param.u64 %%rd0, [pout];
                cvta.to.global.u64 %%rd0, %%rd0;
                mov.u32 %%r0, %%tid.x;
                mad.wide.u32 %%rd1, %%r0, 4, %%rd0;
                %s
                }
                """.formatted(shared, body);
    }

    /** Runs a kernel on a buffer of zeros under every schedule; returns the results, which must be the same. */
    private static int[] run(Launch launch, int words, String text) {
        int[] first = null;
        for (int seed : SCHEDULES) {
            SimOptions options = SimOptions.defaults().withSeed(seed).withInstructionLimit(5_000_000);
            try (SimDevice device = SimDevice.open(options);
                    DeviceStorage out = Devices.ints(device, new int[words])) {
                device.module("k.ptx", text).kernel("k").launch(device.stream(), launch, out);
                int[] result = Devices.toInts(out);
                first = first == null ? result : first;
                assertArrayEquals(first, result, "schedule " + seed);
            }
        }
        return first;
    }

    /** Runs a kernel under every schedule; returns the fault, of one kind in all of them. */
    private static Fault fault(Launch launch, int words, String text) {
        Fault first = null;
        for (int seed : SCHEDULES) {
            SimOptions options = SimOptions.defaults().withSeed(seed).withInstructionLimit(5_000_000);
            try (SimDevice device = SimDevice.open(options);
                    DeviceStorage out = Devices.ints(device, new int[words])) {
                Fault fault = assertThrows(
                        Fault.class,
                        () -> {
                            device.module("k.ptx", text).kernel("k").launch(device.stream(), launch, out);
                            device.synchronize();
                        },
                        "schedule " + seed);
                first = first == null ? fault : first;
                assertEquals(first.kind(), fault.kind(), "schedule " + seed + ": " + fault.getMessage());
            }
        }
        return first;
    }

    private static int[] filled(int words, int value) {
        int[] all = new int[words];
        Arrays.fill(all, value);
        return all;
    }

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

    /** 1 x 2 over k = 4, and different values in every row and column. */
    @Test
    void mma_ofDoubles_isAChainOfFusedMultiplyAdds() {
        int[] result = run(Launch.of(1, 32), 128, kernel("", """
                cvt.rn.f64.u32 %d0, %r0;
                add.f64 %d1, %d0, 0d3FF0000000000000;
                mov.f64 %d2, 0d4000000000000000;
                mov.f64 %d3, 0d3FE0000000000000;
                mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%d4, %d5}, {%d0}, {%d1}, {%d2, %d3};
                cvt.rn.f32.f64 %f0, %d4;
                cvt.rn.f32.f64 %f1, %d5;
                mad.wide.u32 %rd2, %r0, 8, %rd0;
                st.global.v2.f32 [%rd2], {%f0, %f1};
                ret;"""));
        for (int lane = 0; lane < 32; lane++) {
            for (int e = 0; e < 2; e++) {
                int row = lane / 4;
                int column = 2 * (lane % 4) + e;
                double sum = e == 0 ? 2 : 0.5;
                for (int k = 0; k < 4; k++) {
                    sum += (4 * row + k) * (4 * column + k + 1.0);
                }
                assertEquals((float) sum, Float.intBitsToFloat(result[2 * lane + e]), "lane " + lane);
            }
        }
    }

    @Test
    void wmma_ofDoubles_isAChainOfFusedMultiplyAdds() {
        int[] result = run(Launch.of(1, 32), 64, kernel(".shared .align 16 .f64 s[128];", """
                cvt.rn.f64.u32 %d0, %r0;
                mov.u32 %r2, s;
                mad.lo.u32 %r3, %r0, 8, %r2;
                st.shared.f64 [%r3], %d0;
                bar.warp.sync 0xffffffff;
                wmma.load.a.sync.aligned.row.m8n8k4.shared.f64 {%d0}, [%r2], 4;
                wmma.load.b.sync.aligned.col.m8n8k4.shared.f64 {%d1}, [%r2], 4;
                mov.f64 %d2, 0d3FF0000000000000;
                wmma.mma.sync.aligned.row.col.m8n8k4.rn.f64.f64.f64.f64 {%d4, %d5}, {%d0}, {%d1}, {%d2, %d2};
                add.u32 %r2, %r2, 512;
                wmma.store.d.sync.aligned.row.m8n8k4.shared.f64 [%r2], {%d4, %d5}, 8;
                bar.warp.sync 0xffffffff;
                mad.lo.u32 %r3, %r0, 16, %r2;
                ld.shared.v2.f64 {%d4, %d5}, [%r3];
                cvt.rn.f32.f64 %f0, %d4;
                cvt.rn.f32.f64 %f1, %d5;
                mad.wide.u32 %rd2, %r0, 8, %rd0;
                st.global.v2.f32 [%rd2], {%f0, %f1};
                ret;"""));
        for (int i = 0; i < 64; i++) {
            double sum = 1;
            for (int k = 0; k < 4; k++) {
                sum += (4 * (i / 8) + k) * (4.0 * (i % 8) + k);
            }
            assertEquals((float) sum, Float.intBitsToFloat(result[i]), "element " + i);
        }
    }

    /** Tensor cores cut sums off, but an overflow is infinite: 2^127 twice. */
    @Test
    void mma_ofLargeBf16_overflowsToInfinity() {
        int[] result = run(Launch.of(1, 32), 32, kernel("", """
                mov.u32 %r1, 0x5f005f00;
                mov.u32 %r2, 0x5f805f80;
                mov.f32 %f0, 0f00000000;
                mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32
                    {%f1, %f2, %f3, %f4}, {%r1, %r1}, {%r2}, {%f0, %f0, %f0, %f0};
                mov.b32 %r3, %f1;
                st.global.u32 [%rd1], %r3;
                ret;"""));
        assertArrayEquals(filled(32, 0x7f800000), result);
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
        int[] result = run(Launch.of(2, 64), 1, kernel("", """
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

    @Test
    void sharedArray_thatRunsIntoTheNext_isOutOfBounds() {
        Fault fault = fault(Launch.of(1, 32), 1, kernel(".shared .b32 first[31];\n.shared .b32 second[64];", """
                mov.u32 %r2, first;
                mad.lo.u32 %r2, %r0, 4, %r2;
                st.shared.u32 [%r2], %r0;
                mov.u32 %r3, second;
                st.shared.u32 [%r3], 0;
                ret;"""));
        assertEquals(Fault.Kind.OUT_OF_BOUNDS, fault.kind());
        assertTrue(fault.getMessage().contains("first"), fault.getMessage());
    }

    @Test
    void localArray_thatRunsIntoTheNext_isOutOfBounds() {
        Fault fault = fault(Launch.of(1, 4), 1, kernel("", """
                .local .align 4 .b32 first[3];
                .local .align 4 .b32 second[64];
                mov.u32 %r2, first;
                mad.lo.u32 %r2, %r0, 4, %r2;
                st.local.u32 [%r2], %r0;
                mov.u32 %r3, second;
                st.local.u32 [%r3], 0;
                ret;"""));
        assertEquals(Fault.Kind.OUT_OF_BOUNDS, fault.kind());
        assertTrue(fault.getMessage().contains("first"), fault.getMessage());
    }

    /** What other kernels of the file use does not count: together they have more than a block can. */
    @Test
    void sharedVariables_ofOtherKernelsOfTheFile_doNotCount() {
        String text = kernel(".shared .b8 mine[40000];", """
                st.shared.u32 [mine], 3;
                ld.shared.u32 %r1, [mine];
                st.global.u32 [%rd0], %r1;
                ret;""") + """
                .shared .b8 theirs[40000];
                .visible .entry other() { st.shared.u32 [theirs], 3; ret; }
                """;
        assertArrayEquals(new int[] {3}, run(Launch.of(1, 1), 1, text));
    }
}
