package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.ptx.HopperGemm.Activation;
import org.contrastive4j.internal.ptx.HopperGemm.Product;
import org.contrastive4j.internal.ptx.HopperGemm.Result;
import org.contrastive4j.internal.ptx.HopperGemmCase.Inputs;
import org.contrastive4j.internal.ptx.HopperGemmCase.Outputs;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.internal.sim.exec.Fault;
import org.contrastive4j.internal.sim.exec.Schedule;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The sm_90a kernels pack and gemm against f64, on the simulator with all checkers and on a GPU where there is one. */
@Tag("gpu")
final class HopperGemmTest {
    private static HopperGemm gemm(PtxDevice device, Precision precision) {
        return new HopperGemm(device, precision);
    }

    private static void check(Precision precision, List<Inputs> cases) {
        HopperFixture.devices().forEach(opened -> {
            try (PtxDevice device = opened.get()) {
                HopperGemm gemm = gemm(device, precision);
                for (Inputs in : cases) {
                    HopperGemmCase.check(in, HopperGemmCase.run(device, gemm, precision, in));
                }
            }
        });
    }

    private static Product product(int layout, int batch, int m, int n, int k) {
        return new Product((layout & 1) != 0, (layout & 2) != 0, batch, m, n, k);
    }

    @ParameterizedTest
    @SampledSource(
            every = 4,
            csv = {"0", "1", "2", "3"})
    void multiply_allSizes_agreesWithF64(int layout) {
        int[][] sizes = {
            {1, 1, 1, 1},
            {1, 31, 33, 63},
            {2, 65, 64, 64},
            {1, 127, 129, 65},
            {1, 128, 256, 128},
            {1, 129, 257, 31},
            {3, 40, 103, 100},
            {1, 5, 6, 0}
        };
        List<Inputs> cases = new ArrayList<>();
        for (int[] s : sizes) {
            cases.add(Inputs.of(
                    s[1] + layout, product(layout, s[0], s[1], s[2], s[3]), s[1] % 2 == 0, s[2] % 3 - 1.0, true, null));
        }
        check(layout % 2 == 0 ? Precision.BF16 : Precision.F16, cases);
        check(layout % 2 == 0 ? Precision.F16 : Precision.BF16, cases.subList(3, 4));
    }

    @ParameterizedTest
    @SampledSource(
            every = 2,
            csv = {"BF16", "F16"})
    void multiply_sixteenBitResult_agreesWithF64(Precision precision) {
        check(
                precision,
                List.of(
                        Inputs.of(1, product(3, 1, 33, 45, 70), true, 0, true, null)
                                .inSixteenBits(),
                        Inputs.of(2, product(3, 2, 129, 256, 20), true, 0.5, true, null)
                                .inSixteenBits(),
                        Inputs.of(3, product(3, 1, 128, 258, 64), false, 0, true, Activation.QUICK_GELU)
                                .inSixteenBits(),
                        Inputs.of(4, product(3, 1, 31, 102, 64), true, -1, true, null)
                                .inSixteenBits()));
    }

    /**
     * Packed results hold what the next product reads: values and GELU of both kinds, with and without C; zeros
     * beyond the edges.
     */
    @ParameterizedTest
    @SampledSource(
            every = 2,
            csv = {"BF16", "F16"})
    void multiply_packedResult_agreesWithF64(Precision precision) {
        check(
                precision,
                List.of(
                        Inputs.of(1, product(0, 1, 3, 5, 20), true, 0, true, Activation.GELU),
                        Inputs.of(2, product(0, 2, 130, 100, 64), true, 0, true, Activation.QUICK_GELU),
                        Inputs.of(3, product(0, 1, 128, 256, 64), true, 0, false, Activation.GELU),
                        Inputs.of(4, product(0, 1, 70, 300, 40), true, 0, false, Activation.NONE),
                        Inputs.of(5, product(0, 1, 129, 513, 16), false, 0, true, Activation.GELU),
                        Inputs.of(6, product(0, 1, 30, 70, 16), true, 2, true, Activation.GELU)));
    }

    /** Few tiles and a long k: sums of parts, then alpha, beta and bias once. */
    @ParameterizedTest
    @SampledSource(
            every = 4,
            csv = {"0", "1", "2", "3"})
    void multiply_longK_sumsParts(int layout) {
        Product p = product(layout, 1, 20, 30, 1400);
        assertEquals(5, p.blocksOfPart(false), "of 22 blocks: the last part is shorter");
        check(Precision.BF16, List.of(Inputs.of(layout, p, true, 0.5, true, null)));
    }

    @Test
    void blocksOfPart_dependsOnSizesOnly() {
        assertEquals(64, product(0, 1, 8192, 8192, 4096).blocksOfPart(false), "enough tiles");
        assertEquals(1024, product(0, 1, 128, 256, 65_536).blocksOfPart(true), "an image has no parts");
        assertEquals(4, product(0, 12, 128, 256, 256).blocksOfPart(false), "a batch has no parts");
        int blocks = product(1, 1, 768, 768, 65_536).blocksOfPart(false); // 18 tiles
        assertEquals(7, (1024 + blocks - 1) / blocks, "parts of a gradient of weights");
        assertEquals(0, HopperGemm.workspaceBytes(product(0, 1, 8192, 8192, 4096), Result.of(1)));
        assertEquals(7L * 768 * 768 * 4, HopperGemm.workspaceBytes(product(1, 1, 768, 768, 65_536), Result.of(1)));
    }

    /** x w1 + b1, GELU, w2: the second product reads the packed result of the first. */
    @Test
    void multiply_packedChain_agreesWithF64() {
        int rows = 70;
        int in = 40;
        int hidden = 130;
        HopperFixture.devices().forEach(opened -> {
            try (PtxDevice device = opened.get();
                    DeviceStorage x = Devices.floats(device, HopperFixture.random(1, rows * in));
                    DeviceStorage w = Devices.floats(device, HopperFixture.random(2, in * hidden));
                    DeviceStorage imageX = device.allocate(HopperGemm.imageBytes(rows, in));
                    DeviceStorage imageW = device.allocate(HopperGemm.imageBytes(in, hidden));
                    DeviceStorage imageH = device.allocate(HopperGemm.imageBytes(rows, hidden));
                    DeviceStorage y = device.allocate(4L * rows * in)) {
                HopperGemm gemm = gemm(device, Precision.F16);
                DeviceStream stream = device.stream();
                gemm.pack(stream, x.address(), 1, rows, in, imageX.address());
                gemm.pack(stream, w.address(), 1, in, hidden, imageW.address());
                gemm.multiply(
                        stream,
                        new Product(false, false, 1, rows, hidden, in),
                        imageX.address(),
                        imageW.address(),
                        Result.of(0).scaled(1, 0).image(Activation.GELU, imageH.address()),
                        0,
                        0);
                Product back = new Product(false, true, 1, rows, in, hidden); // tied weights: w2 = w1^T
                gemm.multiply(stream, back, imageH.address(), imageW.address(), Result.of(y.address()), 0, 0);
                short[] h = Devices.toShorts(imageH);
                Product up = new Product(false, false, 1, rows, hidden, in);
                Outputs first = new Outputs(Precision.F16, Devices.toShorts(imageX), Devices.toShorts(imageW), null, h);
                double[][] a = first.rows(up, 0);
                double[][] b = first.columns(up, 0);
                for (int i = 0; i < rows; i++) {
                    for (int j = 0; j < hidden; j++) {
                        double expected = HopperGemmCase.activated(Activation.GELU, HopperFixture.dot(a[i], b[j]));
                        assertEquals(
                                expected,
                                first.image(up, 0, i, j),
                                0x1.1p-11 * Math.abs(expected) + 1e-5,
                                "hidden " + i + ", " + j);
                    }
                }
                HopperGemmCase.check(
                        new Inputs(back, null, null, null, null, 1, 0, true, false, null),
                        new Outputs(Precision.F16, h, first.b(), Devices.toFloats(y), null));
            }
        });
    }

    @ParameterizedTest
    @EnumSource(names = {"BF16", "F16"})
    void pack_roundsAndPads(Precision precision) {
        for (int from = 0; from < 2; from++) { // rows of 72 are copied wide where they begin at a multiple of 16 bytes
            int odd = from;
            HopperFixture.devices().forEach(opened -> {
                try (PtxDevice device = opened.get()) {
                    checkPacked(device, gemm(device, precision), precision, odd);
                }
            });
        }
    }

    /**
     * Two matrices that begin a number of elements behind a multiple of 16 bytes, packed from f32 and again from
     * their 16-bit values.
     */
    static void checkPacked(PtxDevice device, HopperGemm gemm, Precision precision, int from) {
        int rows = 131;
        int columns = 72;
        float[] x = HopperFixture.random(5, 2 * rows * columns);
        double half = precision == Precision.BF16 ? 0x1p-8 : 0x1p-11;
        float[] moved = new float[x.length + 1];
        System.arraycopy(x, 0, moved, from, x.length);
        try (DeviceStorage in = Devices.floats(device, moved);
                DeviceStorage image = device.allocate(2 * HopperGemm.imageBytes(rows, columns));
                DeviceStorage again = device.allocate(2 * HopperGemm.imageBytes(rows, columns))) {
            gemm.pack(device.stream(), in.address() + 4L * from, 2, rows, columns, image.address());
            short[] bits = Devices.toShorts(image);
            short[] flat = new short[x.length + 1];
            for (int i = 0; i < x.length; i++) {
                int row = i / columns % rows;
                int column = i % columns;
                double got = Outputs.at(precision, bits, i / columns / rows, rows, columns, row, column);
                assertEquals(x[i], got, Math.max(Math.abs(x[i]) * half, 0x1p-25), "element " + i);
                flat[i + from] = bits[
                        ((i / columns / rows * 2 + row / 128) * 2 + column / 64) * 8192
                                + row % 128 * 64
                                + (column % 64 / 8 ^ row % 8) * 8
                                + column % 8];
            }
            try (DeviceStorage sixteen = Devices.shorts(device, flat)) {
                gemm.packSixteenBits(device.stream(), sixteen.address() + 2L * from, 2, rows, columns, again.address());
                assertArrayEquals(bits, Devices.toShorts(again), "bits copied, zeros beyond the edges");
            }
            for (int i = rows; i < 256; i++) {
                assertEquals(0, Outputs.at(precision, bits, 1, rows, columns, i, 3), "row " + i);
            }
        }
    }

    /** Products of whole numbers are exact: all layouts, grids and parts give the same bits. */
    @Tag("exhaustive")
    @Test
    void multiply_wholeNumbers_sameBitsInAllLayoutsAndGrids() {
        int m = 140;
        int n = 300;
        int k = 100;
        Random random = new Random(11);
        float[] a = new float[m * k];
        float[] b = new float[k * n];
        for (float[] operand : new float[][] {a, b}) {
            for (int i = 0; i < operand.length; i++) {
                operand[i] = random.nextInt(31) - 15;
            }
        }
        float[] poison = new float[m * n];
        Arrays.fill(poison, Float.NaN);
        float[] expected = new float[m * n];
        for (int i = 0; i < expected.length; i++) {
            for (int l = 0; l < k; l++) {
                expected[i] += (float) HopperGemmCase.ALPHA * a[i / n * k + l] * b[l * n + i % n];
            }
        }
        for (int layout = 0; layout < 4; layout++) {
            Product p = product(layout, 1, m, n, k);
            Inputs in = new Inputs(
                    p,
                    p.transA() ? transposed(a, k) : a,
                    p.transB() ? transposed(b, n) : b,
                    poison,
                    null,
                    HopperGemmCase.ALPHA,
                    0,
                    true,
                    false,
                    null);
            for (int blocks : layout == 0 ? new int[] {1, 3, 132} : new int[] {2}) {
                try (SimDevice device = SimDevice.open(SimOptions.defaults())) {
                    assertArrayEquals(
                            expected,
                            HopperGemmCase.run(
                                            device,
                                            new HopperGemm(new Kernels(device), Precision.BF16, blocks),
                                            Precision.BF16,
                                            in)
                                    .c(),
                            p + " on " + blocks + " multiprocessors");
                }
            }
        }
    }

    private static float[] transposed(float[] matrix, int columns) {
        int rows = matrix.length / columns;
        float[] result = new float[matrix.length];
        for (int i = 0; i < matrix.length; i++) {
            result[i % columns * rows + i / columns] = matrix[i];
        }
        return result;
    }

    @Test
    void multiply_anySchedule_sameBits() {
        Inputs in = Inputs.of(3, product(1, 2, 70, 100, 200), true, 0, true, Activation.GELU);
        Outputs first = null;
        for (Schedule schedule : HopperFixture.schedules()) {
            try (SimDevice device = SimDevice.open(SimOptions.defaults().withSchedule(schedule))) {
                Outputs got = HopperGemmCase.run(device, gemm(device, Precision.BF16), Precision.BF16, in);
                first = first == null ? got : first;
                assertArrayEquals(first.c(), got.c(), schedule.toString());
                assertArrayEquals(first.image(), got.image(), schedule.toString());
            }
        }
        HopperGemmCase.check(in, first);
    }

    @ParameterizedTest
    @SampledSource(
            every = 17,
            delimiter = '|',
            csv = {
                "stores not told of what was written | fence.proxy.async.shared::cta; |  | PROXY_FENCE",
                "ends while stores read its shared memory | @%storer cp.async.bulk.wait_group 0; |  | ASYNC_PENDING",
                "buffer reused too early | @%storer cp.async.bulk.wait_group.read pending; |  | ASYNC_PENDING",
                "turn of buffers not kept by the next tile | STORE_BLOCK(0, | STORE_BLOCK(1, | ASYNC_PENDING",
                "block stored before all have written | bar.sync %groupBarrier, 128; |  | ANY",
                "products not waited for | wgmma.wait_group.sync.aligned 0; |  | ASYNC_PENDING",
                "stage given back too early | wgmma.wait_group.sync.aligned 1; |  | ASYNC_PENDING",
                "no fence before the products | wgmma.fence.sync.aligned; |  | WGMMA_FENCE",
                "producer waits for the wrong phase | mov.u32 %phase, 1; | mov.u32 %phase, 0; | DEADLOCK",
                "consumer waits for the wrong phase | mov.u32 %phase, 0; | mov.u32 %phase, 1; | ANY",
                "k steps of the other layout | PRODUCT(128, 256, 384, 128 | PRODUCT(2, 4, 6, 128 | ANY",
                "leading offset of one block | 0x4000004002000000 | 0x4000004000010000 | ANY",
                "second half of A left out | COPY_ACROSS(1, %lastA, 8192) | COPY_ACROSS(0, %lastA, 8192) | WRONG",
                "what is beyond the edges kept | EACH32(CLIP_EACH) |  | WRONG",
                "row too many | setp.lt.u32 %inside, %row, %u; | setp.le.u32 %inside, %row, %u; | ANY",
                "swizzle left out | xor.b32 %s, %s, %column; | mov.u32 %s, %column; | WRONG",
                "wrong bias | mad.wide.u32 %bias, %column, 4, %bias; | mad.wide.u32 %bias, %column, 8, %bias; | ANY",
            })
    /** Each mutation is a fault that a GPU might not show; the simulator must report it under every schedule. */
    void mutation_isDetected(String what, String right, String wrong, String kind) {
        // 150 columns are three blocks of the image: the next tile begins with the buffer that was used last
        Inputs in = Inputs.of(3, product(1, 2, 70, 150, 330), true, 0, true, Activation.GELU);
        for (long seed : HopperFixture.SEEDS) {
            String found = "nothing";
            try (SimDevice device =
                    SimDevice.open(SimOptions.defaults().withSeed(seed).withInstructionLimit(2_000_000))) {
                Outputs got = HopperGemmCase.run(
                        device,
                        new HopperGemm(
                                HopperFixture.brokenKernels(
                                        device, right, wrong, "gemm_bf16_tn_sm90a", "pack_bf16_sm90a"),
                                Precision.BF16,
                                1),
                        Precision.BF16,
                        in);
                try {
                    HopperGemmCase.check(in, got);
                } catch (AssertionError e) {
                    found = "WRONG";
                }
            } catch (Fault fault) {
                found = fault.kind().name();
            }
            assertTrue(
                    found.equals(kind) || kind.equals("ANY") && !found.equals("nothing"),
                    what + ", seed " + seed + ": found " + found + ", expected " + kind);
        }
    }

    /** Six pipeline stages for each of two matrices, in each layout. */
    @ParameterizedTest
    @SampledSource(
            every = 4,
            csv = {"0", "1", "2", "3"})
    void oneStageTooFew_isDetected(int layout) {
        Inputs in = Inputs.of(3, product(layout, 2, 70, 150, 330), true, 0, true, null);
        HopperFixture.assertRaceOfStages(
                "gemm_bf16_" + in.product().layout() + "_sm90a",
                (device, kernels) ->
                        HopperGemmCase.run(device, new HopperGemm(kernels, Precision.BF16, 1), Precision.BF16, in));
    }

    @Test
    void invalidArguments_areRefused() {
        try (SimDevice device = SimDevice.open(SimOptions.defaults());
                DeviceStorage room = device.allocate(1 << 20)) {
            HopperGemm gemm = gemm(device, Precision.BF16);
            DeviceStream stream = device.stream();
            Product p = product(0, 1, 20, 30, 1400);
            long a = room.address();
            long b = a + p.imageBytesA();
            long c = b + p.imageBytesB();
            refused(
                    LaunchException.class,
                    "workspace has 0 bytes",
                    () -> gemm.multiply(stream, p, a, b, Result.of(c), 0, 0));
            Product small = product(0, 1, 20, 30, 100);
            refused(
                    LaunchException.class,
                    "share memory",
                    () -> gemm.multiply(stream, small, a, b, Result.of(b + 16), 0, 0));
            refused(
                    LaunchException.class,
                    "multiple of 16",
                    () -> gemm.multiply(stream, small, a + 8, b, Result.of(c), 0, 0));
            refused(
                    LaunchException.class,
                    "address of c is 0",
                    () -> gemm.multiply(stream, small, a, b, Result.of(0), 0, 0));
            refused(ShapeException.class, "expected at least 1", () -> product(0, 1, 0, 30, 100));
            refused(IllegalArgumentException.class, "expected bf16 or f16", () -> gemm(device, Precision.F32));
        }
    }

    private static void refused(Class<? extends Exception> type, String why, Runnable call) {
        String message = assertThrows(type, call::run).getMessage();
        assertTrue(message.contains(why), message);
    }
}
