package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.ops.PointwiseOps.Gelu;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.Precision;
import org.junit.jupiter.params.ParameterizedTest;

/** Mutation tests of the kernels of matrix products and attention: every injected fault is detected. */
class GemmMutationTest {
    /** The first match in the text of a kernel, replaced; a case that must then fail. */
    record Fault(String name, String what, String found, String instead, GemmCases.Case noticedBy)
            implements KernelMutation {
        @Override
        public String toString() {
            return name + ": " + what;
        }

        Precision multiply() {
            return name.contains("tf32") ? Precision.TF32 : Precision.F32;
        }

        @Override
        public String apply(String text) {
            return KernelMutation.replaceFirst(text, found, instead);
        }
    }

    static List<Fault> faults() {
        List<Fault> faults = new ArrayList<>();
        for (String layout : new String[] {"nn", "nt", "tn", "tt"}) {
            String kernel = "gemm_f32_" + layout;
            GemmCases.Case ragged = GemmCases.gemm(layout.charAt(0) == 't', layout.charAt(1) == 't', 61, 57, 39, 1);
            faults.add(new Fault(kernel, "barrier dropped", "bar\\.sync 0;", "", ragged));
            faults.add(new Fault(kernel, "copies not waited for", "cp\\.async\\.wait_group 0;", "", ragged));
            faults.add(new Fault(
                    kernel,
                    "the last of k left out",
                    "setp\\.le\\.s32 %last, %k, 16;",
                    "setp.le.s32 %last, %k, 17;",
                    GemmCases.gemm(layout.charAt(0) == 't', layout.charAt(1) == 't', 5, 5, 33, 0)));
            faults.add(new Fault(
                    kernel,
                    "a row too many",
                    "setp\\.gt\\.s32 %inside, %rowsLeft, ",
                    "setp.ge.s32 %inside, %rowsLeft, ",
                    GemmCases.gemm(layout.charAt(0) == 't', layout.charAt(1) == 't', 4, 4, 4, 0)));
            faults.add(new Fault(
                    kernel, "wrong operand", "fma\\.rn\\.f32 %c1_2, %([ab])1", "fma.rn.f32 %c1_2, %$12", ragged));
            faults.add(new Fault(
                    kernel,
                    "beta forgotten",
                    "fma\\.rn\\.f32 %c3_3, %a3_0, %beta",
                    "fma.rn.f32 %c3_3, %a3_0, 0f3F000000",
                    GemmCases.gemm(layout.charAt(0) == 't', layout.charAt(1) == 't', 61, 60, 39, 1)));
        }
        addEpilogues(faults);
        faults.add(new Fault(
                "gemm_merge_f32",
                "a part too few",
                "setp\\.gt\\.s32 %more, %parts, 3",
                "setp.gt.s32 %more, %parts, 4",
                GemmCases.gemm(false, false, 3, 5, 1100, 0)));
        faults.add(new Fault(
                "gemm_merge_f32",
                "an element too many",
                "setp\\.ge\\.s32 %out",
                "setp.gt.s32 %out",
                GemmCases.gemm(false, false, 3, 5, 1100, 0)));
        faults.add(
                new Fault("column_sums_f32", "barrier dropped", "bar\\.sync 0;", "", GemmCases.biasGradient(40, 33)));
        faults.add(new Fault(
                "column_sums_f32",
                "a row too many",
                "setp\\.gt\\.and\\.s32 %more, %left, 8",
                "setp.ge.and.s32 %more, %left, 8",
                GemmCases.biasGradient(40, 33)));
        faults.add(new Fault(
                "column_sums_f32",
                "a warp forgotten",
                "ld\\.shared\\.f32 %v0, \\[%get \\+ 896\\];",
                "",
                GemmCases.biasGradient(40, 33)));
        addAttention(faults);
        addTensorCores(faults);
        return faults;
    }

    /** Bias and GELU, for both distributions of columns over threads. */
    private static void addEpilogues(List<Fault> faults) {
        for (String layout : new String[] {"nn", "nt", "tn", "tt"}) {
            boolean transA = layout.charAt(0) == 't';
            boolean transB = layout.charAt(1) == 't';
            String kernel = "gemm_f32_" + layout;
            GemmCases.Case exact = GemmCases.fused(Gelu.EXACT, transA, transB, 61, 60, 9, 1);
            GemmCases.Case quick = GemmCases.fused(Gelu.QUICK, transA, transB, 61, 60, 9, 0);
            GemmCases.Case narrow = GemmCases.fused(Gelu.EXACT, transA, transB, 61, 57, 9, 0);
            faults.add(new Fault(
                    kernel, "bias of another column", "%b1, \\[%bias \\+ \\d+\\]", "%b1, [%bias + 0]", exact));
            faults.add(new Fault(
                    kernel,
                    "bias of the row",
                    "add\\.s64 %bias, %bias, %at;",
                    "mad.wide.s32 %bias, %row0, 4, %bias;",
                    narrow));
            faults.add(new Fault(kernel, "GELU left out for a number", "mul\\.f32 %c5_3, %c5_3, %gate;", "", exact));
            faults.add(new Fault(
                    kernel,
                    "gate of another number",
                    "mul\\.f32 %e, %c2_1, 0fC01D265F",
                    "mul.f32 %e, %c2_2, 0fC01D265F",
                    quick));
            faults.add(new Fault(kernel, "the other GELU", "setp\\.ne\\.s32 %quick", "setp.eq.s32 %quick", quick));
            faults.add(
                    new Fault(kernel, "GELU stored over the product", "add\\.s64 %outRow, %outRow, %toY;", "", exact));
        }
        GemmCases.Case parts = GemmCases.linearGelu(Gelu.EXACT, 3, 1100, 5);
        faults.add(new Fault(
                "gemm_merge_f32",
                "bias of another column",
                "rem\\.s32 %column, %element, %n;",
                "div.s32 %column, %element, %n;",
                parts));
        faults.add(new Fault("gemm_merge_f32", "GELU left out", "mul\\.f32 %sum, %sum, %gate;", "", parts));
        faults.add(new Fault(
                "gemm_merge_f32",
                "the other GELU",
                "setp\\.ne\\.s32 %more, %n, 0;",
                "setp.eq.s32 %more, %n, 0;",
                parts));
    }

    /** Integers, whose products on tensor cores are exact. */
    private static void addTensorCores(List<Fault> faults) {
        for (String layout : new String[] {"nn", "nt", "tn", "tt"}) {
            String kernel = "gemm_tf32_" + layout;
            GemmCases.Case whole = GemmCases.whole(layout.charAt(0) == 't', layout.charAt(1) == 't', 61, 57, 39);
            faults.add(new Fault(kernel, "barrier dropped", "bar\\.sync 0;", "", whole));
            faults.add(new Fault(kernel, "rows swapped", "\\{%x0, %x1, %x2, %x3\\}", "{%x1, %x0, %x2, %x3}", whole));
            faults.add(new Fault(kernel, "half of k twice", "\\{%y0, %y1\\}", "{%y0, %y0}", whole));
            faults.add(new Fault(kernel, "odd columns where even ones are", "add\\.s64 %out, %out, 4;", "", whole));
            faults.add(new Fault(
                    kernel,
                    "bias of the even column for both",
                    "add\\.s64 %bias, %bias, 4;",
                    "",
                    GemmCases.fusedWhole(layout.charAt(0) == 't', layout.charAt(1) == 't', 21, 45, 17)));
        }
    }

    private static void addAttention(List<Fault> faults) {
        GemmCases.Case causal = GemmCases.attention(66, 1, 20, true);
        GemmCases.Case ragged = GemmCases.attention(21, 2, 9, false);
        for (String kernel : new String[] {
            "attention_fwd_f32", "attention_bwd_f32_dq", "attention_bwd_f32_dk", "attention_bwd_f32_dv"
        }) {
            faults.add(new Fault(kernel, "barrier dropped", "bar\\.sync 0;", "", ragged));
            faults.add(new Fault(
                    kernel,
                    "keys and queries swapped",
                    "mad\\.wide\\.s32 %keyAt, %w, 4, %q;",
                    "mov.s64 %keyAt, %q;",
                    ragged));
            faults.add(
                    new Fault(kernel, "length ignored", "@%hit ld\\.global\\.s32 %keys, \\[%address\\];", "", ragged));
            faults.add(new Fault(
                    kernel,
                    "a row too many",
                    "setp\\.gt\\.s32 %inside, %rowsLeft, 16",
                    "setp.ge.s32 %inside, %rowsLeft, 16",
                    GemmCases.attention(16, 1, 4, false)));
            faults.add(new Fault(kernel, "wrong weights", "\\[%hold \\+ 2304\\]", "[%hold + 2320]", ragged));
        }
        for (String kernel : new String[] {"attention_fwd_f32", "attention_bwd_f32_dq"}) {
            faults.add(new Fault(
                    kernel, "a key of the future", "add\\.s32 %high, %high, 1;", "add.s32 %high, %high, 2;", causal));
        }
        for (String kernel : new String[] {"attention_bwd_f32_dk", "attention_bwd_f32_dv"}) {
            faults.add(new Fault(
                    kernel,
                    "a query of the past",
                    "setp\\.le\\.and\\.s32 %hit, %low, 0",
                    "setp.le.and.s32 %hit, %low, 1",
                    causal));
        }
        faults.add(new Fault(
                "attention_fwd_f32",
                "sums not made smaller",
                "mul\\.f32 %o0_0, %o0_0, %factor;",
                "",
                GemmCases.attention(110, 1, 8, false)));
        faults.add(new Fault("attention_bwd_f32_dq", "average left out", "sub\\.f32 %c2_2, %c2_2, %dot2;", "", ragged));
        faults.add(new Fault(
                "attention_bwd_f32_dk",
                "average of another query",
                "sub\\.f32 %c2_2, %c2_2, %dot2;",
                "sub.f32 %c2_2, %c2_2, %dot1;",
                ragged));
    }

    @ParameterizedTest
    @SampledSource(value = "faults", every = 12)
    void mutation_isDetected(Fault fault) {
        try (PtxDevice device = SimDevice.open(SimOptions.defaults())) {
            List<double[]> truth = GemmCases.truth(fault.noticedBy);
            fault.assertNoticedBy(() -> GemmCases.assertClose(
                    truth, GemmCases.on(device, fault.kernels(device), fault.multiply(), fault.noticedBy), 200));
        }
    }

    @ParameterizedTest
    @SampledSource(value = "faults", every = 18)
    void unmodifiedKernel_passes(Fault fault) {
        try (PtxDevice device = SimDevice.open(SimOptions.defaults())) {
            List<double[]> right = GemmCases.on(device, new Kernels(device), fault.multiply(), fault.noticedBy);
            GemmCases.assertClose(GemmCases.truth(fault.noticedBy), right, 200);
            assertEquals(right.size(), GemmCases.truth(fault.noticedBy).size());
        }
    }
}
