package org.contrastive4j.internal.ptx;

import java.util.Locale;
import java.util.Random;
import java.util.function.Consumer;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.ops.BackendAgreementTest;
import org.contrastive4j.support.PairTileCase;
import org.contrastive4j.support.PairTileCase.Classes;
import org.contrastive4j.support.SampledSeeds;
import org.contrastive4j.support.TensorFixture;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Precision;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Operations of random shapes, checked as in their own tests, on the simulator with random schedules. */
@Tag("sampled")
class OpsPropertyTest {
    private static final DType[] SIXTEEN_BITS = {DType.BF16, DType.F16};

    /** Draws problems, a third of them in the default tier; a failure names its seed. */
    private static void each(int problems, Consumer<Random> check) {
        for (int seed : SampledSeeds.of(problems, 3)) {
            try {
                check.accept(new Random(seed));
            } catch (RuntimeException | AssertionError e) {
                throw new AssertionError("seed " + seed + ": " + e.getMessage(), e);
            }
        }
    }

    private static SimDevice device(Random random) {
        return SimDevice.open(SimOptions.defaults().withSeed(random.nextInt(8)));
    }

    private static int size(Random random, int most) {
        return InfoNcePropertyTest.size(random, most);
    }

    private static double beta(Random random) {
        return new double[] {0, 1, -0.5}[random.nextInt(3)];
    }

    /** In f32, and in tf32 with numbers that it represents exactly. */
    @ParameterizedTest
    @EnumSource(names = {"F32", "TF32"})
    void gemm_random(Precision multiply) {
        each(12, random -> {
            boolean transA = random.nextBoolean();
            boolean transB = random.nextBoolean();
            int m = size(random, 130);
            int n = size(random, 130);
            int k = random.nextInt(6) == 0 ? 300 + random.nextInt(400) : size(random, 70); // or in parts of k
            GemmCases.Case c = multiply == Precision.F32
                    ? GemmCases.gemm(transA, transB, m, n, k, beta(random))
                    : GemmCases.whole(transA, transB, m, n, k);
            try (PtxDevice device = device(random)) {
                GemmCases.assertClose(GemmCases.truth(c), GemmCases.on(device, new Kernels(device), multiply, c), 1000);
            }
        });
    }

    /** Each operand and the result has that type or f32, by portable and by sm_90a kernels. */
    @ParameterizedTest
    @EnumSource(names = {"BF16", "F16"})
    void gemm_randomSixteenBits(DType type) {
        each(10, random -> {
            DType[] types = new DType[3];
            for (int i = 0; i < types.length; i++) {
                types[i] = i > 0 && random.nextBoolean() ? DType.F32 : type;
            }
            int[] size = {size(random, 130), size(random, 130), size(random, 70)};
            KernelChoice.Preference preference =
                    random.nextBoolean() ? KernelChoice.Preference.PORTABLE : KernelChoice.Preference.HOPPER;
            try (PtxDevice device = device(random);
                    SixteenBitGemmTest.Bench bench = new SixteenBitGemmTest.Bench(
                            device, new Kernels(device), type, random.nextInt(2), preference)) {
                bench.check(random.nextBoolean(), random.nextBoolean(), size, types, beta(random));
            }
        });
    }

    @Test
    void attention_random() {
        each(6, random -> {
            GemmCases.Case c = GemmCases.attention(
                    size(random, 70), 1 + random.nextInt(3), size(random, 70), random.nextBoolean());
            try (PtxDevice device = device(random)) {
                GemmCases.assertClose(GemmCases.truth(c), GemmCases.on(device, new Kernels(device), c), 1000);
            }
        });
    }

    @ParameterizedTest
    @EnumSource(names = {"BF16", "F16"})
    void attention_randomSixteenBits(DType type) {
        each(6, random -> {
            PtxAttentionOpsTest.Case c = new PtxAttentionOpsTest.Case(
                    size(random, 70),
                    1 + random.nextInt(3),
                    size(random, 70),
                    random.nextBoolean(),
                    random.nextBoolean(),
                    random.nextInt(4));
            try (PtxDevice device = device(random)) {
                PtxAttentionOpsTest.check(device, new Kernels(device), type, c);
            }
        });
    }

    /** Runs a case in any type of activations, aligned or not. */
    private static void agree(Random random, BackendAgreementTest.Case drawn) {
        DType type = random.nextBoolean() ? DType.F32 : SIXTEEN_BITS[random.nextInt(2)];
        PtxOps ops = new PtxOps("sim " + type.name().toLowerCase(Locale.ROOT), device(random), Precision.of(type));
        try (TensorFixture fixture = new TensorFixture(ops, random.nextBoolean(), random.nextInt())) {
            BackendAgreementTest.agree(fixture, drawn);
        }
    }

    @Test
    void batchedGemm_random() {
        each(
                12,
                random -> agree(
                        random,
                        BackendAgreementTest.batchedGemm(
                                random.nextBoolean(),
                                random.nextBoolean(),
                                beta(random),
                                1 + random.nextInt(4),
                                size(random, 40),
                                size(random, 40),
                                size(random, 40))));
    }

    /** Rows of at least 8 elements: in shorter ones the variance may be of numbers that nearly cancel. */
    @Test
    void layerNorm_random() {
        each(
                12,
                random -> agree(
                        random,
                        BackendAgreementTest.layerNorm(
                                1 + random.nextInt(3), size(random, 70), 7 + size(random, 300))));
    }

    @Test
    void embeddingBackward_random() {
        each(
                12,
                random -> agree(
                        random,
                        BackendAgreementTest.embedding(
                                size(random, 90), 1 + random.nextInt(4), size(random, 70), size(random, 130))));
    }

    @Test
    void pairTiles_random() {
        each(4, random -> {
            PairTileCase c = new PairTileCase(
                    size(random, 100),
                    size(random, 100),
                    size(random, 40),
                    Classes.values()[random.nextInt(Classes.values().length)],
                    random.nextLong());
            try (PtxOps ops = new PtxOps("sim", device(random))) {
                c.checkReductions(ops, ops.pairTiles());
                c.checkGradients(ops, ops.pairTiles());
                c.checkHistogram(ops, ops.pairTiles(), 1 + random.nextInt(64));
            }
        });
    }
}
