package org.contrastive4j.device.conformance;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.function.LongUnaryOperator;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicNode;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** Integer arithmetic against BigInteger, truncated to the width of the result. */
class IntegerTest {
    private static final List<Kind> KINDS = List.of(Kind.U16, Kind.S16, Kind.U32, Kind.S32, Kind.U64, Kind.S64);
    private static final List<Kind> NARROW = List.of(Kind.U16, Kind.S16, Kind.U32, Kind.S32);

    @Tag("sampled")
    @TestFactory
    Stream<DynamicNode> instructions_everyRow_agreeWithTheDocumentation() {
        return Row.tests(rows());
    }

    static List<Row> rows() {
        List<Row> rows = new ArrayList<>();
        for (Kind kind : KINDS) {
            addAndMultiply(rows, kind);
            divideAndCompare(rows, kind);
        }
        NARROW.forEach(kind -> wide(rows, kind));
        saturating(rows);
        for (Kind kind : List.of(Kind.U32, Kind.S32, Kind.U64, Kind.S64)) {
            carries(rows, kind);
            fields(rows, kind);
        }
        multiply24(rows);
        bits(rows);
        dotProducts(rows);
        pairs(rows);
        return rows;
    }

    private static void addAndMultiply(List<Row> rows, Kind kind) {
        String type = "." + kind.ptx();
        rows.add(whole("add" + type, kind, 2, x -> x[0].add(x[1])));
        rows.add(whole("sub" + type, kind, 2, x -> x[0].subtract(x[1])));
        rows.add(whole("mul.lo" + type, kind, 2, x -> x[0].multiply(x[1])));
        rows.add(whole("mul.hi" + type, kind, 2, x -> x[0].multiply(x[1]).shiftRight(kind.bits)));
        rows.add(whole("mad.lo" + type, kind, 3, x -> x[0].multiply(x[1]).add(x[2])));
        rows.add(whole(
                "mad.hi" + type,
                kind,
                3,
                x -> x[0].multiply(x[1]).shiftRight(kind.bits).add(x[2])));
        rows.add(whole("sad" + type, kind, 3, x -> x[0].subtract(x[1]).abs().add(x[2])));
    }

    private static void divideAndCompare(List<Row> rows, Kind kind) {
        String type = "." + kind.ptx();
        rows.add(Row.of("div" + type, kind, Collections.nCopies(2, kind), x -> quotient(kind, x, BigInteger::divide)));
        rows.add(Row.of(
                "rem" + type, kind, Collections.nCopies(2, kind), x -> quotient(kind, x, BigInteger::remainder)));
        rows.add(whole("min" + type, kind, 2, x -> x[0].min(x[1])));
        rows.add(whole("max" + type, kind, 2, x -> x[0].max(x[1])));
        if (kind.signed) {
            rows.add(whole("abs" + type, kind, 1, x -> x[0].abs()));
            rows.add(whole("neg" + type, kind, 1, x -> x[0].negate()));
        }
    }

    /** Accepts any result of a division by zero and of the one quotient that overflows. */
    private static Outcome quotient(Kind kind, long[] x, BiFunction<BigInteger, BigInteger, BigInteger> operation) {
        BigInteger a = number(kind, x[0]);
        BigInteger b = number(kind, x[1]);
        boolean overflows = kind.signed
                && b.equals(BigInteger.ONE.negate())
                && a.bitLength() == kind.bits - 1
                && a.signum() < 0
                && a.negate().bitLength() == kind.bits;
        return b.signum() == 0 || overflows ? Outcome.any() : cut(kind, operation.apply(a, b));
    }

    private static void wide(List<Row> rows, Kind kind) {
        Kind twice = Kind.valueOf((kind.signed ? "S" : "U") + kind.bits * 2);
        rows.add(Row.of(
                "mul.wide." + kind.ptx(),
                twice,
                List.of(kind, kind),
                x -> cut(twice, number(kind, x[0]).multiply(number(kind, x[1])))));
        rows.add(Row.of(
                "mad.wide." + kind.ptx(),
                twice,
                List.of(kind, kind, twice),
                x -> cut(twice, number(kind, x[0]).multiply(number(kind, x[1])).add(number(twice, x[2])))));
    }

    private static void saturating(List<Row> rows) {
        rows.add(whole("add.sat.s32", Kind.S32, 2, x -> clamp(x[0].add(x[1]))));
        rows.add(whole("sub.sat.s32", Kind.S32, 2, x -> clamp(x[0].subtract(x[1]))));
        rows.add(whole(
                "mad.hi.sat.s32",
                Kind.S32,
                3,
                x -> clamp(x[0].multiply(x[1]).shiftRight(32).add(x[2]))));
    }

    /** Adds sums of three words, in which each instruction reads the carry of the one before. */
    private static void carries(List<Row> rows, Kind kind) {
        String type = "." + kind.ptx();
        int bits = kind.bits;
        rows.add(words(
                "add.cc" + type + ", addc.cc, addc",
                kind,
                """
                add.cc%1$s d, a, b;
                addc.cc%1$s d1, b, c;
                addc%1$s d2, c, a;""",
                x -> join(bits, x[0], x[1], x[2]).add(join(bits, x[1], x[2], x[0]))));
        rows.add(words(
                "sub.cc" + type + ", subc.cc, subc",
                kind,
                """
                sub.cc%1$s d, a, b;
                subc.cc%1$s d1, b, c;
                subc%1$s d2, c, a;""",
                x -> join(bits, x[0], x[1], x[2]).subtract(join(bits, x[1], x[2], x[0]))));
        rows.add(words("mad.lo.cc" + type + ", madc.hi.cc, addc", kind, """
                mad.lo.cc%1$s d, a, b, c;
                madc.hi.cc%1$s d1, a, b, c;
                addc%1$s d2, 0, 0;""", x -> {
            BigInteger product = number(kind, x[0]).multiply(number(kind, x[1]));
            BigInteger upper = BigInteger.valueOf(product.shiftRight(bits).longValue());
            return join(bits, product.longValue(), upper.longValue(), 0).add(join(bits, x[2], x[2], 0));
        }));
    }

    private static Row words(String name, Kind kind, String body, Function<long[], BigInteger> sum) {
        return Row.of(
                name,
                body.formatted("." + kind.ptx()),
                Collections.nCopies(3, kind),
                Collections.nCopies(3, kind),
                x -> {
                    BigInteger value = sum.apply(x);
                    return IntStream.range(0, 3)
                            .mapToObj(i -> cut(kind, value.shiftRight(i * kind.bits)))
                            .toArray(Outcome[]::new);
                });
    }

    private static BigInteger join(int bits, long low, long middle, long high) {
        return unsigned(low, bits)
                .or(unsigned(middle, bits).shiftLeft(bits))
                .or(unsigned(high, bits).shiftLeft(2 * bits));
    }

    private static void multiply24(List<Row> rows) {
        for (Kind kind : List.of(Kind.U32, Kind.S32)) {
            LongUnaryOperator low = x -> kind.signed ? x << 40 >> 40 : x & 0xff_ffff;
            String type = "." + kind.ptx();
            rows.add(low24(whole("mul24.lo" + type, kind, 2, x -> x[0].multiply(x[1])), low));
            rows.add(low24(
                    whole("mul24.hi" + type, kind, 2, x -> x[0].multiply(x[1]).shiftRight(16)), low));
            rows.add(low24(
                    whole("mad24.lo" + type, kind, 3, x -> x[0].multiply(x[1]).add(x[2])), low));
            rows.add(low24(
                    whole(
                            "mad24.hi" + type,
                            kind,
                            3,
                            x -> x[0].multiply(x[1]).shiftRight(16).add(x[2])),
                    low));
        }
        LongUnaryOperator low = x -> x << 40 >> 40;
        rows.add(low24(
                whole(
                        "mad24.hi.sat.s32",
                        Kind.S32,
                        3,
                        x -> clamp(x[0].multiply(x[1]).shiftRight(16).add(x[2]))),
                low));
    }

    private static Row low24(Row row, LongUnaryOperator low) {
        return row.with(0, low::applyAsLong).with(1, low::applyAsLong);
    }

    private static void bits(List<Row> rows) {
        for (Kind kind : List.of(Kind.B32, Kind.B64)) {
            int bits = kind.bits;
            rows.add(Row.of("popc." + kind.ptx(), Kind.U32, List.of(kind), x -> Outcome.bits(Long.bitCount(x[0]))));
            rows.add(Row.of(
                    "clz." + kind.ptx(),
                    Kind.U32,
                    List.of(kind),
                    x -> Outcome.bits(Long.numberOfLeadingZeros(x[0]) - 64 + bits)));
            rows.add(Row.of(
                    "brev." + kind.ptx(), kind, List.of(kind), x -> Outcome.bits(Long.reverse(x[0]) >>> 64 - bits)));
            rows.add(insert(kind));
        }
        rows.add(Row.of(
                        "fns.b32",
                        Kind.B32,
                        List.of(Kind.B32, Kind.U32, Kind.S32),
                        x -> Outcome.bits(nthSet((int) x[0], (int) x[1], (int) x[2])))
                .with(1, base -> base & 31)
                .with(2, offset -> offset % 34));
    }

    /** Runs the documented loop over the bits, which starts at the base. */
    private static long nthSet(int mask, int base, int offset) {
        if (offset == 0) {
            return (mask >>> base & 1) == 1 ? base : 0xffff_ffffL;
        }
        int left = Math.abs(offset);
        for (int position = base; position >= 0 && position < 32; position += Integer.signum(offset)) {
            left -= mask >>> position & 1;
            if (left == 0) {
                return position;
            }
        }
        return 0xffff_ffffL;
    }

    private static void fields(List<Row> rows, Kind kind) {
        String type = "." + kind.ptx();
        rows.add(Row.of("bfind" + type, Kind.U32, List.of(kind), x -> Outcome.bits(topBit(kind, x[0]) & 0xffff_ffffL)));
        rows.add(Row.of("bfind.shiftamt" + type, Kind.U32, List.of(kind), x -> {
            int top = topBit(kind, x[0]);
            return Outcome.bits(top < 0 ? 0xffff_ffffL : kind.bits - 1 - top);
        }));
        rows.add(Row.of("bfe" + type, kind, List.of(kind, Kind.U32, Kind.U32), x -> cut(kind, field(kind, x)))
                .with(1, IntegerTest::position)
                .with(2, IntegerTest::position));
    }

    /** Returns positions and lengths from 0 to 255, most of them near the width. */
    private static long position(long value) {
        return value % 3 == 0 ? value & 255 : value & 127;
    }

    /** Returns the position of the highest bit that differs from the sign, -1 if there is none. */
    private static int topBit(Kind kind, long value) {
        return 63 - Long.numberOfLeadingZeros(kind.signed && value < 0 ? ~value : value);
    }

    /**
     * Returns a bit field; bits beyond the operand repeat its sign, those beyond a signed field the sign of the field.
     */
    private static BigInteger field(Kind kind, long[] x) {
        BigInteger shifted = number(kind, x[0]).shiftRight((int) x[1]);
        int length = (int) x[2];
        BigInteger low = shifted.and(BigInteger.ONE.shiftLeft(length).subtract(BigInteger.ONE));
        boolean negative = kind.signed && length > 0 && shifted.testBit(length - 1);
        return negative ? low.subtract(BigInteger.ONE.shiftLeft(length)) : low;
    }

    private static Row insert(Kind kind) {
        return Row.of("bfi." + kind.ptx(), kind, List.of(kind, kind, Kind.U32, Kind.U32), x -> {
                    int position = (int) x[2];
                    BigInteger mask = BigInteger.ONE
                            .shiftLeft((int) x[3])
                            .subtract(BigInteger.ONE)
                            .shiftLeft(position);
                    BigInteger source = unsigned(x[0], kind.bits).shiftLeft(position);
                    return cut(kind, unsigned(x[1], kind.bits).andNot(mask).or(source.and(mask)));
                })
                .with(2, IntegerTest::position)
                .with(3, IntegerTest::position);
    }

    private static void dotProducts(List<Row> rows) {
        for (Kind a : List.of(Kind.U32, Kind.S32)) {
            for (Kind b : List.of(Kind.U32, Kind.S32)) {
                Kind sum = a.signed || b.signed ? Kind.S32 : Kind.U32;
                String types = "." + a.ptx() + "." + b.ptx();
                rows.add(Row.of(
                        "dp4a" + types,
                        sum,
                        List.of(a, b, sum),
                        x -> cut(
                                sum,
                                BigInteger.valueOf(IntStream.range(0, 4)
                                                .mapToLong(i -> part(a, x[0], 8, i) * part(b, x[1], 8, i))
                                                .sum()
                                        + x[2]))));
                for (int half = 0; half < 2; half++) {
                    int first = half * 2;
                    rows.add(Row.of(
                            "dp2a." + (half == 0 ? "lo" : "hi") + types,
                            sum,
                            List.of(a, b, sum),
                            x -> cut(
                                    sum,
                                    BigInteger.valueOf(IntStream.range(0, 2)
                                                    .mapToLong(i -> part(a, x[0], 16, i) * part(b, x[1], 8, first + i))
                                                    .sum()
                                            + x[2]))));
                }
            }
        }
    }

    private static long part(Kind kind, long value, int bits, int index) {
        long low = value >> index * bits;
        return kind.signed ? low << 64 - bits >> 64 - bits : low & Kind.mask(bits);
    }

    /** Adds operations on two 16-bit integers in one register. */
    private static void pairs(List<Row> rows) {
        for (Kind kind : List.of(Kind.U32, Kind.S32)) {
            String type = kind.signed ? ".s16x2" : ".u16x2";
            rows.add(pair("add" + type, kind, Long::sum));
            rows.add(pair("min" + type, kind, Math::min));
            rows.add(pair("max" + type, kind, Math::max));
        }
        rows.add(pair("min.relu.s16x2", Kind.S32, (a, b) -> Math.max(Math.min(a, b), 0)));
        rows.add(pair("max.relu.s16x2", Kind.S32, (a, b) -> Math.max(Math.max(a, b), 0)));
        rows.add(whole("min.relu.s32", Kind.S32, 2, x -> x[0].min(x[1]).max(BigInteger.ZERO))
                .from(90));
        rows.add(whole("max.relu.s32", Kind.S32, 2, x -> x[0].max(x[1]).max(BigInteger.ZERO))
                .from(90));
    }

    private static Row pair(String instruction, Kind kind, BiFunction<Long, Long, Long> operation) {
        return Row.of(instruction, Kind.B32, List.of(Kind.B32, Kind.B32), x -> {
                    long low = operation.apply(part(kind, x[0], 16, 0), part(kind, x[1], 16, 0));
                    long high = operation.apply(part(kind, x[0], 16, 1), part(kind, x[1], 16, 1));
                    return Outcome.bits((high & 0xffff) << 16 | low & 0xffff);
                })
                .from(90);
    }

    /** Adds an operation whose operands and result have one kind. */
    private static Row whole(
            String instruction, Kind kind, int operands, Function<BigInteger[], BigInteger> operation) {
        return Row.of(instruction, kind, Collections.nCopies(operands, kind), x -> {
            BigInteger[] numbers = IntStream.range(0, operands)
                    .mapToObj(i -> number(kind, x[i]))
                    .toArray(BigInteger[]::new);
            return cut(kind, operation.apply(numbers));
        });
    }

    private static BigInteger number(Kind kind, long bits) {
        return kind.signed ? BigInteger.valueOf(bits) : unsigned(bits, kind.bits);
    }

    private static BigInteger unsigned(long value, int bits) {
        return new BigInteger(Long.toUnsignedString(value & Kind.mask(bits)));
    }

    private static Outcome cut(Kind kind, BigInteger value) {
        return Outcome.bits(value.longValue() & Kind.mask(kind.bits));
    }

    private static BigInteger clamp(BigInteger value) {
        return value.max(BigInteger.valueOf(Integer.MIN_VALUE)).min(BigInteger.valueOf(Integer.MAX_VALUE));
    }
}
