package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.ptx.KernelMutation.Change;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.Precision;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;

/**
 * Mutation tests of the portable kernels of normalisation and InfoNCE: every injected fault is detected, by a wrong
 * number or by a checker of the simulator.
 */
class InfoNceMutationTest {
    static List<Change> changes() {
        String barrier = "bar.sync 0;";
        return List.of(
                new Change("normalize_fwd", "%done, %row, %rows", 0, "%done, %rows, %row"),
                new Change("normalize_fwd", "%other, %sum, 16", 0, "%other, %sum, 8"),
                new Change("normalize_fwd", "setp.le.s32 %done, %rest, 0", 0, "setp.lt.s32 %done, %rest, 0"),
                new Change("normalize_fwd", "max.s32 %power, %power, 0x00800000;", 0, ""),
                new Change(
                        "normalize_fwd_bf16",
                        "cvt.rn.bf16x2.f32 %word0, %v1, %v0",
                        0,
                        "cvt.rn.bf16x2.f32 %word0, %v0, %v1"),
                new Change("normalize_fwd_bf16", "setp.lt.s32 %pads", 0, "setp.gt.s32 %pads"),
                new Change("normalize_fwd_f16", "add.u64 %y, %y, 64", 3, "add.u64 %y, %y, 128"),
                new Change(
                        "cast_rows_f32_bf16",
                        "cvt.rn.bf16x2.f32 %word1, %v3, %v2",
                        0,
                        "cvt.rn.bf16x2.f32 %word1, %v2, %v3"),
                new Change("cast_rows_f32_bf16", "setp.ge.u32 %done, %row, %rows", 0, "setp.gt.u32 %done, %row, %rows"),
                new Change("cast_rows_f32_f16", "setp.gt.s32 %inside, %left, 3", 0, "setp.ge.s32 %inside, %left, 3"),
                new Change(
                        "cast_rows_f32_f16", "setp.ge.and.s32 %whole, %left, 8", 0, "setp.ge.and.s32 %whole, %left, 4"),
                new Change("pairwise_fwd_bf16", barrier, 0, ""),
                new Change("pairwise_fwd_bf16", "cp.async.wait_group 1", 0, "cp.async.wait_group 2"),
                new Change("pairwise_fwd_bf16", "xor.b32 %yAt32, %yAt32, 32", 0, "add.u32 %yAt32, %yAt32, 32"),
                new Change(
                        "pairwise_fwd_bf16",
                        "setp.lt.and.s32 %writes, %column0, %m",
                        0,
                        "setp.le.and.s32 %writes, %column0, %m"),
                new Change("pairwise_fwd_f16", "{%a1_0, %a1_1,", 1, "{%a1_1, %a1_0,"),
                new Change("pairwise_fwd_f16", "%maxMagnitude, 0f42B40000", 0, "%maxMagnitude, 0f44B40000"),
                new Change("pairwise_fwd_bf16", "setp.gt.or.s32 %edge, %at, %m, %edge;", 0, ""),
                new Change("pairwise_fwd_f16", "setp.gt.s32 %inside, %yLeft, 0", 0, "setp.ge.s32 %inside, %yLeft, 0"),
                new Change(
                        "pairwise_fwd_f16",
                        "setp.eq.s32 %wraps, %stage, 49152",
                        0,
                        "setp.eq.s32 %wraps, %stage, 32768"),
                new Change("pairwise_bwd_bf16", barrier, 0, ""),
                new Change(
                        "pairwise_bwd_bf16",
                        "cvt.rn.bf16x2.f32 %word0, %g11, %g10",
                        0,
                        "cvt.rn.bf16x2.f32 %word0, %g10, %g11"),
                new Change(
                        "pairwise_bwd_bf16",
                        "setp.lt.and.s32 %writes, %column0, %m",
                        0,
                        "setp.le.and.s32 %writes, %column0, %m"),
                new Change("pairwise_bwd_f16", "setp.lt.u32 %hit, %target, 64", 3, "setp.lt.u32 %hit, %target, 1"),
                new Change("pairwise_bwd_f16", "[%scalars + 16]", 0, "[%scalars + 20]"),
                new Change("pairwise_bwd_f16", "mov.f32 %weight9, %invalid", 0, "mov.f32 %weight9, 0f00000000"),
                new Change("pairwise_bwd_f16", "%power, %logit, %rowLse", 3, "%power, %logit, %lse"),
                new Change("pairwise_dx_f16", "[%scalars + 20]", 0, "[%scalars + 4]"),
                new Change("pairwise_dx_f16", "cp.async.wait_group 1", 0, "cp.async.wait_group 2"),
                new Change("pairwise_dy_f16", "setp.ne.s32 %adds", 0, "setp.eq.s32 %adds"),
                new Change("pairwise_dy_f16", "xor.b32 %to, %xAt32, 32", 0, "xor.b32 %to, %xAt32, 64"),
                new Change("pairwise_dx_bf16", barrier, 0, ""),
                new Change("pairwise_dx_bf16", "setp.gt.s32 %inside, %yLeft, 0", 2, "setp.ge.s32 %inside, %yLeft, 0"),
                new Change("pairwise_dx_bf16", "xor.b32 %xAt32, %xAt32, 32", 0, "add.u32 %xAt32, %xAt32, 32"),
                new Change("pairwise_dy_bf16", "cp.async.wait_group 1", 0, "cp.async.wait_group 2"),
                new Change("pairwise_dy_bf16", "x4.trans.shared.b16 {%a2_0", 1, "x4.shared.b16 {%a2_0"),
                new Change("pairwise_dy_bf16", "setp.ne.s32 %adds", 0, "setp.eq.s32 %adds"),
                new Change("normalize_fwd_tf32", "cvt.rna.tf32.f32 %word2, %v2", 0, "mov.b32 %word2, %v2"),
                new Change("normalize_fwd_tf32", "add.u64 %y, %y, 128", 3, "add.u64 %y, %y, 64"),
                new Change("normalize_fwd_tf32", "setp.lt.s32 %pads", 0, "setp.gt.s32 %pads"),
                new Change(
                        "cast_rows_f32_tf32",
                        "st.global.v4.b32 [%y + 16], {%word4",
                        0,
                        "st.global.v4.b32 [%y + 16], {%word0"),
                new Change("cast_rows_f32_tf32", "cvt.rna.tf32.f32 %word5", 0, "cvt.rz.tf32.f32 %word5"),
                new Change("pairwise_fwd_tf32", barrier, 0, ""),
                new Change("pairwise_fwd_tf32", "cp.async.wait_group 1", 0, "cp.async.wait_group 2"),
                new Change("pairwise_fwd_tf32", "sub.s32 %k, %k, 16", 0, "sub.s32 %k, %k, 32"),
                new Change("pairwise_fwd_tf32", "sub.s32 %kLeft, %kLeft, 16", 1, "sub.s32 %kLeft, %kLeft, 32"),
                new Change("pairwise_fwd_tf32", "{%a2_0, %a2_1,", 1, "{%a2_1, %a2_0,"),
                new Change(
                        "pairwise_fwd_tf32", "setp.gt.s32 %inside, %xLeft, 96", 0, "setp.ge.s32 %inside, %xLeft, 96"),
                new Change("pairwise_bwd_tf32", barrier, 0, ""),
                new Change("pairwise_bwd_tf32", "cvt.rna.tf32.f32 %word1, %g11", 0, "cvt.rna.tf32.f32 %word1, %g10"),
                new Change("pairwise_bwd_tf32", "st.global.v2.b32 [%gAt + 160]", 0, "st.global.v2.b32 [%gAt + 80]"),
                new Change(
                        "pairwise_bwd_tf32",
                        "setp.lt.and.s32 %writes, %column0, %m",
                        0,
                        "setp.le.and.s32 %writes, %column0, %m"),
                new Change("pairwise_dx_tf32", barrier, 0, ""),
                new Change("pairwise_dx_tf32", "ld.shared.b32 %b3, [%to + 2048]", 0, "ld.shared.b32 %b3, [%to + 4096]"),
                new Change("pairwise_dx_tf32", "xor.b32 %to, %yAt32, 96", 0, "add.u32 %to, %yAt32, 96"),
                new Change("pairwise_dx_tf32", "setp.gt.s32 %inside, %yLeft, 4", 2, "setp.gt.s32 %inside, %yLeft, 8"),
                new Change("pairwise_dx_tf32", "cp.async.wait_group 1", 0, "cp.async.wait_group 2"),
                new Change("pairwise_dy_tf32", barrier, 0, ""),
                new Change("pairwise_dy_tf32", "ld.shared.b32 %a3_1, [%to + 128]", 1, "ld.shared.b32 %a3_1, [%to]"),
                new Change("pairwise_dy_tf32", "shl.b32 %offset, %kLine, 1", 0, "shl.b32 %offset, %kLine, 2"),
                new Change("pairwise_dy_tf32", "setp.ne.s32 %adds", 0, "setp.eq.s32 %adds"),
                new Change("normalize_bwd", "setp.ge.s32 %done, %row", 0, "setp.gt.s32 %done, %row"),
                new Change("normalize_bwd", "neg.f32 %minusDot, %dot", 0, "mov.f32 %minusDot, %dot"),
                new Change("normalize_bwd", "%rest, %rest, 128", 1, "%rest, %rest, 127"),
                new Change("pairwise_begin", "setp.lt.s32 %inside", 0, "setp.le.s32 %inside"),
                new Change("pairwise_begin", "add.s32 %k, %k, 1023", 0, "add.s32 %k, %k, 1022"),
                new Change("pairwise_begin", "0d3FE62E42FEE00000", 0, "0d3FE62E4200000000"),
                new Change("pairwise_fwd", barrier, 0, ""),
                new Change("pairwise_fwd", barrier, 1, ""),
                new Change("pairwise_fwd", "cp.async.wait_group 0", 0, "cp.async.wait_group 1"),
                new Change("pairwise_fwd", "%hit, %columnsLeft, 32", 0, "%hit, %columnsLeft, 31"),
                new Change("pairwise_fwd", "setp.gt.s32 %inside, %yLeft, 32", 0, "setp.ge.s32 %inside, %yLeft, 32"),
                new Change("pairwise_fwd", "%c3_2, %a3_1, %b1", 1, "%c3_2, %a3_1, %b2"),
                new Change(
                        "pairwise_fwd",
                        "setp.lt.and.s32 %hit, %otherAt, %at",
                        0,
                        "setp.gt.and.s32 %hit, %otherAt, %at"),
                new Change("pairwise_fwd", "%c0_7, %c0_7, %lowest", 0, "%c0_7, %c0_7, %c0_7"),
                new Change("pairwise_fwd", "setp.lt.u32 %hit, %target, 64", 2, "setp.lt.u32 %hit, %target, 1"),
                new Change("pairwise_fwd", "%maxMagnitude, 0f42B40000", 0, "%maxMagnitude, 0f44B40000"),
                new Change("pairwise_fwd", "mul.f32 %sum, %sum, %power;", 9, ""),
                new Change("pairwise_fwd", "@%ofColumn st.shared.v2.f32", 11, "@%writes st.shared.v2.f32"),
                new Change("pairwise_merge_rows", "setp.gt.f32 %larger", 0, "setp.ge.f32 %larger"),
                new Change("pairwise_merge_rows", "setp.gt.s32 %more, %tiles, 0", 0, "setp.gt.s32 %more, %tiles, 1"),
                new Change("pairwise_merge_columns", "setp.ge.s32 %outside", 0, "setp.gt.s32 %outside"),
                new Change(
                        "pairwise_merge_columns",
                        "fma.rn.f32 %sum, %otherSum, %otherLargest",
                        0,
                        "fma.rn.f32 %sum, %otherSum, %largest"),
                new Change("pairwise_columns", "setp.lt.s32 %more, %row, %n", 0, "setp.le.s32 %more, %row, %n"),
                new Change("pairwise_columns", "sub.f32 %z, %z, %logSum", 0, "add.f32 %z, %z, %logSum"),
                new Change("pairwise_columns", "@%larger mov.b32 %ties, 1;", 0, ""),
                new Change("pairwise_loss", barrier, 0, ""),
                new Change("pairwise_loss", "mov.b32 %half, 128", 0, "mov.b32 %half, 32"),
                new Change("pairwise_loss", "selp.f32 %z, %z, %all", 0, "selp.f32 %z, %all, %z"),
                new Change("pairwise_loss", "%w, 0f43000000", 0, "%w, 0f44800000"),
                new Change("pairwise_loss", "min.f32 %least, %least, %rowSum;", 0, ""),
                new Change("pairwise_loss", "sub.s32 %exponent, 269", 0, "sub.s32 %exponent, 273"),
                new Change("pairwise_loss", "sub.s32 %exponent, 269", 0, "sub.s32 %exponent, 245"),
                new Change("pairwise_loss", "max.f32 %mostRows, %mostRows, %count;", 0, ""),
                new Change("pairwise_bwd", barrier, 0, ""),
                new Change("pairwise_bwd", barrier, 1, ""),
                new Change("pairwise_bwd", "%power, %logit, %rowLse", 3, "%power, %logit, %lse"),
                new Change("pairwise_bwd", "%inside, %columnsLeft, 32", 0, "%inside, %columnsLeft, 33"),
                new Change("pairwise_bwd", "max.NaN.f32 %g3, %g3, 0f00000000;", 0, ""),
                new Change("pairwise_bwd", "selp.f32 %ofRow, %ofRow, %invalid, %inside;", 4, ""),
                new Change("pairwise_bwd", "xFrom, %xFrom, 64", 0, "xFrom, %xFrom, 60"),
                new Change("pairwise_scalars", barrier, 0, ""),
                new Change("pairwise_scalars", "cvt.f64.f32 %widened, %product", 0, "cvt.f64.f32 %widened, %gradient"),
                new Change("pairwise_scalars", "[%scalars + 8]", 0, "[%scalars + 12]"),
                new Change("pairwise_dx", barrier, 0, ""),
                new Change("pairwise_dx", "setp.gt.s32 %inside, %kLine, 4", 3, "setp.ge.s32 %inside, %kLine, 4"),
                new Change(
                        "pairwise_dx", "setp.gt.s32 %inside, %rowsLeft, 32", 0, "setp.ge.s32 %inside, %rowsLeft, 32"),
                new Change("pairwise_dx", "%left, %left, 16", 2, "%left, %left, 32"),
                new Change("pairwise_dy", barrier, 0, ""),
                new Change("pairwise_dy", "setp.ne.s32 %adds", 0, "setp.eq.s32 %adds"),
                new Change("pairwise_dy", "[%left + 128]", 0, "[%left + 112]"),
                new Change(
                        "pairwise_dy", "setp.gt.s32 %inside, %rowsLeft, 33", 0, "setp.gt.s32 %inside, %rowsLeft, 32"));
    }

    private static void run(Change change) {
        try (PtxDevice device = SimDevice.open(SimOptions.defaults())) {
            Kernels kernels = change == null ? new Kernels(device) : change.kernels(device);
            String changed = change == null ? "" : change.kernel();
            boolean rounds = changed.matches(".*(16|tf32)");
            for (Precision precision : InfoNceCase.ROUNDED) {
                if (changed.isEmpty() || changed.endsWith("_" + precision) || changed.equals("pairwise_loss")) {
                    rounded(device, kernels, precision);
                }
            }
            if (changed.isEmpty() || changed.startsWith("normalize") && !rounds) {
                normalize(device, kernels);
            }
            if (changed.isEmpty() || changed.startsWith("pairwise") && !rounds) {
                pairwise(device, kernels);
            }
        }
    }

    private static void normalize(PtxDevice device, Kernels kernels) {
        PtxNormalize normalize = new PtxNormalize(kernels);
        for (int d : new int[] {33, 128}) {
            PtxNormalizeTest.checkForward(device, normalize, 5, d, 0, false);
            PtxNormalizeTest.checkBackward(device, normalize, 5, d, false, true);
        }
        PtxNormalizeTest.checkExtremes(device, normalize);
    }

    private static void pairwise(PtxDevice device, Kernels kernels) {
        PortableInfoNce pairwise = new PortableInfoNce(kernels, Precision.F32, 1);
        new InfoNceCase(97, 33, 33, false, 4).check(device, pairwise); // several stripes, narrow rows
        new InfoNceCase(97, 97, 36, true, 5).check(device, pairwise); // several column tiles, a whole one, wide rows
        new InfoNceCase(35, 70, 1, false, 6).check(device, pairwise); // many equal logits
        new InfoNceCase(33, 33, 3, true, 7).checkGaps(device, pairwise, 1);
        InfoNceCase.opposites(35, 70, 3, 100).check(device, pairwise); // one constant shift is not sufficient
    }

    private static void rounded(PtxDevice device, Kernels kernels, Precision precision) {
        PtxNormalize normalize = new PtxNormalize(kernels);
        PortableInfoNce pairwise = new PortableInfoNce(kernels, precision, 1);
        new InfoNceCase(65, 129, 100, false, 4).checkValue(device, pairwise, normalize, precision);
        new InfoNceCase(97, 64, 33, false, 4).checkValue(device, pairwise, normalize, precision);
        InfoNceCase.opposites(35, 70, 3, 100).checkValue(device, pairwise, normalize, precision);
        RoundingInfoNce rounded = new RoundingInfoNce(kernels, precision, 1);
        InfoNceKernelSet set = InfoNceKernelSet.valueOf(precision.name());
        for (InfoNceCase c : List.of(new InfoNceCase(33, 67, 19, false, 6), new InfoNceCase(20, 33, 36, true, 7))) {
            c.compare(device, kernels, set, c.ask(device, rounded));
        }
        new InfoNceCase(70, 2, 5, false, 5).checkValue(device, pairwise, normalize, precision); // many rows of a column
    }

    @Test
    void unmodifiedKernels_pass() {
        run(null);
    }

    @ParameterizedTest
    @SampledSource(value = "changes", every = 24)
    void mutation_isDetected(Change change) {
        change.assertNoticedBy(() -> run(change));
    }

    /**
     * Returns the file of a kernel and its macros, bf16 and f16 taken as one type: instances of one body have the
     * same.
     */
    static String body(String kernel) {
        KernelFiles.Located located = KernelFiles.find(kernel);
        Map<String, String> macros = new TreeMap<>(located.instance().macros());
        macros.remove("NAME");
        macros.replaceAll((name, value) -> value.replaceAll("^(bf16|f16)$", "f32"));
        return located.path() + macros;
    }

    /** Each body has a mutation in at least one of its types. */
    @Test
    void everyKernelBody_hasMutation() {
        TreeSet<String> changed = Stream.of(
                        changes(), OpsMutationTest.changes(), PairTileMutationTest.changes(), RawRowsTest.changes())
                .flatMap(List::stream)
                .map(Change::name)
                .collect(Collectors.toCollection(TreeSet::new));
        GemmMutationTest.faults().forEach(fault -> changed.add(fault.name()));
        SixteenBitMutationTest.faults().forEach(fault -> changed.add(fault.name()));
        Set<String> bodies = changed.stream().map(InfoNceMutationTest::body).collect(Collectors.toSet());
        assertEquals(
                List.of(),
                KernelsTest.names().stream()
                        .filter(name -> !bodies.contains(body(name)))
                        .toList());
        assertTrue(KernelsTest.names().containsAll(changed), changed.toString());
    }
}
