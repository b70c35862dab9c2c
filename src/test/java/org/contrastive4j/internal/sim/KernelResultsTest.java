package org.contrastive4j.internal.sim;

import static org.contrastive4j.internal.sim.Schedules.fault;
import static org.contrastive4j.internal.sim.Schedules.filled;
import static org.contrastive4j.internal.sim.Schedules.kernel;
import static org.contrastive4j.internal.sim.Schedules.run;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.internal.sim.exec.Fault;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Results of tensor cores and bounds of variables in legal and wrong kernels, under every schedule. */
@Tag("sampled")
final class KernelResultsTest {

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
