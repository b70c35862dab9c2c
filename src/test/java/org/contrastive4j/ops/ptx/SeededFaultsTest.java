package org.contrastive4j.ops.ptx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.sim.SimDevice;
import org.contrastive4j.device.sim.SimOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The tests would notice: each kernel with a small fault put into its text fails, by a wrong number or by a check of the simulator. */
class SeededFaultsTest {
    /**
     * One fault: in the text of the kernel, the occurrence (from 0) of {@code from} becomes {@code to}.
     *
     * @param kernel without the dtype; a variant after a bar
     */
    record Change(String kernel, String from, int occurrence, String to) {
        String name() {
            String[] parts = kernel.split("\\|");
            return parts[0] + "_f32" + (parts.length > 1 ? "_" + parts[1] : "");
        }

        String apply(String text) {
            int at = -1;
            for (int i = 0; i <= occurrence; i++) {
                at = text.indexOf(from, at + 1);
                if (at < 0) {
                    throw new IllegalArgumentException(this + ": the text has only " + i + " of it");
                }
            }
            return text.substring(0, at) + to + text.substring(at + from.length());
        }
    }

    static List<Change> changes() {
        String barrier = "bar.sync 0;";
        return List.of(
                new Change("normalize_fwd", "%done, %row, %rows", 0, "%done, %rows, %row"),
                new Change("normalize_fwd", "%other, %sum, 16", 0, "%other, %sum, 8"),
                new Change("normalize_fwd", "setp.le.s32 %done, %rest, 0", 0, "setp.lt.s32 %done, %rest, 0"),
                new Change("normalize_fwd", "max.s32 %power, %power, 0x00800000;", 0, ""),
                new Change("normalize_bwd", "setp.ge.s32 %done, %row", 0, "setp.gt.s32 %done, %row"),
                new Change("normalize_bwd", "neg.f32 %minusDot, %dot", 0, "mov.f32 %minusDot, %dot"),
                new Change("normalize_bwd", "%rest, %rest, 128", 1, "%rest, %rest, 127"),
                new Change("pairwise_begin", "setp.lt.s32 %inside", 0, "setp.le.s32 %inside"),
                new Change("pairwise_begin", "add.s32 %k, %k, 1023", 0, "add.s32 %k, %k, 1022"),
                new Change("pairwise_begin", "0d3FE62E42FEE00000", 0, "0d3FE62E4200000000"),
                new Change("pairwise_fwd", barrier, 0, ""),
                new Change("pairwise_fwd", barrier, 1, ""),
                new Change("pairwise_fwd", "cp.async.wait_group 0", 0, "cp.async.wait_group 1"),
                new Change("pairwise_fwd", "%in4, %columnsLeft, 32", 0, "%in4, %columnsLeft, 31"),
                new Change("pairwise_fwd", "setp.gt.s32 %inside, %yLeft, 32", 0, "setp.ge.s32 %inside, %yLeft, 32"),
                new Change("pairwise_fwd", "%c3_2, %a3_1, %b1", 1, "%c3_2, %a3_1, %b2"),
                new Change("pairwise_fwd", "setp.lt.and.s32 %hit, %otherAt, %at", 0, "setp.gt.and.s32 %hit, %otherAt, %at"),
                new Change("pairwise_fwd", "%c0_7, %lowest", 0, "%c0_7, %c0_7"),
                new Change("pairwise_merge_rows", "setp.gt.f32 %larger", 0, "setp.ge.f32 %larger"),
                new Change("pairwise_merge_rows", "setp.gt.s32 %more, %tiles, 0", 0, "setp.gt.s32 %more, %tiles, 1"),
                new Change("pairwise_merge_columns", "setp.ge.s32 %outside", 0, "setp.gt.s32 %outside"),
                new Change("pairwise_merge_columns", "fma.rn.f32 %sum, %otherSum, %otherLargest", 0, "fma.rn.f32 %sum, %otherSum, %largest"),
                new Change("pairwise_columns", "setp.lt.s32 %more, %row, %n", 0, "setp.le.s32 %more, %row, %n"),
                new Change("pairwise_columns", "sub.f32 %z, %z, %logSum", 0, "add.f32 %z, %z, %logSum"),
                new Change("pairwise_columns", "@%larger mov.b32 %ties, 1;", 0, ""),
                new Change("pairwise_loss", barrier, 0, ""),
                new Change("pairwise_loss", "mov.b32 %half, 128", 0, "mov.b32 %half, 32"),
                new Change("pairwise_loss", "selp.f32 %z, %z, %all", 0, "selp.f32 %z, %all, %z"),
                new Change("pairwise_bwd", barrier, 0, ""),
                new Change("pairwise_bwd", barrier, 1, ""),
                new Change("pairwise_bwd", "%power, %logit, %rowLse", 3, "%power, %logit, %lse3"),
                new Change("pairwise_bwd", "%in4, %columnsLeft, 32", 0, "%in4, %columnsLeft, 33"),
                new Change("pairwise_bwd", "xFrom, %xFrom, 64", 0, "xFrom, %xFrom, 60"),
                new Change("pairwise_scalars", barrier, 0, ""),
                new Change("pairwise_scalars", "cvt.f64.f32 %wide, %product", 0, "cvt.f64.f32 %wide, %gradient"),
                new Change("pairwise_scalars", "[%numbers + 8]", 0, "[%numbers + 12]"),
                new Change("pairwise_dx", barrier, 0, ""),
                new Change("pairwise_dx", "setp.gt.s32 %inside, %kLine, 4", 3, "setp.ge.s32 %inside, %kLine, 4"),
                new Change("pairwise_dx", "setp.gt.s32 %inside, %rowsLeft, 32", 0, "setp.ge.s32 %inside, %rowsLeft, 32"),
                new Change("pairwise_dx", "%left, %left, 16", 2, "%left, %left, 32"),
                new Change("pairwise_dy", barrier, 0, ""),
                new Change("pairwise_dy", "setp.ne.s32 %adds", 0, "setp.eq.s32 %adds"),
                new Change("pairwise_dy", "[%left + 128]", 0, "[%left + 112]"),
                new Change("pairwise_dy", "setp.gt.s32 %inside, %rowsLeft, 33", 0, "setp.gt.s32 %inside, %rowsLeft, 32"));
    }

    private static void run(Change change) {
        try (PtxDevice device = SimDevice.open(SimOptions.defaults())) {
            Kernels kernels = new Kernels(device, name -> {
                String text = Kernels.text(name);
                return change != null && name.equals(change.name()) ? change.apply(text) : text;
            });
            if (change == null || change.kernel.startsWith("normalize")) {
                PtxNormalize normalize = new PtxNormalize(kernels);
                for (int d : new int[] {33, 128}) {
                    PtxNormalizeTest.checkForward(device, normalize, 5, d, 0, false);
                    PtxNormalizeTest.checkBackward(device, normalize, 5, d, false, true);
                }
                PtxNormalizeTest.checkExtremes(device, normalize);
            }
            if (change == null || change.kernel.startsWith("pairwise")) {
                PtxPairwise pairwise = new PtxPairwise(kernels, 1);
                new PairwiseCase(97, 33, 33, false, 4).check(device, pairwise); // several stripes, narrow rows
                new PairwiseCase(33, 97, 36, true, 5).check(device, pairwise); // several column tiles, wide rows
                new PairwiseCase(35, 70, 1, false, 6).check(device, pairwise); // many equal logits
                new PairwiseCase(33, 33, 3, true, 7).checkGaps(device, pairwise, 1);
            }
        }
    }

    @Test
    void withoutAChangeAllIsRight() {
        run(null);
    }

    @ParameterizedTest
    @MethodSource("changes")
    void aChangeIsNoticed(Change change) {
        assertNotEquals(Kernels.text(change.name()), change.apply(Kernels.text(change.name())));
        assertThrows(Throwable.class, () -> run(change), change.toString());
    }

    @Test
    void everyKernelHasOne() throws IOException {
        TreeSet<String> changed = Stream.of(changes(), OpsFaultsTest.changes()).flatMap(List::stream).map(Change::name).collect(Collectors.toCollection(TreeSet::new));
        assertEquals(new TreeSet<>(KernelsTest.names()), changed);
    }
}
