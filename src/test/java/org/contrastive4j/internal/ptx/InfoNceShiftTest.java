package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.support.SampledSource;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;

/**
 * Exponentials with one constant shift where the data allow it, and with a shift for each row and column otherwise:
 * both are right, they agree, and the device chooses correctly. The power of two in a 16-bit G neither overflows nor
 * loses small gradients.
 */
class InfoNceShiftTest {
    private static final double LOG2_E = 1.4426950408889634;

    /** Constants of the kernels with which one shift never suffices; in sm_90a kernels some sum always underflows. */
    private static final UnaryOperator<String> ALWAYS_TWO =
            text -> text.replace("%maxMagnitude, 0f42B40000", "%maxMagnitude, 0fBF800000")
                    .replace("%w, 0f43000000", "%w, 0fFF800000")
                    .replace("@%lost red.global.or.b32", "red.global.or.b32");

    private static void on(UnaryOperator<String> change, BiConsumer<PtxDevice, Kernels> test) {
        try (PtxDevice device = SimDevice.open(SimOptions.defaults())) {
            test.accept(device, new Kernels(device, name -> change.apply(Kernels.text(name))));
        }
    }

    private static InfoNceCase.Answer check(PtxDevice device, Kernels kernels, InfoNceKernelSet set, InfoNceCase c) {
        InfoNceCase.Answer answer = c.ask(device, set.open(kernels, 1));
        c.compare(device, kernels, set, answer);
        return answer;
    }

    /**
     * Problems on both sides of both limits, and the smallest ones; new ones each time, because rounding changes
     * them.
     */
    private static List<InfoNceCase> cases() {
        InfoNceCase zeros = new InfoNceCase(34, 34, 6, true, 5);
        Arrays.fill(zeros.x, 6, 18, 0);
        Arrays.fill(zeros.y, 0, 12, 0);
        return List.of(
                new InfoNceCase(1, 1, 1, true, 1),
                new InfoNceCase(1, 9, 4, false, 2),
                new InfoNceCase(66, 35, 1, false, 3),
                zeros,
                InfoNceCase.opposites(5, 66, 8, 89.9 / LOG2_E),
                InfoNceCase.opposites(5, 66, 8, 90.1 / LOG2_E),
                InfoNceCase.opposites(5, 66, 8, 63.9 / LOG2_E),
                InfoNceCase.opposites(5, 66, 8, 64.1 / LOG2_E),
                InfoNceCase.opposites(40, 40, 3, 100),
                InfoNceCase.opposites(66, 1, 3, 100));
    }

    @ParameterizedTest
    @SampledSource(every = 6)
    void bothShifts_agreeWithDefinition(InfoNceKernelSet set) {
        on(
                text -> text,
                (device, kernels) -> on(ALWAYS_TWO, (other, changed) -> {
                    List<InfoNceCase> ones = cases();
                    List<InfoNceCase> twos = cases();
                    for (int i = 0; i < ones.size(); i++) {
                        InfoNceCase.Answer one = check(device, kernels, set, ones.get(i));
                        InfoNceCase.Answer two = check(other, changed, set, twos.get(i));
                        double scale = Math.exp(ones.get(i).logScale);
                        double relative = 2 * set.roundOff() + 4e-7 * Math.max(1, scale / 4);
                        assertEquals(
                                two.loss(),
                                one.loss(),
                                4e-7 * Math.max(1, scale) * Math.max(1, two.loss()),
                                ones.get(i) + " loss");
                        near(two.dx(), one.dx(), relative, scale / ones.get(i).n, ones.get(i) + " dx");
                        near(two.dy(), one.dy(), relative, scale / ones.get(i).n, ones.get(i) + " dy");
                    }
                }));
    }

    private static void near(float[] want, float[] got, double relative, double term, String what) {
        double largest = term;
        for (float value : want) {
            largest = Math.max(largest, Math.abs(value));
        }
        for (int i = 0; i < want.length; i++) {
            assertEquals(want[i], got[i], relative * largest, what + "[" + i + "]");
        }
    }

    /** The second shift is used exactly above the documented limits. */
    @Test
    void secondShift_usedAboveDocumentedLimits() {
        try (SimDevice device =
                SimDevice.open(SimOptions.defaults().withoutChecks().withCounts())) {
            PortableInfoNce pairwise = new PortableInfoNce(device);
            long[] counts = new long[3];
            double[] scales = {63.9 / LOG2_E, 64.1 / LOG2_E, 90.1 / LOG2_E}; // log-sums of rows are twice that apart
            for (int i = 0; i < 3; i++) {
                InfoNceCase c = InfoNceCase.opposites(64, 64, 4, scales[i]);
                device.counts().reset();
                c.ask(device, pairwise);
                counts[i] = device.counts().total().executions();
            }
            assertTrue(counts[1] > counts[0] + 1000, "backward: " + Arrays.toString(counts));
            assertTrue(counts[2] > counts[1] + 1000, "forward: " + Arrays.toString(counts));
        }
    }

    /**
     * A batch with a loss of 1e-3: G of the negatives is at most 1e-5. Unit vectors are exact, so that gradients are
     * as accurate as G.
     */
    static Stream<InfoNceKernelSet> rounding() {
        return Stream.of(InfoNceKernelSet.values()).filter(set -> set != InfoNceKernelSet.F32);
    }

    @ParameterizedTest
    @SampledSource(value = "rounding", every = 5)
    void smallGradients_areNotLost(InfoNceKernelSet set) {
        smallGradients(set, text -> text);
    }

    /** Tensor cores truncate operands that were not rounded: twice the error. */
    @Test
    void truncatedTf32_isDetected() {
        assertThrows(
                AssertionError.class,
                () -> smallGradients(
                        InfoNceKernelSet.TF32,
                        text -> text.contains("pairwise_bwd_tf32")
                                ? text.replace("cvt.rna.tf32.f32", "mov.b32")
                                : text));
    }

    private static void smallGradients(InfoNceKernelSet set, UnaryOperator<String> change) {
        on(change, (device, kernels) -> {
            for (double scale : new double[] {9, 14, 20}) {
                InfoNceCase c = new InfoNceCase(20, 20, 40, true, 5);
                Arrays.fill(c.x, 0);
                for (int i = 0; i < 20; i++) {
                    c.x[i * 40 + i] = 1;
                }
                System.arraycopy(c.x, 0, c.y, 0, c.x.length);
                c.logScale = (float) Math.log(scale);
                InfoNceCase.Answer answer = check(device, kernels, set, c);
                double[] truth = c.truth().dx;
                for (int i = 0; i < 800; i++) {
                    double most = 1.07 * set.roundOff() * Math.abs(truth[i]);
                    assertEquals(
                            truth[i], answer.dx()[i], most + 0x1p-39 * scale / 20, "scale " + scale + " dx[" + i + "]");
                }
            }
        });
    }

    /** 150 rows of one column: n G up to 75; weights of 2 and 1e-30 do not change the scaling of G. */
    @ParameterizedTest
    @SampledSource(
            every = 2,
            csv = {"F16", "HOPPER_F16"})
    void manyRowsOfOneColumn_agreesWithDefinition(InfoNceKernelSet set) {
        on(text -> text, (device, kernels) -> {
            for (double weight : new double[] {0.5, 2, 1e-30}) {
                for (int m : new int[] {1, 3}) {
                    InfoNceCase c = new InfoNceCase(150, m, 5, false, 6);
                    Arrays.fill(c.targets, m / 2);
                    c.rowWeight = weight;
                    c.columnWeight = weight;
                    c.gradientScale = 1 / weight;
                    InfoNceCase.Answer answer = check(device, kernels, set, c);
                    for (float value : answer.dy()) {
                        assertTrue(Float.isFinite(value));
                    }
                }
            }
        });
    }
}
