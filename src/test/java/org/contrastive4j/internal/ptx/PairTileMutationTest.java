package org.contrastive4j.internal.ptx;

import java.util.List;
import org.contrastive4j.internal.ptx.KernelMutation.Change;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.ops.PairTileOps;
import org.contrastive4j.support.PairTileCase;
import org.contrastive4j.support.PairTileCase.Classes;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.Precision;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;

/** Mutation tests of the kernels of the tiled pairwise engine: every injected fault is detected. */
class PairTileMutationTest {
    static List<Change> changes() {
        String barrier = "bar.sync 0;";
        return List.of(
                new Change("pair_reduce", barrier, 0, ""),
                new Change("pair_reduce", barrier, 1, ""),
                new Change("pair_reduce", barrier, 2, ""),
                new Change("pair_reduce", barrier, 3, ""),
                new Change("pair_reduce", barrier, 4, ""),
                new Change("pair_reduce", "cp.async.wait_group 0", 0, "cp.async.wait_group 1"),
                new Change(
                        "pair_reduce",
                        "setp.gt.or.f32 %is, %logit, %columnLimit",
                        0,
                        "setp.lt.or.f32 %is, %logit, %columnLimit"),
                new Change("pair_reduce", "@%is add.s32 %distance, %distance, %cycle;", 0, ""),
                new Change("pair_reduce", "or.pred %isIgnored, %isSame, %is;", 0, "mov.pred %isIgnored, %is;"),
                new Change("pair_reduce", "selp.b32 %ties, 0, %ties, %is;", 0, ""),
                new Change("pair_reduce", "mul.f32 %f, %f, %weight;", 2, ""),
                new Change(
                        "pair_reduce", "selp.b32 %stride, 292, 4, %byColumn", 0, "selp.b32 %stride, 288, 4, %byColumn"),
                new Change("pair_reduce", "add.f32 %small, %ownSmall, %otherSmall;", 6, "mov.f32 %small, %otherSmall;"),
                new Change("pair_merge", "add.f64 %sum, %sum, %widened;", 0, "mov.f64 %sum, %widened;"),
                new Change("pair_merge", "mul.f64 %sum, %sum, %power;", 0, ""),
                new Change("pair_merge", "selp.b32 %base, %first, 0, %byColumn", 0, "mov.b32 %base, 0"),
                new Change("pair_merge", "add.s32 %base, %base, 64", 0, "add.s32 %base, %base, 63"),
                new Change(
                        "pair_merge",
                        "setp.gt.and.s32 %continues, %first, 0",
                        0,
                        "setp.ge.and.s32 %continues, %first, 0"),
                new Change("pair_bwd", barrier, 4, ""),
                new Change("pair_bwd", "and.b32 %some, %bits, 16;", 2, "and.b32 %some, %bits, 32;"),
                new Change("pair_bwd", "shr.u64 %taking, %taking, %row8;", 0, ""),
                new Change("pair_bwd", "mul.f32 %w, %weight, %columnWeight;", 11, "mov.f32 %w, %weight;"),
                new Change("pair_bwd", "add.u32 %get, %get, 2336;", 0, "add.u32 %get, %get, 2340;"),
                new Change("pair_bwd", "fma.rn.f32 %sumOfLogits, %g3, %s3", 0, "fma.rn.f32 %sumOfLogits, %g3, %s2"),
                new Change("pair_histogram", barrier, 4, ""),
                new Change("pair_histogram", barrier, 5, ""),
                new Change("pair_histogram", "cvt.rmi.s32.f64", 0, "cvt.rni.s32.f64"),
                new Change("pair_histogram", "[%offset + 8192], %one", 0, "[%offset], %one"),
                new Change("pair_histogram", "min.s32 %bin, %bin, %most;", 0, ""),
                new Change("pair_begin", "[%scalars + 12], %scale", 0, "[%scalars + 12], %factor"),
                new Change("pair_begin", "mul.f64 %value, %value, %gradientScale;", 0, ""),
                new Change("pair_results_f64", "add.f64 %value, %sum, %tail;", 0, "mov.f64 %value, %tail;"),
                new Change("pair_results_f64", "selp.b32 %count, %count, %n, %byColumn", 0, "mov.b32 %count, %n"),
                new Change("pair_results_f64", "[%out + 8], %tiesWide", 0, "[%out + 8], %firstWide"),
                new Change("scalars_map_f64", "0d3FE5555555555555", 0, "0d3FE5555555555655"),
                new Change("scalars_map_f64", "shr.s32 %exponentK, %halfK, 1;", 0, "mov.b32 %exponentK, 0;"),
                new Change(
                        "scalars_map_f64",
                        "setp.nan.f64 %special, %small, %small",
                        0,
                        "setp.eq.f64 %special, %small, 0d7FF0000000000000"),
                new Change("scalars_map_f64", "mul.f64 %tail, %tail, %sumOfOne;", 0, ""),
                new Change(
                        "scalars_map_f64",
                        "setp.nan.f64 %is, %a, %a",
                        0,
                        "setp.ne.f64 %is, 0d0000000000000000, 0d0000000000000000"),
                new Change(
                        "scalars_map_f64",
                        "setp.gt.f64 %is, %a, 0d0000000000000000",
                        0,
                        "setp.ge.f64 %is, %a, 0d0000000000000000"),
                new Change(
                        "scalars_map_f64", "mad.wide.u32 %from, %i, %step, %at", 1, "mad.wide.u32 %from, %i, 8, %at"),
                new Change("scalars_sum_f64", barrier, 0, ""),
                new Change("scalars_sum_f64", "mov.b32 %half, 128", 0, "mov.b32 %half, 64"),
                new Change("scalars_sum_f64", "mad.wide.u32 %address, %i, %step", 0, "mad.wide.u32 %address, %i, 16"),
                new Change(
                        "scalars_split",
                        "sub.f64 %rounded, %value, %rounded;",
                        0,
                        "mov.f64 %rounded, 0d0000000000000000;"),
                new Change("scalars_split", "testp.infinite.f32 %is, %large", 0, "testp.notanumber.f32 %is, %large"),
                new Change("scalars_read_s32", "cvt.rn.f64.s32 %widened", 0, "cvt.rn.f64.u32 %widened"),
                new Change("scalars_read", "cvt.f64.f32 %widened", 0, "cvt.rn.f64.s32 %widened"),
                new Change("scalars_add", "mul.f64 %addend, %addend, %factor;", 0, ""),
                new Change("scalars_products_f64", "add.s64 %y, %y, 128", 0, "add.s64 %y, %y, 124"),
                new Change("scalars_products_f64", "%high, %high, 2, 31", 0, "%high, %high, 1, 31"));
    }

    /** Runs in stripes of 64 rows, so that results are carried from stripe to stripe. */
    private static void run(Change change) {
        SimDevice device = SimDevice.open(SimOptions.defaults().withInstructionLimit(100_000_000));
        Kernels kernels = change == null ? new Kernels(device) : change.kernels(device);
        try (PtxOps ops = new PtxOps("sim", device, kernels, Precision.F32)) {
            PairTileOps tiles = new PtxPairTileOps(new TensorLauncher(device, kernels), 1);
            if (change == null || change.kernel().equals("pair_histogram")) {
                new PairTileCase(5, 7, 200, Classes.ALL_AT_ONCE).checkHistogram(ops, tiles, 7);
                new PairTileCase(33, 35, 3, Classes.PLAIN).checkHistogram(ops, tiles, 5);
                new PairTileCase(33, 35, 17, Classes.PLAIN).checkHistogram(ops, tiles, 5); // some beyond 1 and -1
            }
            if (change == null || change.kernel().matches("scalars_.*|pair_(begin|results_f64)")) {
                PtxScalarsTest.checkFunctions(ops, tiles);
                PtxScalarsTest.checkOthers(ops, tiles);
                PtxScalarsTest.checkInputs(ops, tiles);
            }
            if (change == null || change.kernel().equals("pair_bwd")) {
                new PairTileCase(5, 7, 3, Classes.PLAIN).checkGradients(ops, tiles);
                new PairTileCase(66, 33, 3, Classes.PLAIN).checkGradients(ops, tiles, 5);
            }
            if (change == null || change.kernel().matches("pair_(reduce|merge)")) {
                new PairTileCase(5, 7, 17, Classes.IDS_IGNORED).checkReductions(ops, tiles);
                new PairTileCase(33, 35, 17, Classes.GUIDE).checkReductions(ops, tiles, 7);
                new PairTileCase(66, 67, 3, Classes.WINDOW).checkReductions(ops, tiles, 3);
                PtxPairTileOpsTest.checkLargeShifts(ops, tiles);
            }
        }
    }

    @Test
    void unmodifiedKernels_pass() {
        run(null);
    }

    @ParameterizedTest
    @SampledSource(value = "changes", every = 4)
    void mutation_isDetected(Change change) {
        change.assertNoticedBy(() -> run(change));
    }
}
