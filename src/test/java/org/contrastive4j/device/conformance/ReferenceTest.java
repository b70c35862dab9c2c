package org.contrastive4j.device.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** The expected values of the tables agree with Java's arithmetic, and a wrong lane is detected. */
class ReferenceTest {
    private static final Arithmetic SINGLE = Arithmetic.of(Format.F32, Mode.RN);
    private static final Arithmetic DOUBLE = Arithmetic.of(Format.F64, Mode.RN);

    @Test
    void roundToNearest_allOperations_agreesWithJava() {
        for (long[] x : Samples.of(1, List.of(Kind.F32, Kind.F32, Kind.F32))) {
            float a = Float.intBitsToFloat((int) x[0]);
            float b = Float.intBitsToFloat((int) x[1]);
            float c = Float.intBitsToFloat((int) x[2]);
            same(a + b, SINGLE.add(x[0], x[1]), x);
            same(a - b, SINGLE.subtract(x[0], x[1]), x);
            same(a * b, SINGLE.multiply(x[0], x[1]), x);
            same(a / b, SINGLE.divide(x[0], x[1]), x);
            same(Math.fma(a, b, c), SINGLE.fma(x[0], x[1], x[2]), x);
            same((float) Math.sqrt(a), SINGLE.squareRoot(x[0]), x);
        }
        for (long[] x : Samples.of(2, List.of(Kind.F64, Kind.F64, Kind.F64))) {
            double a = Double.longBitsToDouble(x[0]);
            double b = Double.longBitsToDouble(x[1]);
            double c = Double.longBitsToDouble(x[2]);
            same(a + b, DOUBLE.add(x[0], x[1]), x);
            same(a * b, DOUBLE.multiply(x[0], x[1]), x);
            same(a / b, DOUBLE.divide(x[0], x[1]), x);
            same(Math.fma(a, b, c), DOUBLE.fma(x[0], x[1], x[2]), x);
            same(Math.sqrt(a), DOUBLE.squareRoot(x[0]), x);
            same((float) a, SINGLE.convert(a), x);
        }
    }

    private static void same(float expected, Outcome outcome, long[] x) {
        assertTrue(
                outcome.accepts().test(Float.floatToRawIntBits(expected) & 0xffff_ffffL),
                () -> expected + " " + outcome.description() + text(x));
    }

    private static void same(double expected, Outcome outcome, long[] x) {
        assertTrue(
                outcome.accepts().test(Double.doubleToRawLongBits(expected)),
                () -> expected + " " + outcome.description() + text(x));
    }

    private static String text(long[] x) {
        return java.util.Arrays.stream(x).mapToObj(Long::toHexString).collect(Collectors.joining(", ", " of ", ""));
    }

    /** 3 / 7 and sqrt(2), to 60 digits: the result is on the correct side of the exact value and next to it. */
    @Test
    void directedRounding_irrationalResults_enclosesTheExactValue() {
        MathContext digits = new MathContext(60);
        BigDecimal quotient = new BigDecimal(3).divide(new BigDecimal(7), digits);
        encloses(quotient, mode -> Arithmetic.of(Format.F32, mode).divide(bits(3), bits(7)));
        encloses(quotient.negate(), mode -> Arithmetic.of(Format.F32, mode).divide(bits(-3), bits(7)));
        encloses(
                new BigDecimal(2).sqrt(digits),
                mode -> Arithmetic.of(Format.F32, mode).squareRoot(bits(2)));
    }

    private interface Rounded {
        Outcome in(Mode mode);
    }

    private static void encloses(BigDecimal exact, Rounded operation) {
        float down = Float.NaN;
        float nearest = exact.floatValue();
        for (float candidate : new float[] {Math.nextDown(nearest), nearest}) {
            if (new BigDecimal(candidate).compareTo(exact) < 0) {
                down = candidate;
            }
        }
        same(down, operation.in(Mode.RM), new long[0]);
        same(Math.nextUp(down), operation.in(Mode.RP), new long[0]);
        same(nearest, operation.in(Mode.RN), new long[0]);
        same(exact.signum() > 0 ? down : Math.nextUp(down), operation.in(Mode.RZ), new long[0]);
    }

    private static long bits(float value) {
        return Float.floatToRawIntBits(value) & 0xffff_ffffL;
    }

    @Test
    void smallFormats_edgeValues_areThePublishedOnes() {
        assertEquals(65504, Format.F16.toDouble(Format.F16.largest));
        assertEquals(Math.scalb(1.0, -24), Format.F16.toDouble(1));
        assertEquals(448, Format.E4M3.toDouble(Format.E4M3.largest));
        assertEquals(Math.scalb(1.0, -9), Format.E4M3.toDouble(1));
        assertEquals(57344, Format.E5M2.toDouble(Format.E5M2.largest));
        assertEquals(Math.scalb(1.0, -16), Format.E5M2.toDouble(1));
        assertEquals(0x3f80, Format.BF16.fromDouble(1, Mode.RN));
        assertEquals(0x7bff, Format.F16.fromDouble(65519.99, Mode.RN));
        assertEquals(0x7c00, Format.F16.fromDouble(65520, Mode.RN));
        assertEquals(0x3f80_2000, Format.TF32.fromDouble(1 + Math.scalb(1.0, -11), Mode.RNA));
        for (Format format : Format.values()) {
            if (format != Format.F64 && format != Format.F32 && format != Format.TF32) {
                for (long bits = 0; bits < format.signBit * 2; bits++) {
                    boolean nan = format.isNaN(bits);
                    assertEquals(nan ? format.nan() : bits, format.fromDouble(format.toDouble(bits), Mode.RZ));
                }
            }
        }
    }

    @Test
    void flushToZero_subnormalResults_becomeZero() {
        Arithmetic flushing = SINGLE.withFtz();
        assertTrue(
                flushing.multiply(bits(Float.MIN_NORMAL), bits(0.5f)).accepts().test(0));
        assertTrue(
                flushing.multiply(bits(Float.MIN_NORMAL), bits(-0.5f)).accepts().test(0x8000_0000L));
        assertTrue(flushing.add(bits(Float.MIN_VALUE), bits(1)).accepts().test(bits(1)));
        assertFalse(
                flushing.multiply(bits(Float.MIN_NORMAL), bits(0.5f)).accepts().test(bits(Float.MIN_NORMAL / 2)));
    }

    @Test
    void check_wrongLane_fails() {
        Row row =
                Row.of("add.u32", Kind.U32, List.of(Kind.U32, Kind.U32), x -> Outcome.bits(x[0] + x[1] & 0xffff_ffffL));
        long[][] results = row.lanes().stream()
                .map(x -> new long[] {x[0] + x[1] & 0xffff_ffffL})
                .toArray(long[][]::new);
        row.check(results);
        results[results.length - 1][0] ^= 1;
        AssertionError error = assertThrows(AssertionError.class, () -> row.check(results));
        assertTrue(error.getMessage().contains("add.u32, lane " + (results.length - 1)), error.getMessage());
        Row silent = Row.of("add.u32", Kind.U32, List.of(Kind.U32, Kind.U32), x -> Outcome.any());
        assertThrows(AssertionError.class, () -> silent.check(results));
    }

    /** Each table specifies a result for each of its lanes. */
    @Test
    void tables_allLanes_specifyAResult() {
        List<Supplier<List<Row>>> tables = List.of(
                IntegerTest::rows,
                LogicTest::rows,
                CompareTest::rows,
                FloatTest::rows,
                ApproximationTest::rows,
                HalfTest::rows,
                ConvertTest::rows);
        for (Supplier<List<Row>> table : tables) {
            for (Row row : table.get()) {
                assertEquals(0, row.lanes().size() % 32, row.kernel().name());
                boolean says = row.lanes().stream()
                        .flatMap(x -> java.util.Arrays.stream(row.expected().apply(x)))
                        .anyMatch(o -> !o.isAny());
                assertTrue(says, row.kernel().name());
            }
        }
    }
}
