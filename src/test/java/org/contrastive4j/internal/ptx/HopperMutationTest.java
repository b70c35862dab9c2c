package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.ptx.HopperGemm.Activation;
import org.contrastive4j.internal.ptx.HopperGemm.Product;
import org.contrastive4j.internal.ptx.KernelMutation.Change;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.internal.sim.exec.Fault;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.Precision;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;

/**
 * A mutation of each sm_90a kernel is detected, which shows that the kernel is launched and that its result matters.
 * The other tests inject the faults of schedules and proxies.
 */
class HopperMutationTest {
    /** The smallest workspace: stripes, and G of one tile. */
    private static final long LEAST = 1;

    private static final int STORED_WIDTH = 320;

    static List<Change> changes() {
        String barrier = "bar.sync 0;";
        return List.of(
                new Change("normalize_fwd_bf16_sm90a", "xor.b32 %at, %at, %swizzle;", 0, ""),
                new Change("normalize_fwd_f16_sm90a", "@%zero mov.f64 %inverse, 0.0;", 0, ""),
                new Change("pairwise_begin_f32_sm90a", "mul.rn.f64 %logScale, %logScale, 1.4426950408889634;", 0, ""),
                new Change("pairwise_begin_f32_sm90a", "@!%outside st.global.u32 [%address+12], %t;", 0, ""),
                new Change("pairwise_begin_f32_sm90a", "st.global.u32 [%address+16], %t;", 1, ""),
                new Change("pairwise_fwd_bf16_sm90a", "bar.sync 1, 256;", 0, ""),
                new Change("pairwise_fwd_f16_sm90a", "add.ftz.f32 %lower0, %lower0, %d5c;", 0, ""),
                new Change("pairwise_fwd_bf16_sm90a", "add.ftz.f32 %kept, %kept, %sent;", 6, ""),
                new Change("pairwise_fwd_bf16_stored_sm90a", "0x5410", 5, "0x1054"),
                new Change(
                        "pairwise_fwd_bf16_stored_sm90a",
                        "fma.rn.f32 %x1, %d9d, 32000.0",
                        0,
                        "fma.rn.f32 %x1, %d9c, 32000.0"),
                new Change("pairwise_fwd_f16_wide_sm90a", "ex2.approx.ftz.f32 %power, %power;", 2, ""),
                new Change("pairwise_fwd_bf16_wide_sm90a", "@%hit ld.global.nc.f32 %lowerShift, [%address+32];", 0, ""),
                new Change(
                        "pairwise_merge_f32_sm90a",
                        "setp.gt.f32 %more, %largest0, %largest;",
                        0,
                        "setp.lt.f32 %more, %largest0, %largest;"),
                new Change(
                        "pairwise_merge_f32_sm90a",
                        "add.rn.f64 %total, %total, %partial;",
                        1,
                        "mov.f64 %total, %partial;"),
                new Change("pairwise_merge_f32_sm90a", "@%goesOn ld.global.f32 %largest, [%atStep];", 0, ""),
                new Change("pairwise_own_f32_sm90a", "cvt.rni.u64.f64 %units, %value;", 0, "mov.u64 %units, 0;"),
                new Change(
                        "pairwise_own_f32_sm90a",
                        "setp.eq.u32 %outside, %ordered, %largest;",
                        0,
                        "setp.ne.u32 %outside, %ordered, %largest;"),
                new Change("pairwise_own_f32_sm90a", "@%lost red.global.or.b32 [%scalars+16], 1;", 0, ""),
                new Change("pairwise_finish_f32_sm90a", barrier, 0, ""),
                new Change("pairwise_finish_f32_sm90a", "neg.f64 %rows, %rows;", 0, ""),
                new Change(
                        "pairwise_finish_f32_sm90a",
                        "selp.f32 %y, %y, %z, %shifted;",
                        1,
                        "selp.f32 %y, %z, %y, %shifted;"),
                new Change(
                        "pairwise_finish_f32_sm90a",
                        "setp.ge.u32 %outside, %row, %n;",
                        0,
                        "setp.gt.u32 %outside, %row, %n;"),
                new Change("pairwise_finish_f32_sm90a", "sub.rn.f64 %others, %others, %own;", 1, ""),
                new Change(
                        "pairwise_result_f32_sm90a", "mov.f64 %value, 0.6931471805599453;", 0, "mov.f64 %value, 1.0;"),
                new Change("pairwise_result_f32_sm90a", "add.u64 %address, %address, 40;", 0, ""),
                new Change("pairwise_result_f32_sm90a", "@%last add.rn.f64 %sum, %sum, %value;", 0, ""),
                new Change(
                        "pairwise_bwd_bf16_g_sm90a", "@%hit mov.f32 %d1b, %upperG;", 0, "@%hit mov.f32 %d1b, %lowerG;"),
                new Change(
                        "pairwise_bwd_f16_g_sm90a",
                        "xor.b32 %slot, %position, 64;",
                        2,
                        "add.u32 %slot, %position, 64;"),
                new Change("pairwise_bwd_bf16_g_sm90a", "add.ftz.f32 %dot, %dot, %part;", 8, ""),
                new Change("pairwise_bwd_bf16_stored_sm90a", barrier, 0, ""),
                new Change(
                        "pairwise_bwd_bf16_stored_sm90a",
                        "add.ftz.f32 %x3, %x3, -8421376.0;",
                        0,
                        "add.ftz.f32 %x3, %x3, -8421120.0;"),
                new Change(
                        "pairwise_bwd_f16_stored_sm90a",
                        "setp.eq.s32 %hit, %target, 6;",
                        0,
                        "setp.eq.s32 %hit, %target, 7;"),
                new Change(
                        "pairwise_bwd_f16_stored_sm90a",
                        "add.u64 %packed, %packed, 4096;",
                        0,
                        "add.u64 %packed, %packed, 2048;"),
                new Change("pairwise_bwd_bf16_dx_sm90a", "min.u32 %t, %t, %lastBlock;", 1, ""),
                new Change(
                        "pairwise_bwd_bf16_dx_sm90a",
                        "setp.ne.and.u32 %more, %adds",
                        0,
                        "setp.eq.and.u32 %more, %adds"),
                new Change(
                        "pairwise_bwd_f16_dx_sm90a",
                        "fma.rn.f32 %old, %d4c, %factor, %old;",
                        0,
                        "fma.rn.f32 %old, %d4a, %factor, %old;"),
                new Change("pairwise_bwd_bf16_dy_sm90a", "[%g+16384], 8192", 0, "[%g], 8192"),
                new Change("pairwise_bwd_f16_dy_sm90a", "selp.b32 %lowerLimit, %lowerLimit, 0, %inside;", 0, ""),
                new Change("pairwise_scalars_f32_sm90a", barrier, 0, ""),
                new Change(
                        "pairwise_scalars_f32_sm90a",
                        "ld.global.f32 %factor, [%address+12];",
                        0,
                        "ld.global.f32 %factor, [%address+0];"),
                new Change(
                        "pairwise_scalars_f32_sm90a",
                        "setp.lt.u32 %more, %t, %count;",
                        0,
                        "setp.le.u32 %more, %t, %count;"),
                new Change("pack_bf16_sm90a", "xor.b32 %s, %s, %column;", 0, ""),
                new Change("pack_f16_sm90a", "setp.ge.and.s32 %whole, %columnsLeft, 8, %whole;", 0, ""),
                new Change("pack_16_sm90a", "mov.b32 %y2, {%x4, %x5};", 1, "mov.b32 %y2, {%x5, %x4};"),
                new Change(
                        "pack_16_sm90a", "selp.b32 %left, %columnsLeft, 0, %more;", 0, "mov.b32 %left, %columnsLeft;"),
                new Change("gemm_bf16_nn_sm90a", "min.u32 %u, %lastB, 3;", 0, "mov.u32 %u, 3;"),
                new Change(
                        "gemm_f16_nn_sm90a",
                        "fma.rn.f32 %d2b, %d2b, %alpha, %y;",
                        0,
                        "fma.rn.f32 %d2b, %d2b, %alpha, %x;"),
                new Change("gemm_bf16_nt_sm90a", "min.u32 %u, %lastB, 1;", 0, "mov.u32 %u, 0;"),
                new Change("gemm_bf16_tn_sm90a", "mad.wide.u32 %half, %u, 8192, %half;", 0, ""),
                new Change("gemm_bf16_tt_sm90a", "min.u32 %u, %lastA, 1;", 0, "mov.u32 %u, 0;"),
                new Change("gemm_f16_tt_sm90a", "setp.lt.u32 %inside, %row, %u;", 0, "setp.le.u32 %inside, %row, %u;"));
    }

    /** Runs what the kernel takes part in; everything for null. */
    private static void run(Change change) {
        String name = change == null ? "" : change.name();
        for (Precision precision : List.of(Precision.BF16, Precision.F16)) {
            if (name.contains(precision == Precision.BF16 ? "_f16_" : "_bf16_")
                    || name.contains("_f32_") && precision == Precision.F16) {
                continue;
            }
            try (PtxDevice device = SimDevice.open(SimOptions.defaults().withInstructionLimit(10_000_000))) {
                Kernels kernels = change == null ? new Kernels(device) : change.kernels(device);
                if (!name.startsWith("gemm") && !name.startsWith("pack")) {
                    losses(device, kernels, precision, name.contains("_stored_"), name.contains("_wide_"));
                }
                if (name.isEmpty() || name.startsWith("pack")) {
                    HopperGemm gemm = new HopperGemm(kernels, precision, 1);
                    HopperGemmTest.checkPacked(device, gemm, precision, 0);
                    HopperGemmTest.checkPacked(device, gemm, precision, 1);
                }
                for (int layout = 0; layout < 4; layout++) {
                    Product p = new Product(layout / 2 == 1, layout % 2 == 1, 1, 100, 170, 100);
                    if (name.isEmpty() || name.contains("_" + p.layout() + "_")) {
                        HopperGemmCase.Inputs in = HopperGemmCase.Inputs.of(9, p, true, 0, true, Activation.QUICK_GELU);
                        HopperGemm gemm = new HopperGemm(kernels, precision, 1);
                        HopperGemmCase.check(in, HopperGemmCase.run(device, gemm, precision, in));
                    }
                }
            }
        }
    }

    private static void losses(
            PtxDevice device, Kernels kernels, Precision precision, boolean stored, boolean shifted) {
        if (!stored && !shifted) {
            HopperInfoNceCase plain = new HopperInfoNceCase(270, 60, 40, shared(270, 60)).withNeighbours();
            for (int k = 0; k < plain.d; k++) {
                plain.u[k] = 0;
            }
            ask(plain, device, kernels, precision, LEAST, 0);
            ask(new HopperInfoNceCase(33, 40, 20, null), device, kernels, precision, LEAST, 0);
        }
        if (!shifted) {
            HopperInfoNceCase kept = new HopperInfoNceCase(130, 140, STORED_WIDTH, shared(130, 140)).withNeighbours();
            HopperInfoNcePlan plan = new HopperInfoNcePlan(kept.n, kept.m, kept.d, 4, true, InfoNceKernelSet.PLENTY);
            assertTrue(plan.stored, "products are not kept");
            ask(kept, device, kernels, precision, InfoNceKernelSet.PLENTY, kept.scale / 62_000);
        }
        if (!stored) {
            HopperInfoNceCase far = HopperInfoNceTest.adversary("far", 130, 100);
            HopperInfoNceCase sharing = new HopperInfoNceCase(far.n, far.m, far.d, shared(far.n, far.m), far.u, far.v);
            sharing.scale = far.scale;
            ask(sharing, device, kernels, precision, LEAST, 0);
        }
    }

    private static void ask(
            HopperInfoNceCase c, PtxDevice device, Kernels kernels, Precision precision, long stripeBytes, double ofG) {
        c.precision = precision;
        c.check(
                device,
                c.ask(device, new HopperInfoNce(new HopperInfoNceLaunches(kernels, precision), 4, stripeBytes)),
                ofG);
    }

    /** Returns targets in which seven columns share all rows. */
    private static int[] shared(int n, int m) {
        return IntStream.range(0, n).map(i -> i * i % 7 * 11 % m).toArray();
    }

    @Tag("exhaustive")
    @Test
    void unmodifiedKernels_pass() {
        run(null);
    }

    @ParameterizedTest
    @SampledSource(value = "changes", every = 20)
    void mutation_isDetected(Change change) {
        String text = Kernels.text(change.name());
        assertNotEquals(text, change.apply(text), "nothing changed: " + change);
        Throwable noticed = assertThrows(Throwable.class, () -> run(change), change.toString());
        assertTrue(noticed instanceof AssertionError || noticed instanceof Fault, () -> change + ": " + noticed);
    }

    /** Each body has a mutation in at least one of its types. */
    @Test
    void everyKernelBody_hasMutation() {
        Set<String> bodies = changes().stream()
                .map(change -> InfoNceMutationTest.body(change.name()))
                .collect(Collectors.toSet());
        assertEquals(
                List.of(),
                HopperKernelsTest.names().stream()
                        .filter(name -> !bodies.contains(InfoNceMutationTest.body(name)))
                        .toList());
        assertTrue(HopperKernelsTest.names()
                .containsAll(changes().stream().map(Change::name).toList()));
    }
}
