package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertFalse;

import java.util.List;
import java.util.stream.Stream;
import org.contrastive4j.internal.ptx.KernelMutation.Change;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.ops.BackendAgreementTest;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.support.TensorFixture;
import org.contrastive4j.tensor.Precision;
import org.junit.jupiter.params.ParameterizedTest;

/** Mutation tests of the kernels of the operations: every injected fault is detected. */
class OpsMutationTest {
    /**
     * A mutation and the cases that must detect it.
     *
     * @param operation prefix of the names of those cases of {@link BackendAgreementTest}
     */
    private record Fault(Change change, String operation) {}

    private static Fault fault(String operation, String kernel, String from, int occurrence, String to) {
        return new Fault(new Change(kernel, from, occurrence, to), operation);
    }

    static List<Change> changes() {
        return faults().stream().map(Fault::change).toList();
    }

    static List<Fault> faults() {
        return List.of(
                fault("fill", "fill", "setp.le.s64 %done, %left, 0", 0, "setp.lt.s64 %done, %left, 0"),
                fault(
                        "fill",
                        "fill",
                        "setp.ge.and.s64 %isAligned, %left, 4",
                        0,
                        "setp.ge.and.s64 %isAligned, %left, 3"),
                fault("copy add", "add", "add.f32 %v2", 0, "sub.f32 %v2"),
                fault("clamp", "clamp", "max.NaN.f32 %v0, %v0, %least", 0, "max.NaN.f32 %v0, %v0, %most"),
                fault("copy add", "axpy", "%alpha, %v0, %w0", 1, "%alpha, %w0, %v0"),
                fault("copy add", "scale", "selp.b64 %step, 1, 256", 0, "selp.b64 %step, 2, 256"),
                fault("clamp", "clamp", "max.NaN.f32 %v2", 0, "min.NaN.f32 %v2"),
                fault("gelu EXACT", "gelu_fwd", "0f3E027906", 0, "0f3E027F06"),
                fault("gelu EXACT", "gelu_bwd", "fma.rn.f32 %gate, %v0, %slope", 0, "fma.rn.f32 %gate, %g0, %slope"),
                fault("gelu QUICK", "gelu_fwd|quick", "[%y], %v0", 0, "[%y], %gate"),
                fault("gelu QUICK", "gelu_bwd|quick", "sub.f32 %slope, 0f3F800000, %gate", 0, "mov.f32 %slope, %gate"),
                fault("gelu TANH", "gelu_fwd|tanh", "[%y], %v0", 0, "[%y], %gate"),
                fault("gelu TANH", "gelu_bwd|tanh", "0f3E5B33B6", 0, "0f3EDB33B6"),
                fault("dropout 0.5", "dropout", "0xBB67AE85", 3, "0xBB67AE84"),
                fault("dropout 0.5", "dropout", "ld.param.u32 %c2, [LAYER]", 0, "ld.param.u32 %c2, [STEP]"),
                fault("dropout 0.5", "dropout", "setp.gt.u32 %kept, %left, 3", 0, "setp.ge.u32 %kept, %left, 3"),
                fault("layerNorm", "layer_norm_fwd", "%other, %sum, 1, 31", 1, "%other, %sum, 2, 31"),
                fault("layerNorm", "layer_norm_fwd", "add.u64 %b, %b, 512", 2, "add.u64 %b, %b, 128"),
                fault("layerNorm", "layer_norm_bwd", "add.f32 %w0, %w0, %sum", 0, "sub.f32 %w0, %w0, %sum"),
                fault("layerNorm", "layer_norm_bwd", "neg.f32 %width, %width", 0, ""),
                fault("layerNorm", "layer_norm_bwd|affine", "min.s32 %end, %end, %chunk", 0, "mov.b32 %end, %chunk"),
                fault("layerNorm", "layer_norm_bwd|affine", "%beta3, %beta3, %w3", 0, "%beta3, %beta3, %w2"),
                fault("positions", "sum_rows", "setp.ge.s32 %done, %at, %end", 0, "setp.gt.s32 %done, %at, %end"),
                fault("layerNorm", "sum_rows", "setp.ne.s32 %adds", 0, "setp.eq.s32 %adds"),
                fault("adamW", "adamw", "%root, %correction, %epsilon", 2, "%root, %epsilon, %correction"),
                fault("adamW", "adamw", "[%m], {%m0", 0, "[%m], {%m1"),
                fault("reductions", "sum_of_squares", "bar.sync 0;", 0, ""),
                fault("reductions", "sum_of_squares", "mov.b32 %half, 128", 0, "mov.b32 %half, 64"),
                fault("reductions", "sum_of_squares", "%left, %left, %stride", 0, "%left, %left, %step"),
                fault("reductions", "first_non_finite", "min.u64 %bad", 0, "max.u64 %bad"),
                fault("reductions", "first_non_finite", "red.global.min", 0, "red.global.max"),
                fault("embedding", "embedding_fwd", "[%from]", 0, "[%from + 4]"),
                fault("embedding", "embedding_bwd", "sub.s32 %k, %found, 1", 0, "sub.s32 %k, %found, 0"),
                fault("embedding", "embedding_bwd", "setp.eq.s32 %is, %id", 0, "setp.ge.s32 %is, %id"),
                fault("embedding", "embedding_bwd", "bar.sync 0;", 0, ""),
                fault("embedding", "embedding_bwd", "min.s32 %end, %end, %count", 0, ""),
                fault("positions", "add_positions_fwd", "rem.u32", 0, "div.u32"),
                fault("prependToken", "prepend_token_fwd", "sub.s32 %source, %source, 1", 0, ""),
                fault("prependToken", "prepend_token_bwd", "add.s32 %source, %source, 1", 0, ""),
                fault("patchify", "patchify_fwd", "setp.lt.u32 %inside, %element", 0, "setp.le.u32 %inside, %element"),
                fault("patchify", "patchify_fwd", "setp.lt.u32 %inside, %top", 0, "setp.lt.s32 %inside, %top"),
                fault("patchify", "patchify_bwd", "max.s32 %firstColumn, %firstColumn, 0", 0, ""),
                fault("patchify", "patchify_bwd", "%endRow, %endRow, %windowRows", 0, "%endRow, %endRow, %endRow"),
                fault("pools", "mean_pool_fwd", "setp.eq.s32 %none", 0, "setp.lt.s32 %none"),
                fault("pools", "mean_pool_bwd", "setp.lt.s32 %inside", 0, "setp.le.s32 %inside"),
                fault("pools", "select_token_fwd", "@%given", 0, "@!%given"),
                fault("pools", "select_token_bwd", "setp.eq.s32 %inside", 0, "setp.ge.s32 %inside"));
    }

    @ParameterizedTest
    @SampledSource(value = "faults", every = 8)
    void mutation_isDetected(Fault fault) {
        fault.change.assertNoticedBy(() -> run(fault.change, fault.operation));
    }

    static Stream<String> operations() {
        return faults().stream().map(Fault::operation).distinct();
    }

    /** The cases pass without mutations, within the same instruction limit. */
    @ParameterizedTest
    @SampledSource(value = "operations", every = 5)
    void unmodifiedKernels_pass(String operation) {
        run(null, operation);
    }

    private static void run(Change change, String operation) {
        List<BackendAgreementTest.Case> cases = BackendAgreementTest.ofKernels()
                .filter(one -> one.name().startsWith(operation))
                .toList();
        assertFalse(cases.isEmpty(), "no case is of " + operation);
        for (boolean aligned : new boolean[] {false, true}) {
            cases.forEach(one -> run(change, aligned, one));
        }
    }

    private static void run(Change change, boolean aligned, BackendAgreementTest.Case operation) {
        SimDevice device = SimDevice.open(SimOptions.defaults().withInstructionLimit(1_000_000));
        Kernels kernels = change == null ? new Kernels(device) : change.kernels(device);
        PtxOps ops = new PtxOps("sim", device, kernels, Precision.F32);
        try (TensorFixture fixture = new TensorFixture(ops, aligned, BackendAgreementTest.SEED)) {
            BackendAgreementTest.agree(fixture, operation);
        }
    }
}
