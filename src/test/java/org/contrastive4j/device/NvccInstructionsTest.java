package org.contrastive4j.device;

import static org.contrastive4j.device.NvccProgram.close;
import static org.contrastive4j.device.NvccProgram.gaussian;
import static org.contrastive4j.device.NvccProgram.narrow;
import static org.contrastive4j.device.NvccProgram.ofHalf;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.math.BigInteger;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.LongBuffer;
import java.nio.ShortBuffer;
import java.util.Random;
import java.util.function.DoubleUnaryOperator;
import java.util.function.IntPredicate;
import java.util.function.IntUnaryOperator;
import java.util.function.Supplier;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule.Launch;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Groups of instructions in code compiled by nvcc (wide integers, narrow floats, calls, jumps, votes), on every device,
 * compared with Java.
 */
class NvccInstructionsTest {
    private static final String ALL = "org.contrastive4j.support.Devices#all";

    private static long xorshift(long[] state) {
        state[0] ^= state[0] >>> 12;
        state[0] ^= state[0] << 25;
        state[0] ^= state[0] >>> 27;
        return state[0] * 0x2545F4914F6CDD1DL;
    }

    /** Selects four of the 8 bytes of b:a, 0 the lowest, by the four low digits of the selector. */
    private static int permute(int a, int b, int selector) {
        long both = (a & 0xffffffffL) | (long) b << 32;
        int out = 0;
        for (int i = 0; i < 4; i++) {
            out |= (int) (both >>> 8 * (selector >> 4 * i & 7) & 255) << 8 * i;
        }
        return out;
    }

    private static long[] hashed(int i, long seed) {
        long[] state = {seed + i * 0x9E3779B97F4A7C15L};
        long a = xorshift(state);
        long b = xorshift(state) >>> i % 61;
        long divisor = b == 0 ? 1 : b;
        long d = i % 2 == 1 ? -(divisor >>> 1) - 1 : (divisor >>> 1) + 1;
        int low = (int) a;
        int lowB = (int) b;
        int shift = i % 32;
        int funnel = shift == 0 ? lowB : lowB << shift | low >>> 32 - shift;
        long unsignedHigh = Math.multiplyHigh(a, b) + (a >> 63 & b) + (b >> 63 & a);
        long sad = Math.abs((long) low - lowB) + 7 & 0xffffffffL;
        long mulhi = (low & 0xffffffffL) * (lowB & 0xffffffffL) >>> 32;
        return new long[] {
            Long.divideUnsigned(a, divisor),
            Long.remainderUnsigned(a, divisor),
            a / d,
            a % d,
            unsignedHigh,
            Math.multiplyHigh(a, d),
            (long) Long.bitCount(a) << 32 | Long.numberOfLeadingZeros(b),
            Long.reverse(a) ^ (b == 0 ? 0 : Long.numberOfTrailingZeros(b) + 1),
            (long) funnel << 32 | permute(low, lowB, 0x5146 + i % 2) & 0xffffffffL,
            (a >> i % 64) + Long.remainderUnsigned(a, 1_000_003),
            mulhi * (a >>> 32) + sad,
            (long) (low / ((lowB & 0xffff) + 1))
                    ^ Integer.toUnsignedLong(Integer.remainderUnsigned(low, (lowB & 0xff) + 3)),
        };
    }

    @ParameterizedTest
    @MethodSource(ALL)
    void hash64_compiledByNvcc_agreesWithJava(Supplier<PtxDevice> device) {
        int n = 203;
        long seed = 0x123456789abcdefL;
        try (NvccProgram program = new NvccProgram(device, "hash64")) {
            DeviceStorage out = program.output(8 * 12 * n);
            program.launch(Launch.of(4, 64), out, n, seed);
            LongBuffer got = program.result(out).asLongBuffer();
            for (int i = 0; i < n; i++) {
                long[] expected = hashed(i, seed);
                for (int j = 0; j < 12; j++) {
                    assertEquals(expected[j], got.get(12 * i + j), "column " + j + " of " + i);
                }
            }
        }
    }

    private static int interpreted(int i, int x) {
        int[] program = {
            0, 1, 17, 4, 1, 5, 3, 6, 7, 2, 8, 1, 3, 9, 10, 0, 2, 5, 11, 1, 100, 12, 8, 13, 20, 7, 0, 3, 14, 6, 2, 15
        };
        int[] stack = new int[16];
        for (int j = 0; j < 16; j++) {
            stack[j] = j * x;
        }
        int top = 0;
        int at = i * 7 & 31;
        int value = x;
        for (int step = 0; step < 200; step++) {
            int op = program[at++ & 31] & 15;
            int below = top + 15 & 15;
            int second = stack[below];
            switch (op) {
                case 0 -> {
                    top = top + 1 & 15;
                    stack[top] = value;
                }
                case 1 -> value = program[at++ & 31] - value;
                case 2 -> {
                    value ^= second;
                    top = below;
                }
                case 3 -> value = value * 31 + second;
                case 4 -> value <<= second & 7;
                case 5 -> value >>= second & 3;
                case 6 -> stack[value & 15] = second + step;
                case 7 -> at += value % 2 == 0 ? 0 : 3;
                case 8 -> value = stack[value & 15];
                case 9 -> value = Math.min(value, second) - 9;
                case 10 -> value = Math.max(value, second) + 10;
                case 11 -> value = ~value;
                case 12 -> value /= (second & 15) + 1;
                case 13 -> value = Integer.remainderUnsigned(value, 1001);
                case 14 -> at -= second & 7;
                default -> {
                    value += second;
                    top = top + 3 & 15;
                }
            }
        }
        for (int held : stack) {
            value = value * 33 + held;
        }
        return value;
    }

    @ParameterizedTest
    @MethodSource(ALL)
    void interpreter_compiledByNvcc_agreesWithJava(Supplier<PtxDevice> device) {
        int n = 103;
        int[] x = new Random(17).ints(n).toArray();
        try (NvccProgram program = new NvccProgram(device, "interpreter")) {
            DeviceStorage out = program.output(4 * n);
            program.launch(Launch.of(2, 64), program.ints(x), out, n);
            IntBuffer got = program.result(out).asIntBuffer();
            for (int i = 0; i < n; i++) {
                assertEquals(interpreted(i, x[i]), got.get(i), "thread " + i);
            }
        }
    }

    @ParameterizedTest
    @MethodSource(ALL)
    void jumptable_compiledByNvcc_agreesWithJava(Supplier<PtxDevice> device) {
        int n = 103;
        int[] x = new Random(18).ints(n).toArray();
        int[] rounds = new Random(19).ints(n, 0, 40).toArray();
        try (NvccProgram program = new NvccProgram(device, "jumptable")) {
            DeviceStorage out = program.output(4 * n);
            program.launch(Launch.of(2, 64), program.ints(x), program.ints(rounds), out, n);
            IntBuffer got = program.result(out).asIntBuffer();
            for (int i = 0; i < n; i++) {
                int value = x[i];
                for (int turn = 0; turn < rounds[i]; turn++) {
                    value = switch (Integer.remainderUnsigned(value, 5)) {
                        case 0 -> value + i;
                        case 1 -> value * 3 + 1;
                        case 2 -> value ^ 0x5a5a;
                        case 3 -> value >> 1;
                        default -> value - 1;
                    };
                }
                assertEquals(value, got.get(i), "thread " + i);
            }
        }
    }

    /** Returns 0 or values from 2^-12 to 8, whose products in f16 and bf16 are summed exactly in double. */
    private static float[] tame(long seed, int n) {
        Random random = new Random(seed);
        float[] values = new float[n];
        for (int i = 0; i < n; i++) {
            float value = 16 * random.nextFloat() - 8;
            values[i] = i % 11 == 0 ? Math.copySign(0x1.5p-11f, value) : Math.abs(value) < 0x1p-12f ? 0 : value;
        }
        return values;
    }

    @ParameterizedTest
    @MethodSource(ALL)
    void halves_compiledByNvcc_agreesWithJava(Supplier<PtxDevice> device) {
        int pairs = 67;
        int n = 2 * pairs;
        float[] a = tame(20, n);
        float[] b = tame(21, n);
        float[] c = tame(22, n);
        c[0] = 0;
        try (NvccProgram program = new NvccProgram(device, "halves")) {
            DeviceStorage f16 = program.output(2 * 5 * n);
            DeviceStorage bf16 = program.output(2 * 5 * n);
            DeviceStorage whole = program.output(4 * 2 * n);
            program.launch(
                    Launch.of(2, 64), program.floats(a), program.floats(b), program.floats(c), f16, bf16, whole, pairs);
            ShortBuffer gotHalf = program.result(f16).asShortBuffer();
            ShortBuffer gotBrain = program.result(bf16).asShortBuffer();
            IntBuffer gotWhole = program.result(whole).asIntBuffer();
            for (int i = 0; i < n; i++) {
                double[] half = narrowArithmetic(a[i], b[i], c[i], 10, -14);
                double[] brain = narrowArithmetic(a[i], b[i], c[i], 7, -126);
                for (int op = 0; op < 5; op++) {
                    close(half[op], ofHalf(gotHalf.get(op * n + i)), 0, "f16 operation " + op + " of " + i);
                    close(
                            brain[op],
                            Float.intBitsToFloat(gotBrain.get(op * n + i) << 16),
                            0,
                            "bf16 operation " + op + " of " + i);
                }
                double h = narrow(a[i], 10, -14);
                double g = narrow(a[i], 7, -126);
                assertEquals((int) (i % 2 == 0 ? Math.rint(h) : h), gotWhole.get(i), "whole f16 " + i);
                assertEquals((int) (i % 2 == 0 ? Math.rint(g) : Math.floor(g)), gotWhole.get(n + i), "whole bf16 " + i);
            }
        }
    }

    private static double[] narrowArithmetic(float x, float y, float z, int bits, int least) {
        double a = narrow(x, bits, least);
        double b = narrow(y, bits, least);
        double c = narrow(z, bits, least);
        return new double[] {
            narrow(a * b + c, bits, least),
            narrow(a + b, bits, least),
            narrow(a * b, bits, least),
            Math.max(a, b),
            a < b ? c : b,
        };
    }

    @ParameterizedTest
    @MethodSource(ALL)
    void doubles_compiledByNvcc_agreesWithJava(Supplier<PtxDevice> device) {
        int rows = 7;
        int cols = 45;
        double[] x = new Random(23).doubles(rows * cols, -1e6, 1e6).toArray();
        x[0] = 2.5;
        x[1] = -3.5;
        x[2] = 1e-310;
        long[] bits = new long[x.length];
        for (int i = 0; i < x.length; i++) {
            bits[i] = Double.doubleToRawLongBits(x[i]);
        }
        try (NvccProgram program = new NvccProgram(device, "doubles")) {
            DeviceStorage norms = program.output(8 * rows);
            DeviceStorage unit = program.output(8 * x.length);
            DeviceStorage roots = program.output(8 * x.length);
            DeviceStorage rounded = program.output(8 * x.length);
            program.launch(Launch.of(2, 128), program.longs(bits), rows, cols, norms, unit, roots, rounded);
            DoubleBuffer gotNorms = program.result(norms).asDoubleBuffer();
            DoubleBuffer gotUnit = program.result(unit).asDoubleBuffer();
            DoubleBuffer gotRoots = program.result(roots).asDoubleBuffer();
            LongBuffer gotRounded = program.result(rounded).asLongBuffer();
            for (int r = 0; r < rows; r++) {
                double sum = 0;
                for (int i = 0; i < cols; i++) {
                    sum += x[r * cols + i] * x[r * cols + i];
                }
                // each sum has at most 2 * 45 roundings of growing values; the root halves the relative error
                close(Math.sqrt(sum), gotNorms.get(r), 100 * 0x1p-53 * Math.sqrt(sum), "norm " + r);
            }
            for (int i = 0; i < x.length; i++) {
                assertEquals(x[i] / gotNorms.get(i / cols), gotUnit.get(i), "unit " + i);
                assertEquals(Math.sqrt(Math.abs(x[i])), gotRoots.get(i), "root " + i);
                assertEquals((long) Math.rint(x[i]), gotRounded.get(i), "rounded " + i);
            }
        }
    }

    /** Returns the mask of the lanes for which the predicate holds. */
    private static int lanes(int mask, IntPredicate holds) {
        int out = 0;
        for (int lane = 0; lane < 32; lane++) {
            out |= (mask >>> lane & 1) != 0 && holds.test(lane) ? 1 << lane : 0;
        }
        return out;
    }

    private static int sum(int mask, IntUnaryOperator value) {
        int out = 0;
        for (int lane = 0; lane < 32; lane++) {
            out += (mask >>> lane & 1) != 0 ? value.applyAsInt(lane) : 0;
        }
        return out;
    }

    /**
     * Returns what a lane of the warp that begins at element {@code from} writes; {@code here} is the mask of its first
     * lanes.
     */
    private static int[] voted(int[] x, int[] y, int from, int here, int lane) {
        int value = x[from + lane];
        int least = Integer.MAX_VALUE;
        int most = 0;
        int and = -1;
        int or = 0;
        int xor = 0;
        for (int i = from; i < from + Integer.bitCount(here); i++) {
            least = Math.min(least, x[i]);
            most = Integer.compareUnsigned(y[i], most) > 0 ? y[i] : most;
            and &= y[i] | 0xff;
            or |= y[i] & 0xff00;
            xor ^= y[i];
        }
        boolean any = lanes(here, l -> x[from + l] == 5) != 0;
        boolean all = lanes(here, l -> x[from + l] < 12) == here;
        boolean same = lanes(here, l -> x[from + l] >> 3 == value >> 3) == here;
        int odd = lanes(here, l -> x[from + l] % 2 != 0);
        int last = value % 2 != 0
                ? sum(odd, l -> y[from + l]) + y[from + Integer.numberOfTrailingZeros(odd)]
                : lanes(here & ~odd, l -> x[from + l] / 2 == value / 2);
        return new int[] {
            odd,
            lanes(here, l -> x[from + l] == value),
            sum(here, l -> x[from + l]),
            sum(here, l -> y[from + l]),
            least,
            most,
            and ^ or ^ xor,
            (any ? 1 : 0) | (all ? 2 : 0),
            same ? here | 1 << 31 : 0,
            lane,
            y[from + (lane & ~7) + (value & 7)] + x[from + (lane < 3 ? lane : lane - 3)],
            last,
        };
    }

    @ParameterizedTest
    @MethodSource(ALL)
    void votes_compiledByNvcc_agreesWithJava(Supplier<PtxDevice> device) {
        int n = 4 * 32 + 24; // the last warp has whole segments of 8 lanes, so no
        // lane reads from a missing one
        Random random = new Random(24);
        int[] x = new int[n];
        for (int i = 0; i < n; i++) {
            x[i] = i / 32 == 2 ? 8 + random.nextInt(4) : random.nextInt(16) - (i / 32 == 1 ? 20 : 0);
        }
        int[] y = random.ints(n).toArray();
        try (NvccProgram program = new NvccProgram(device, "votes")) {
            DeviceStorage out = program.output(4 * 12 * n);
            program.launch(Launch.of(3, 64), program.ints(x), program.ints(y), n, out);
            IntBuffer got = program.result(out).asIntBuffer();
            for (int i = 0; i < n; i++) {
                int from = i / 32 * 32;
                int[] expected = voted(x, y, from, n - from >= 32 ? -1 : (1 << n - from) - 1, i - from);
                for (int j = 0; j < 12; j++) {
                    assertEquals(expected[j], got.get(12 * i + j), "column " + j + " of " + i);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource(ALL)
    void calls_compiledByNvcc_agreesWithJava(Supplier<PtxDevice> device) {
        int n = 103;
        int[] x = new Random(25).ints(n, 0, 1 << 20).toArray();
        x[5] = 0;
        x[6] = 1;
        try (NvccProgram program = new NvccProgram(device, "calls")) {
            DeviceStorage steps = program.output(4 * n);
            DeviceStorage peak = program.output(8 * n);
            DeviceStorage common = program.output(4 * n);
            DeviceStorage powers = program.output(4 * n);
            program.launch(Launch.of(2, 32), program.ints(x), n, steps, peak, common, powers);
            for (int i = 0; i < n; i++) {
                int length = 0;
                long highest = x[i];
                for (long at = x[i]; at > 1; length++) {
                    at = at % 2 == 0 ? at / 2 : 3 * at + 1;
                    highest = Math.max(highest, at);
                }
                int power = 1;
                for (int j = 0; j < 5 + i % 3; j++) {
                    power *= x[i];
                }
                int divisor = BigInteger.valueOf(x[i])
                        .gcd(BigInteger.valueOf(x[(i + 1) % n]))
                        .intValue();
                assertEquals(length, program.result(steps).asIntBuffer().get(i), "steps from " + x[i]);
                assertEquals(highest, program.result(peak).asLongBuffer().get(i), "peak from " + x[i]);
                assertEquals(
                        divisor, program.result(common).asIntBuffer().get(i), "divisor of " + i + " and its neighbour");
                assertEquals(power, program.result(powers).asIntBuffer().get(i), "power of " + x[i]);
            }
        }
    }

    /** A function, its reference in double, and its largest error in ulp by the CUDA C++ Programming Guide. */
    private record Function(String name, double ulp, DoubleUnaryOperator truth) {}

    private static final Function[] FUNCTIONS = {
        new Function("sin", 2, Math::sin),
        new Function("cos", 2, Math::cos),
        new Function("log", 1, v -> Math.log(Math.abs(v))),
        new Function("exp2", 2, v -> Math.pow(2, v)),
        new Function("tanh", 2, Math::tanh),
        new Function("expm1", 1, Math::expm1),
        new Function("log1p", 1, v -> Math.log1p(Math.abs(v))),
        new Function("cbrt", 1, Math::cbrt),
        new Function("hypot", 3, v -> Math.hypot(v, 3)),
        new Function("pow", 4, v -> Math.pow(Math.abs(v), 0.7f)),
        new Function("atan2", 3, v -> Math.atan2(v, 0.5)),
        new Function("fmod", 0, v -> v % 0.75),
    };

    @ParameterizedTest
    @MethodSource(ALL)
    void functions_compiledByNvcc_agreesWithJava(Supplier<PtxDevice> device) {
        float[] x = gaussian(26, 150);
        float[] special = {
            0, -0f, 1, -1, 0.5f, 1e-30f, -1e-6f, 100, -120, 105_615, -1e6f, 3e8f, 1e22f, -3e37f, (float) Math.PI
        };
        for (int i = 0; i < x.length; i++) {
            x[i] = i < special.length ? special[i] : x[i] * 5;
        }
        int n = x.length;
        try (NvccProgram program = new NvccProgram(device, "functions")) {
            DeviceStorage out = program.output(4 * FUNCTIONS.length * n);
            program.launch(Launch.of(3, 64), program.floats(x), out, n);
            FloatBuffer got = program.result(out).asFloatBuffer();
            for (int f = 0; f < FUNCTIONS.length; f++) {
                for (int i = 0; i < n; i++) {
                    double expected = FUNCTIONS[f].truth().applyAsDouble(x[i]);
                    float nearest = (float) expected;
                    // one ulp is added for rounding the reference and for values next to a power of two
                    double bound = Float.isInfinite(nearest) ? 0 : (FUNCTIONS[f].ulp() + 1) * Math.ulp(nearest);
                    close(
                            Float.isInfinite(nearest) ? nearest : expected,
                            got.get(f * n + i),
                            bound,
                            FUNCTIONS[f].name() + " of " + x[i]);
                }
            }
        }
    }
}
