package org.contrastive4j.device.conformance;

import static org.contrastive4j.device.conformance.KernelFile.assertWords;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.SampledSource;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Matrix products of a warpgroup in every format, operand layout and width. Values are small integers, so every sum is
 * exact in any order and compared bit for bit.
 */
class WgmmaConformanceTest {
    private static final long SEED = 64_256;
    private static final int NO_SWIZZLE = 16;

    static Stream<Arguments> products() {
        return Devices.all().flatMap(device -> cases().stream().map(product -> Arguments.of(device, product)));
    }

    static List<WarpgroupProduct> cases() {
        List<WarpgroupProduct> cases = new ArrayList<>();
        for (int span : new int[] {NO_SWIZZLE, 32, 64, 128}) {
            for (int n : new int[] {8, 64, 256}) {
                cases.add(along(SmallFloat.F16, SmallFloat.F32, n, 4, span, span, true, 0));
                cases.add(along(SmallFloat.BF16, SmallFloat.F32, n, 3, span, 128, false, 0));
                cases.add(along(SmallFloat.TF32, SmallFloat.F32, n, 4, span, span, true, 0));
                cases.add(along(SmallFloat.E4M3, SmallFloat.F32, n, 2, span, span, true, 0));
                cases.add(fromRegisters(SmallFloat.BF16, n, 2, span, true, 0));
            }
            cases.add(along(SmallFloat.F16, SmallFloat.F16, 64, 2, span, span, true, 0));
            cases.add(new WarpgroupProduct(
                    SmallFloat.F16, SmallFloat.F32, 192, 2, null, layout(192, 32, 2, true, span), true, 0));
            for (int kind = 0; kind < 3; kind++) {
                boolean left = kind != 1;
                boolean right = kind != 0;
                cases.add(halves(SmallFloat.BF16, 128, 4, left, right, span, true));
                cases.add(halves(SmallFloat.F16, 256, 3, left, right, span, false));
            }
        }
        for (int negated = 0; negated < 4; negated++) {
            cases.add(along(SmallFloat.F16, SmallFloat.F32, 24, 1, 32, 32, true, negated));
            cases.add(along(SmallFloat.E4M3, SmallFloat.F32, 104, 1, 32, 32, false, negated));
            cases.add(fromRegisters(SmallFloat.TF32, 40, 2, 64, true, negated));
        }
        for (SmallFloat in : new SmallFloat[] {SmallFloat.F16, SmallFloat.TF32, SmallFloat.E4M3}) {
            cases.add(fromRegisters(in, 8, 1, 128, false, 0));
            cases.add(fromRegisters(in, 256, 4, 128, true, 0));
        }
        cases.add(along(SmallFloat.F16, SmallFloat.F16, 8, 1, 32, 32, false, 2));
        cases.add(along(SmallFloat.F16, SmallFloat.F16, 256, 4, 128, 128, true, 0));
        return cases;
    }

    private static WarpgroupProduct along(
            SmallFloat in, SmallFloat sum, int n, int steps, int left, int right, boolean accumulate, int negated) {
        int bytes = in.width() / 8;
        int depth = 32 * steps / bytes;
        return new WarpgroupProduct(
                in,
                sum,
                n,
                steps,
                layout(WarpgroupProduct.ROWS, depth, bytes, false, left),
                layout(n, depth, bytes, false, right),
                accumulate,
                negated);
    }

    private static WarpgroupProduct fromRegisters(
            SmallFloat in, int n, int steps, int span, boolean accumulate, int negated) {
        int bytes = in.width() / 8;
        OperandLayout right = layout(n, 32 * steps / bytes, bytes, false, span);
        return new WarpgroupProduct(in, SmallFloat.F32, n, steps, null, right, accumulate, negated);
    }

    private static WarpgroupProduct halves(
            SmallFloat in, int n, int steps, boolean leftAcross, boolean rightAcross, int span, boolean accumulate) {
        return new WarpgroupProduct(
                in,
                SmallFloat.F32,
                n,
                steps,
                layout(WarpgroupProduct.ROWS, 16 * steps, 2, leftAcross, span),
                layout(n, 16 * steps, 2, rightAcross, span),
                accumulate,
                0);
    }

    /** k that does not fill the swizzled span leaves the rest of the span unused. */
    private static OperandLayout layout(int rows, int depth, int bytes, boolean across, int span) {
        int whole = across ? depth : (depth * bytes + span - 1) / span * span / bytes;
        return new OperandLayout(rows, whole, bytes, across, span);
    }

    @ParameterizedTest
    @SampledSource(value = "products", every = 4)
    void wgmma_everyLayoutAndFormat_multiplies(Supplier<PtxDevice> opened, WarpgroupProduct product) {
        Random random = new Random(SEED);
        int[][] a = integers(random, WarpgroupProduct.ROWS, product.depth());
        int[][] b = integers(random, product.columns(), product.depth());
        int[][] c = integers(random, WarpgroupProduct.ROWS, product.columns());
        int rightStart = product.left() == null ? 0 : (product.left().bytes() + 1023) / 1024 * 1024;
        ByteBuffer image =
                ByteBuffer.allocate(rightStart + product.right().bytes()).order(ByteOrder.LITTLE_ENDIAN);
        if (product.left() != null) {
            draw(image, 0, product.left(), product.in(), a);
        }
        draw(image, rightStart, product.right(), product.in(), b);
        int[] words = new int[image.capacity() / 4];
        image.asIntBuffer().get(words);
        long left = product.left() == null ? 0 : product.left().descriptor(0);
        try (PtxDevice device = opened.get()) {
            int[] actual = KernelFile.of(device, WarpgroupProduct.NAME, product.ptx())
                    .run(
                            Launch.of(1, WarpgroupProduct.THREADS).shared(image.capacity()),
                            sums(product, c),
                            words,
                            words.length,
                            leftRegisters(product, a),
                            left,
                            product.right().descriptor(rightStart),
                            product.accumulate() ? 1 : 0);
            assertWords(sums(product, expected(product, a, b, c)), actual, product.registers());
        }
    }

    private static int[][] expected(WarpgroupProduct product, int[][] a, int[][] b, int[][] c) {
        int sign = product.negated() == 1 || product.negated() == 2 ? -1 : 1;
        int[][] d = new int[a.length][b.length];
        for (int i = 0; i < a.length; i++) {
            for (int j = 0; j < b.length; j++) {
                d[i][j] = product.accumulate() ? c[i][j] : 0;
                for (int k = 0; k < product.depth(); k++) {
                    d[i][j] += sign * a[i][k] * b[j][k];
                }
            }
        }
        return d;
    }

    /** Returns nonzero integers of magnitude at most 4, so that no product is a negative zero. */
    private static int[][] integers(Random random, int rows, int columns) {
        int[][] values = new int[rows][columns];
        for (int[] row : values) {
            for (int j = 0; j < columns; j++) {
                row[j] = (1 + random.nextInt(4)) * (random.nextBoolean() ? 1 : -1);
            }
        }
        return values;
    }

    private static void draw(ByteBuffer image, int start, OperandLayout layout, SmallFloat format, int[][] values) {
        for (int i = 0; i < values.length; i++) {
            for (int k = 0; k < values[i].length; k++) {
                int at = start + layout.place(i, k);
                int bits = format.bits(values[i][k]);
                for (int e = 0; e < format.width() / 8; e++) {
                    image.put(at + e, (byte) (bits >>> 8 * e));
                }
            }
        }
    }

    /** Returns the registers of A: those of an mma fragment, with 16 rows for each warp; four for each step. */
    private static int[] leftRegisters(WarpgroupProduct product, int[][] a) {
        int each = 32 / product.in().width();
        int[] words = new int[WarpgroupProduct.THREADS * 4 * product.steps()];
        for (int i = 0; i < words.length; i++) {
            int thread = i / (4 * product.steps());
            int lane = thread % 32;
            int step = i / 4 % product.steps();
            int row = thread / 32 * 16 + lane / 4 + 8 * (i % 2);
            int column = step * product.stepDepth() + each * (lane % 4) + 4 * each * (i % 4 / 2);
            for (int e = 0; e < each; e++) {
                words[i] |=
                        product.in().bits(a[row][column + e]) << product.in().width() * e;
            }
        }
        return words;
    }

    /** Returns the registers of C and D: four sums for every eight columns, two in a row and two eight rows below. */
    private static int[] sums(WarpgroupProduct product, int[][] values) {
        int each = 32 / product.sum().width();
        int registers = product.registers();
        int[] words = new int[WarpgroupProduct.THREADS * registers];
        for (int i = 0; i < words.length; i++) {
            int thread = i / registers;
            int lane = thread % 32;
            for (int e = 0; e < each; e++) {
                int element = i % registers * each + e;
                int row = thread / 32 * 16 + lane / 4 + 8 * (element / 2 % 2);
                int column = element / 4 * 8 + 2 * (lane % 4) + element % 2;
                words[i] |=
                        product.sum().bits(values[row][column]) << product.sum().width() * e;
            }
        }
        return words;
    }

    static Stream<OperandLayout> layouts() {
        return cases().stream()
                .flatMap(product -> Stream.of(product.right(), product.left()))
                .filter(layout -> layout != null)
                .distinct();
    }

    /** Every element of a layout has its own offset. */
    @ParameterizedTest
    @MethodSource("layouts")
    void offset_everyElement_isUnique(OperandLayout layout) {
        Set<Integer> places = new HashSet<>();
        for (int row = 0; row < layout.rows(); row++) {
            for (int k = 0; k < layout.depth(); k++) {
                int at = layout.place(row, k);
                assertTrue(at >= 0 && at < layout.bytes() && at % layout.elementBytes() == 0, "place " + at);
                assertTrue(places.add(at), "place " + at + " twice");
            }
        }
        assertEquals(layout.bytes() / layout.elementBytes(), places.size());
    }
}
