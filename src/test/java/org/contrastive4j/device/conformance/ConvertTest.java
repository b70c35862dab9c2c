package org.contrastive4j.device.conformance;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicNode;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** {@code cvt} between integers, floating-point formats, and both. */
class ConvertTest {
    private static final List<Kind> INTEGERS =
            List.of(Kind.U8, Kind.S8, Kind.U16, Kind.S16, Kind.U32, Kind.S32, Kind.U64, Kind.S64);
    private static final List<Kind> FLOATS = List.of(Kind.F16, Kind.F32, Kind.F64);
    private static final List<Mode> MODES = List.of(Mode.RN, Mode.RZ, Mode.RM, Mode.RP);

    @Tag("sampled")
    @TestFactory
    Stream<DynamicNode> instructions_everyRow_agreeWithTheDocumentation() {
        return Row.tests(rows());
    }

    static List<Row> rows() {
        List<Row> rows = new ArrayList<>();
        for (Kind to : INTEGERS) {
            for (Kind from : INTEGERS) {
                integers(rows, to, from);
            }
            FLOATS.forEach(from -> toInteger(rows, to, from));
            FLOATS.forEach(target -> fromInteger(rows, target, to));
        }
        FLOATS.forEach(kind -> integral(rows, kind));
        narrowing(rows);
        widening(rows);
        bfloat(rows);
        tensorFloat(rows);
        packed(rows);
        eightBits(rows);
        packs(rows);
        return rows;
    }

    private static void integers(List<Row> rows, Kind to, Kind from) {
        String types = to.ptx() + "." + from.ptx();
        rows.add(Row.of("cvt." + types, to, List.of(from), x -> stored(to, x[0])));
        if (exceeds(from, to)) {
            rows.add(Row.of(
                    "cvt.sat." + types,
                    to,
                    List.of(from),
                    x -> stored(to, clamp(to, number(from, x[0])).longValue())));
        }
    }

    /** Returns whether a value can need clamping; otherwise the assembler refuses {@code .sat}. */
    private static boolean exceeds(Kind from, Kind to) {
        return from.signed && !to.signed || from.bits - (from.signed ? 1 : 0) > to.bits - (to.signed ? 1 : 0);
    }

    /** Extends a byte to its 32-bit register. */
    private static Outcome stored(Kind to, long value) {
        return Outcome.bits(to.extend(value) & Kind.mask(to.storedBits));
    }

    private static void toInteger(List<Row> rows, Kind to, Kind from) {
        for (Mode mode : MODES) {
            String rounding = "cvt." + mode.ptx() + "i.";
            String types = to.ptx() + "." + from.ptx();
            rows.add(Row.of(rounding + types, to, List.of(from), x -> integer(to, from, mode, x[0])));
            if (from == Kind.F32) {
                rows.add(Row.of(
                        rounding + "ftz." + types,
                        to,
                        List.of(from),
                        x -> integer(to, from, mode, Format.F32.flush(x[0]))));
            }
        }
    }

    /**
     * A value out of range becomes the nearest representable one. NaN becomes 0, or only the top bit where either side
     * has 64 bits.
     */
    private static Outcome integer(Kind to, Kind from, Mode mode, long bits) {
        double value = from.format.toDouble(bits);
        if (Double.isNaN(value)) {
            boolean wide = from == Kind.F64 || to.bits == 64;
            // The documentation is not clear about the result of 8 or 16 bits for NaN.
            return !wide ? Outcome.bits(0) : to.bits < 32 ? Outcome.any() : Outcome.bits(1L << to.bits - 1);
        }
        if (Double.isInfinite(value)) {
            return stored(
                    to,
                    clamp(to, BigInteger.ONE.shiftLeft(70).multiply(BigInteger.valueOf(value > 0 ? 1 : -1)))
                            .longValue());
        }
        return stored(to, clamp(to, Dyadic.of(value).roundedTo(0, mode)).longValue());
    }

    private static void fromInteger(List<Row> rows, Kind to, Kind from) {
        for (Mode mode : MODES) {
            Arithmetic arithmetic = Arithmetic.of(to.format, mode);
            String types = to.ptx() + "." + from.ptx();
            rows.add(Row.of(
                    "cvt." + mode.ptx() + "." + types, to, List.of(from), x -> arithmetic.convert(number(from, x[0]))));
        }
        Arithmetic saturating = Arithmetic.of(to.format, Mode.RN).withSat();
        rows.add(Row.of(
                "cvt.rn.sat." + to.ptx() + "." + from.ptx(),
                to,
                List.of(from),
                x -> saturating.convert(number(from, x[0]))));
    }

    /** Rounds to integers in the same format and keeps the sign of zero. */
    private static void integral(List<Row> rows, Kind kind) {
        String types = kind.ptx() + "." + kind.ptx();
        for (Mode mode : MODES) {
            rows.add(Row.of(
                    "cvt." + mode.ptx() + "i." + types, kind, List.of(kind), x -> whole(kind.format, mode, x[0])));
        }
        if (kind == Kind.F32) {
            rows.add(Row.of(
                    "cvt.rni.ftz.f32.f32",
                    kind,
                    List.of(kind),
                    x -> whole(kind.format, Mode.RN, kind.format.flush(x[0]))));
            rows.add(Row.of(
                    "cvt.ftz.f32.f32", kind, List.of(kind), x -> Outcome.number(kind.format, kind.format.flush(x[0]))));
        }
        Arithmetic saturating = Arithmetic.of(kind.format, Mode.RN).withSat();
        rows.add(Row.of("cvt.sat." + types, kind, List.of(kind), x -> saturating.convert(kind.format.toDouble(x[0]))));
    }

    private static Outcome whole(Format format, Mode mode, long bits) {
        if (!format.isFinite(bits)) {
            return Outcome.number(format, bits);
        }
        Dyadic value = Dyadic.of(Dyadic.of(format.toDouble(bits)).roundedTo(0, mode));
        return Outcome.bits(format.round(value, Mode.RN, format.isNegative(bits)));
    }

    private static void narrowing(List<Row> rows) {
        for (Mode mode : MODES) {
            rows.add(floats("cvt." + mode.ptx() + ".f32.f64", Kind.F32, Kind.F64, Arithmetic.of(Format.F32, mode)));
            rows.add(floats(
                    "cvt." + mode.ptx() + ".ftz.f32.f64",
                    Kind.F32,
                    Kind.F64,
                    Arithmetic.of(Format.F32, mode).withFtz()));
            rows.add(floats("cvt." + mode.ptx() + ".f16.f32", Kind.F16, Kind.F32, Arithmetic.of(Format.F16, mode)));
            rows.add(floats("cvt." + mode.ptx() + ".f16.f64", Kind.F16, Kind.F64, Arithmetic.of(Format.F16, mode)));
        }
        rows.add(floats(
                "cvt.rn.sat.f32.f64",
                Kind.F32,
                Kind.F64,
                Arithmetic.of(Format.F32, Mode.RN).withSat()));
        rows.add(floats(
                "cvt.rn.sat.f16.f32",
                Kind.F16,
                Kind.F32,
                Arithmetic.of(Format.F16, Mode.RN).withSat()));
        rows.add(floats(
                "cvt.rn.relu.f16.f32",
                Kind.F16,
                Kind.F32,
                Arithmetic.of(Format.F16, Mode.RN).withRelu()));
        rows.add(Row.of(
                "cvt.rn.ftz.f16.f32",
                Kind.F16,
                List.of(Kind.F32),
                x -> Arithmetic.of(Format.F16, Mode.RN).convert(Format.F32.toDouble(Format.F32.flush(x[0])))));
    }

    private static void widening(List<Row> rows) {
        Arithmetic single = Arithmetic.of(Format.F32, Mode.RN);
        Arithmetic wide = Arithmetic.of(Format.F64, Mode.RN);
        rows.add(floats("cvt.f32.f16", Kind.F32, Kind.F16, single).on(Samples.all16()));
        rows.add(floats("cvt.sat.f32.f16", Kind.F32, Kind.F16, single.withSat()));
        rows.add(floats("cvt.f64.f16", Kind.F64, Kind.F16, wide));
        rows.add(floats("cvt.f64.f32", Kind.F64, Kind.F32, wide));
        rows.add(floats("cvt.sat.f64.f32", Kind.F64, Kind.F32, wide.withSat()));
        rows.add(Row.of(
                "cvt.ftz.f64.f32",
                Kind.F64,
                List.of(Kind.F32),
                x -> wide.convert(Format.F32.toDouble(Format.F32.flush(x[0])))));
    }

    private static void bfloat(List<Row> rows) {
        for (Mode mode : List.of(Mode.RN, Mode.RZ)) {
            Arithmetic arithmetic = Arithmetic.of(Format.BF16, mode);
            rows.add(floats("cvt." + mode.ptx() + ".bf16.f32", Kind.BF16, Kind.F32, arithmetic));
            rows.add(floats("cvt." + mode.ptx() + ".relu.bf16.f32", Kind.BF16, Kind.F32, arithmetic.withRelu()));
        }
        rows.add(floats("cvt.f32.bf16", Kind.F32, Kind.BF16, Arithmetic.of(Format.F32, Mode.RN))
                .from(90)
                .on(Samples.all16()));
        rows.add(floats("cvt.rn.bf16.f16", Kind.BF16, Kind.F16, Arithmetic.of(Format.BF16, Mode.RN))
                .from(90));
        rows.add(floats("cvt.rn.f16.bf16", Kind.F16, Kind.BF16, Arithmetic.of(Format.F16, Mode.RN))
                .from(90));
        rows.add(floats("cvt.rn.bf16.f64", Kind.BF16, Kind.F64, Arithmetic.of(Format.BF16, Mode.RN))
                .from(90));
        rows.add(floats("cvt.f64.bf16", Kind.F64, Kind.BF16, Arithmetic.of(Format.F64, Mode.RN))
                .from(90));
        for (Kind integer : List.of(Kind.S32, Kind.U32, Kind.S64)) {
            rows.add(Row.of(
                            "cvt.rn.bf16." + integer.ptx(),
                            Kind.BF16,
                            List.of(integer),
                            x -> Arithmetic.of(Format.BF16, Mode.RN).convert(number(integer, x[0])))
                    .from(90));
            rows.add(Row.of(
                            "cvt.rzi." + integer.ptx() + ".bf16",
                            integer,
                            List.of(Kind.BF16),
                            x -> integer(integer, Kind.BF16, Mode.RZ, x[0]))
                    .from(90));
        }
    }

    /** Ignores bits below the fraction of the result. */
    private static void tensorFloat(List<Row> rows) {
        rows.add(tensorFloat("cvt.rna.tf32.f32", Arithmetic.of(Format.TF32, Mode.RNA)));
        rows.add(tensorFloat("cvt.rn.tf32.f32", Arithmetic.of(Format.TF32, Mode.RN))
                .from(90));
        rows.add(tensorFloat("cvt.rz.tf32.f32", Arithmetic.of(Format.TF32, Mode.RZ))
                .from(90));
        rows.add(tensorFloat(
                        "cvt.rn.relu.tf32.f32",
                        Arithmetic.of(Format.TF32, Mode.RN).withRelu())
                .from(90));
    }

    private static Row tensorFloat(String instruction, Arithmetic arithmetic) {
        return Row.of(instruction, Kind.TF32, List.of(Kind.F32), x -> {
            Outcome expected = arithmetic.convert(Format.F32.toDouble(x[0]));
            return new Outcome(got -> expected.accepts().test(got & -1L << Format.TF32.unused), expected.description());
        });
    }

    /** Converts two operands; the first one is the upper half of the result. */
    private static void packed(List<Row> rows) {
        for (Kind kind : List.of(Kind.F16X2, Kind.BF16X2)) {
            for (Mode mode : List.of(Mode.RN, Mode.RZ)) {
                Arithmetic plain = Arithmetic.of(kind.format, mode);
                String rounding = "cvt." + mode.ptx();
                rows.add(pair(rounding + "." + kind.ptx() + ".f32", kind, plain));
                rows.add(pair(rounding + ".relu." + kind.ptx() + ".f32", kind, plain.withRelu()));
            }
        }
    }

    private static Row pair(String instruction, Kind kind, Arithmetic arithmetic) {
        return Row.of(
                instruction,
                kind,
                List.of(Kind.F32, Kind.F32),
                x -> Outcome.packed(
                        16,
                        arithmetic.convert(Format.F32.toDouble(x[0])),
                        arithmetic.convert(Format.F32.toDouble(x[1]))));
    }

    /** Saturates values out of range and infinity to the largest number; NaN becomes 0x7f. */
    private static void eightBits(List<Row> rows) {
        for (Kind kind : List.of(Kind.E4M3X2, Kind.E5M2X2)) {
            Format format = kind.format;
            for (boolean relu : new boolean[] {false, true}) {
                String modifiers = relu ? "cvt.rn.satfinite.relu." : "cvt.rn.satfinite.";
                rows.add(Row.of(
                                modifiers + kind.ptx() + ".f32",
                                kind,
                                List.of(Kind.F32, Kind.F32),
                                x -> Outcome.packed(
                                        8,
                                        finite(format, relu, Format.F32.toDouble(x[0])),
                                        finite(format, relu, Format.F32.toDouble(x[1]))))
                        .from(90));
                rows.add(Row.of(
                                modifiers + kind.ptx() + ".f16x2",
                                kind,
                                List.of(Kind.F16X2),
                                x -> Outcome.packed(
                                        8,
                                        finite(format, relu, Format.F16.toDouble(x[0] >>> 16)),
                                        finite(format, relu, Format.F16.toDouble(x[0] & 0xffff))))
                        .from(90));
            }
            for (boolean relu : new boolean[] {false, true}) {
                Arithmetic exact = Arithmetic.of(Format.F16, Mode.RN);
                Arithmetic arithmetic = relu ? exact.withRelu() : exact;
                rows.add(Row.of(
                                (relu ? "cvt.rn.relu.f16x2." : "cvt.rn.f16x2.") + kind.ptx(),
                                Kind.F16X2,
                                List.of(kind),
                                x -> Outcome.packed(
                                        16,
                                        arithmetic.convert(format.toDouble(x[0] >>> 8)),
                                        arithmetic.convert(format.toDouble(x[0] & 0xff))))
                        .from(90)
                        .on(Samples.all16()));
            }
        }
    }

    private static Outcome finite(Format format, boolean relu, double value) {
        if (Double.isNaN(value)) {
            return Outcome.bits(0x7f);
        }
        double most = format.toDouble(format.largest);
        Arithmetic arithmetic = Arithmetic.of(format, Mode.RN);
        return (relu ? arithmetic.withRelu() : arithmetic).convert(Math.max(-most, Math.min(most, value)));
    }

    /** Packs two clamped integers, the first one above; bytes are placed below the lower half of c. */
    private static void packs(List<Row> rows) {
        for (Kind to : List.of(Kind.U16, Kind.S16)) {
            rows.add(Row.of(
                    "cvt.pack.sat." + to.ptx() + ".s32",
                    Kind.B32,
                    List.of(Kind.S32, Kind.S32),
                    x -> Outcome.bits(packed(to, x[0], x[1]))));
        }
        for (Kind to : List.of(Kind.U8, Kind.S8)) {
            rows.add(Row.of(
                    "cvt.pack.sat." + to.ptx() + ".s32.b32",
                    Kind.B32,
                    List.of(Kind.S32, Kind.S32, Kind.B32),
                    x -> Outcome.bits((x[2] << 16 | packed(to, x[0], x[1])) & 0xffff_ffffL)));
        }
    }

    private static long packed(Kind to, long upper, long lower) {
        long mask = Kind.mask(to.bits);
        return (clamp(to, BigInteger.valueOf(upper)).longValue() & mask) << to.bits
                | clamp(to, BigInteger.valueOf(lower)).longValue() & mask;
    }

    private static Row floats(String instruction, Kind to, Kind from, Arithmetic arithmetic) {
        return Row.of(instruction, to, List.of(from), x -> arithmetic.convert(from.format.toDouble(x[0])));
    }

    private static BigInteger number(Kind kind, long bits) {
        return kind.signed ? BigInteger.valueOf(bits) : new BigInteger(Long.toUnsignedString(bits));
    }

    private static BigInteger clamp(Kind to, BigInteger value) {
        int bits = to.signed ? to.bits - 1 : to.bits;
        BigInteger most = BigInteger.ONE.shiftLeft(bits).subtract(BigInteger.ONE);
        BigInteger least = to.signed ? most.not() : BigInteger.ZERO;
        return value.max(least).min(most);
    }
}
