package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.function.Function;
import java.util.stream.Stream;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.ops.BackendAgreementTest;
import org.contrastive4j.ops.PointwiseOps.Gelu;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.support.TensorFixture;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.params.ParameterizedTest;

/** Mutation tests of the kernels for 16-bit activations: every injected fault is detected. */
class SixteenBitMutationTest {
    /** Runs what must detect a fault on fresh devices, with the kernels of each. */
    private interface Check {
        void run(Function<SimDevice, Kernels> kernels);

        static Check of(BiConsumer<SimDevice, Kernels> work) {
            return kernels -> {
                SimDevice device = device();
                work.accept(device, kernels.apply(device));
            };
        }
    }

    /** Replaces the first match in the text of a kernel. */
    record Fault(String name, String found, String instead, Check noticedBy) implements KernelMutation {
        @Override
        public String toString() {
            return name + ": " + found + " -> " + instead;
        }

        @Override
        public String apply(String text) {
            return KernelMutation.replaceFirst(text, found, instead);
        }
    }

    private static final String BARRIER = "bar\\.sync 0;";

    private static DType type(String kernel) {
        return kernel.contains("bf16") ? DType.BF16 : DType.F16;
    }

    static List<Fault> faults() {
        List<Fault> faults = new ArrayList<>();
        addProducts(faults);
        addAttention(faults);
        addTypes(faults);
        return faults;
    }

    private static void addProducts(List<Fault> faults) {
        for (String layout : new String[] {"nn", "nt", "tn", "tt"}) {
            boolean transA = layout.charAt(0) == 't';
            boolean transB = layout.charAt(1) == 't';
            String kernel = "gemm_bf16_" + layout;
            DType[] all = {DType.BF16, DType.BF16, DType.BF16};
            Check check = Check.of((device, kernels) -> {
                try (SixteenBitGemmTest.Bench bench = new SixteenBitGemmTest.Bench(device, kernels, DType.BF16, 0)) {
                    bench.check(transA, transB, new int[] {24, 40, 104}, all, 1);
                }
            });
            addEpilogues(faults, kernel, transA, transB);
            faults.add(new Fault(kernel, BARRIER, "", check));
            faults.add(new Fault(kernel, "cp\\.async\\.wait_group 1;", "cp.async.wait_group 2;", check));
            faults.add(new Fault(kernel, "%wraps, %stage, 49152", "%wraps, %stage, 32768", check));
            faults.add(new Fault(kernel, "fma\\.rn\\.f32 %c0_0, %old, %beta", "fma.rn.f32 %c0_0, %old, %alpha", check));
            faults.add(new Fault(
                    kernel, transA ? "add\\.u32 %xAt32, %xAt32, 4096;" : "xor\\.b32 %xAt32, %xAt32, 32;", "", check));
            faults.add(new Fault(
                    kernel, transB ? "xor\\.b32 %yAt32, %yAt32, 32;" : "add\\.u32 %yAt32, %yAt32, 4096;", "", check));
            faults.add(new Fault(
                    kernel,
                    "\\{%a1_0, %a1_1, %a1_2, %a1_3\\}, \\{%b0, %b1\\}",
                    "{%a1_1, %a1_0, %a1_2, %a1_3}, {%b0, %b1}",
                    check));
        }
    }

    private static Check gelu(Gelu kind, boolean transA, boolean transB, int... size) {
        return Check.of((device, kernels) -> {
            try (SixteenBitGemmTest.Bench bench = new SixteenBitGemmTest.Bench(device, kernels, DType.BF16, 0)) {
                bench.checkGelu(kind, transA, transB, size, 0);
            }
        });
    }

    private static void addEpilogues(List<Fault> faults, String kernel, boolean transA, boolean transB) {
        Check exact = gelu(Gelu.EXACT, transA, transB, 24, 40, 9);
        Check quick = gelu(Gelu.QUICK, transA, transB, 24, 40, 9);
        faults.add(new Fault(kernel, "%bias3, \\[%bias \\+ 36\\]", "%bias3, [%bias + 32]", exact));
        faults.add(new Fault(kernel, "mad\\.wide\\.s32 %bias, %column0, 4", "mad.wide.s32 %bias, %row0, 4", exact));
        faults.add(
                new Fault(kernel, "cvt\\.rn\\.bf16x2\\.f32 %two, %c0_1, %c0_0;\\s*shl", "mov.b32 %two, 0; shl", exact));
        faults.add(new Fault(kernel, "mul\\.f32 %c1_2, %c1_2, %gate;", "", exact));
        faults.add(new Fault(kernel, "mul\\.f32 %e, %c0_1, 0fC01D265F", "mul.f32 %e, %c0_0, 0fC01D265F", quick));
        faults.add(new Fault(kernel, "setp\\.ne\\.s32 %quick", "setp.eq.s32 %quick", quick));
        faults.add(new Fault(kernel, "add\\.s64 %outAt, %out, %toY;", "mov.b64 %outAt, %out;", exact));
        if (!transA && !transB) {
            faults.add(new Fault(
                    "gemm_merge_bf16",
                    "cvt\\.u32\\.u16 %two, %one;\\s*shl\\.b32 %sum, %two, 16;",
                    "mov.b32 %two, %sum;",
                    gelu(Gelu.EXACT, false, false, 9, 40, 600)));
            faults.add(new Fault(
                    "gemm_merge_bf16",
                    "rem\\.s32 %column, %element, %n;",
                    "div.s32 %column, %element, %n;",
                    gelu(Gelu.EXACT, false, false, 9, 6, 600)));
        }
    }

    private static Check attention(DType type, PtxAttentionOpsTest.Case c) {
        return Check.of((device, kernels) -> PtxAttentionOpsTest.check(device, kernels, type, c));
    }

    private static void addAttention(List<Fault> faults) {
        for (String kernel : new String[] {
            "attention_fwd_bf16", "attention_bwd_f16_dq", "attention_bwd_bf16_dk", "attention_bwd_f16_dv"
        }) {
            DType type = type(kernel);
            Check ragged = attention(type, new PtxAttentionOpsTest.Case(21, 1, 16, false, true, 0));
            faults.add(new Fault(kernel, BARRIER, "", ragged));
            faults.add(new Fault(
                    kernel,
                    "(?s)(" + BARRIER + ".*?)" + BARRIER,
                    "$1",
                    attention(type, new PtxAttentionOpsTest.Case(9, 1, 72, false, false, 0))));
            faults.add(new Fault(kernel, "cp\\.async\\.wait_group 0;", "", ragged));
            faults.add(new Fault(kernel, "mad\\.wide\\.s32 %keyAt, %w, 2, %q;", "mov.b64 %keyAt, %q;", ragged));
            faults.add(new Fault(kernel, "@%hit ld\\.global\\.s32 %keys, \\[%address\\];", "", ragged));
            faults.add(new Fault(
                    kernel,
                    "setp\\.gt\\.s32 %inside, %rowsLeft, 16",
                    "setp.ge.s32 %inside, %rowsLeft, 16",
                    attention(type, new PtxAttentionOpsTest.Case(16, 1, 8, false, false, 0))));
            faults.add(new Fault(kernel, "16x2\\.f32 %a1, %c0_3, %c0_2", "16x2.f32 %a1, %c0_2, %c0_3", ragged));
            Check causal = attention(type, new PtxAttentionOpsTest.Case(18, 1, 8, true, false, 0));
            boolean keysLeft = kernel.matches(".*_d[kv]");
            faults.add(
                    keysLeft
                            ? new Fault(
                                    kernel,
                                    "setp\\.le\\.and\\.s32 %hit, %low, 0",
                                    "setp.le.and.s32 %hit, %low, 1",
                                    causal)
                            : new Fault(kernel, "add\\.s32 %high, %high, 1;", "add.s32 %high, %high, 2;", causal));
        }
        faults.add(new Fault(
                "attention_fwd_bf16",
                "mul\\.f32 %o0_0, %o0_0, %factor;",
                "",
                attention(DType.BF16, new PtxAttentionOpsTest.Case(100, 1, 8, false, false, 0))));
        Check small = attention(DType.BF16, new PtxAttentionOpsTest.Case(9, 1, 8, false, false, 0));
        faults.add(new Fault("attention_bwd_bf16_dq", "mul\\.f32 %o0_1, %o0_1, %slope;", "", small));
        faults.add(new Fault("attention_bwd_bf16_dk", "\\[%dotsAt \\+ 0\\]", "[%dotsAt + 32]", small));
    }

    private static Check reference(String operation, DType type, boolean aligned) {
        List<BackendAgreementTest.Case> cases = BackendAgreementTest.ofSixteenBits()
                .filter(one -> one.name().startsWith(operation))
                .toList();
        assertFalse(cases.isEmpty(), "no case is of " + operation);
        return kernels -> cases.forEach(one -> {
            SimDevice device = device(); // closed with its operations
            PtxOps ops = new PtxOps("sim", device, kernels.apply(device), Precision.of(type));
            try (TensorFixture fixture = new TensorFixture(ops, aligned, BackendAgreementTest.SEED)) {
                BackendAgreementTest.agree(fixture, one);
            }
        });
    }

    /** Loads and stores of each type, as vectors and as scalars. */
    private static void addTypes(List<Fault> faults) {
        faults.add(new Fault(
                "add_bf16",
                "bf16x2\\.f32 %two0, %v1, %v0",
                "bf16x2.f32 %two0, %v0, %v1",
                reference("copy add", DType.BF16, true)));
        faults.add(new Fault(
                "add_bf16",
                "and\\.b32 %v1, %two0, 0xFFFF0000",
                "and.b32 %v1, %two0, 0xFF000000",
                reference("copy add", DType.BF16, true)));
        faults.add(new Fault(
                "axpy_bf16", "shl\\.b32 %v0, %two, 16", "mov.b32 %v0, %two", reference("copy add", DType.BF16, false)));
        faults.add(new Fault("scale_f16", "\\{%one0, %one1", "{%one1, %one0", reference("copy add", DType.F16, true)));
        faults.add(new Fault(
                "gelu_fwd_f16",
                "cvt\\.rn\\.f16\\.f32 %one, %v0",
                "cvt.rz.f16.f32 %one, %v0",
                reference("gelu EXACT", DType.F16, false)));
        faults.add(new Fault(
                "dropout_bf16",
                "add\\.u64 %x, %x, 2;",
                "add.u64 %x, %x, 4;",
                reference("dropout 0.5", DType.BF16, false)));
        faults.add(new Fault(
                "layer_norm_fwd_bf16",
                "add\\.u64 %x, %x, 256;",
                "add.u64 %x, %x, 512;",
                reference("layerNorm", DType.BF16, true)));
        faults.add(new Fault(
                "layer_norm_bwd_f16_affine",
                "shr\\.u64 %bytes, %offset, 1",
                "mov.b64 %bytes, %offset",
                reference("layerNorm", DType.F16, false)));
        faults.add(new Fault(
                "prepend_token_fwd_bf16", "@%isToken ld", "@%isX ld", reference("prependToken", DType.BF16, false)));
        faults.add(new Fault(
                "patchify_fwd_bf16_f32",
                "shl\\.b64 %from, %from, 2",
                "shl.b64 %from, %from, 1",
                reference("patchify", DType.BF16, false)));
        Check cast = Check.of((device, kernels) -> {
            try (PtxOps ops = new PtxOps("sim", device, kernels, Precision.BF16);
                    Tensor x = Tensor.of(device, DType.F32, Shape.of(2), 1.0, 1.01171875);
                    Tensor y = ops.tensor(x.shape(), 0, 0)) {
                ops.pointwise().cast(x.rows(1, 2), y.rows(1, 2));
                assertTrue(y.toDoubles()[1] == 1.015625);
            }
        });
        faults.add(new Fault("cast_f32_bf16", "cvt\\.rn\\.bf16\\.f32 %one", "cvt.rz.bf16.f32 %one", cast));
    }

    private static SimDevice device() {
        return SimDevice.open(SimOptions.defaults().withInstructionLimit(20_000_000));
    }

    @ParameterizedTest
    @SampledSource(value = "faults", every = 6)
    void mutation_isDetected(Fault fault) {
        fault.assertNoticedBy(() -> fault.noticedBy.run(fault::kernels));
    }

    /** Returns one fault of each check; several share one. */
    static Stream<Fault> checks() {
        Map<Check, Fault> first = new LinkedHashMap<>();
        faults().forEach(fault -> first.putIfAbsent(fault.noticedBy, fault));
        return first.values().stream();
    }

    /** The checks pass without mutations, within the same instruction limit. */
    @ParameterizedTest
    @SampledSource(value = "checks", every = 6)
    void unmodifiedKernels_pass(Fault of) {
        of.noticedBy.run(Kernels::new);
    }
}
