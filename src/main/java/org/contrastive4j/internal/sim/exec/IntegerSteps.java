package org.contrastive4j.internal.sim.exec;

import java.util.HashMap;
import java.util.Map;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * Decodes integer arithmetic. Opcodes that floating-point types share are decoded by the floating-point families.
 *
 * <p>A decoder, and each method that contributes to one, returns null if the simulator does not support the variant of
 * the instruction; {@link Decoder#of} then throws an exception that names it.
 *
 * <p>Tested by {@code IntegerTest}.
 */
final class IntegerSteps {
    static final Map<String, Decoder> FAMILY = family();

    private IntegerSteps() {}

    private static Map<String, Decoder> family() {
        Map<String, Decoder> all = new HashMap<>();
        for (String opcode : new String[] {"add", "sub", "div", "rem", "min", "max", "abs", "neg"}) {
            all.put(opcode, IntegerSteps::arithmetic);
        }
        all.put("mul", IntegerSteps::multiply);
        all.put("mad", IntegerSteps::multiplyAdd);
        all.put("mul24", IntegerSteps::multiply24);
        all.put("mad24", IntegerSteps::multiply24);
        all.put("sad", IntegerSteps::sumOfAbsoluteDifferences);
        all.put("addc", IntegerSteps::carry);
        all.put("subc", IntegerSteps::carry);
        all.put("madc", IntegerSteps::carryMultiply);
        for (String opcode :
                new String[] {"popc", "clz", "brev", "bfind", "bfe", "bfi", "fns", "szext", "bmsk", "dp4a", "dp2a"}) {
            all.put(opcode, BitSteps::decode);
        }
        return all;
    }

    /** Decodes a floating-point variant of an opcode; returns null for a type that is not a floating-point type. */
    private static @Nullable Step decodeFloatingPoint(Instruction in, Operands o, Type type) {
        return switch (type) {
            case F32, F64 -> FloatSteps.decode(in, o);
            case F16, F16X2, BF16, BF16X2 -> HalfSteps.decode(in, o);
            default -> null;
        };
    }

    private static @Nullable Step arithmetic(Instruction in, Operands o) {
        if (in.has(".u16x2") || in.has(".s16x2")) {
            return packed(in, o, in.has(".s16x2") ? Type.S16 : Type.U16);
        }
        Type type = Decoder.type(in);
        if (type.isFloat()) {
            return decodeFloatingPoint(in, o, type);
        }
        if (in.has(".cc")) {
            return carry(in, o);
        }
        int n = type.bytes();
        int d = o.destination(0);
        int a = o.source(1, type);
        if (in.opcode().equals("abs") || in.opcode().equals("neg")) {
            boolean abs = in.opcode().equals("abs");
            return Lanewise.one(d, a, x -> {
                long v = Numbers.signed(x, n);
                return Numbers.mask(abs ? Math.abs(v) : -v, n);
            });
        }
        int b = o.source(2, type);
        Lanewise.Two f = binary(in, type, n);
        return f == null ? null : Lanewise.two(d, a, b, rectified(in, f, n));
    }

    /** Returns the operation with .relu applied: negative results become 0. Without .relu, returns it as it is. */
    private static Lanewise.Two rectified(Instruction in, Lanewise.Two f, int n) {
        return !in.has(".relu") ? f : (a, b) -> Numbers.signed(f.of(a, b), n) < 0 ? 0 : f.of(a, b);
    }

    /**
     * Decodes .u16x2 and .s16x2: applies the 16-bit operation to both halves of 32-bit registers. Returns null for an
     * unsupported opcode.
     */
    private static @Nullable Step packed(Instruction in, Operands o, Type half) {
        Lanewise.Two plain = binary(in, half, 2);
        if (plain == null) {
            return null;
        }
        Lanewise.Two f = rectified(in, plain, 2);
        return Lanewise.two(
                o.destination(0),
                o.source(1, Type.B32),
                o.source(2, Type.B32),
                (a, b) -> f.of(a & 0xFFFF, b & 0xFFFF) | f.of(a >>> 16, b >>> 16) << 16);
    }

    /**
     * Returns an operation of two operands of n bytes, or null for an unsupported opcode. With .sat, which PTX defines
     * only for .s32 add and sub, the result is clamped to the range of int.
     */
    private static Lanewise.@Nullable Two binary(Instruction in, Type type, int n) {
        boolean signed = type.isSigned();
        if (in.has(".sat") && type == Type.S32) {
            boolean add = in.opcode().equals("add");
            return (a, b) -> Math.max(
                            Integer.MIN_VALUE,
                            Math.min(Integer.MAX_VALUE, add ? (int) a + (long) (int) b : (int) a - (long) (int) b))
                    & 0xFFFFFFFFL;
        }
        return switch (in.opcode()) {
            case "add" -> n == 4 ? (a, b) -> a + b & 0xFFFFFFFFL : (a, b) -> Numbers.mask(a + b, n);
            case "sub" -> (a, b) -> Numbers.mask(a - b, n);
            case "min" ->
                signed
                        ? (a, b) -> Numbers.signed(a, n) <= Numbers.signed(b, n) ? a : b
                        : (a, b) -> Long.compareUnsigned(a, b) <= 0 ? a : b;
            case "max" ->
                signed
                        ? (a, b) -> Numbers.signed(a, n) >= Numbers.signed(b, n) ? a : b
                        : (a, b) -> Long.compareUnsigned(a, b) >= 0 ? a : b;
            case "div" -> (a, b) -> Numbers.mask(divide(a, b, n, signed), n);
            case "rem" -> (a, b) -> Numbers.mask(remainder(a, b, n, signed), n);
            default -> null;
        };
    }

    /**
     * Divides. Division by zero returns all ones, as on NVIDIA GPUs; the PTX ISA leaves the result unspecified.
     */
    private static long divide(long a, long b, int n, boolean signed) {
        if (b == 0) {
            return -1;
        }
        return signed ? Numbers.signed(a, n) / Numbers.signed(b, n) : Long.divideUnsigned(a, b);
    }

    /**
     * Computes the remainder. The remainder of a division by zero is the dividend; the PTX ISA leaves the result
     * unspecified.
     */
    private static long remainder(long a, long b, int n, boolean signed) {
        if (b == 0) {
            return a;
        }
        return signed ? Numbers.signed(a, n) % Numbers.signed(b, n) : Long.remainderUnsigned(a, b);
    }

    /** Returns the upper n bytes of the product of 2 n bytes. */
    private static long high(long a, long b, int n, boolean signed) {
        if (n < 8) {
            return signed ? Numbers.signed(a, n) * Numbers.signed(b, n) >> 8 * n : a * b >>> 8 * n;
        }
        long high = Math.multiplyHigh(a, b);
        return signed ? high : high + (a >> 63 & b) + (b >> 63 & a);
    }

    /** Returns the product of mul, mad and madc by .wide, .hi or .lo, or null if none of them is given. */
    private static Lanewise.@Nullable Two product(Instruction in, Type type) {
        int n = type.bytes();
        boolean signed = type.isSigned();
        if (in.has(".wide")) {
            return signed
                    ? (a, b) -> Numbers.mask(Numbers.signed(a, n) * Numbers.signed(b, n), 2 * n)
                    : (a, b) -> a * b;
        }
        if (in.has(".hi")) {
            return (a, b) -> Numbers.mask(high(a, b, n, signed), n);
        }
        return in.has(".lo") ? (a, b) -> Numbers.mask(a * b, n) : null;
    }

    private static @Nullable Step multiply(Instruction in, Operands o) {
        Type type = Decoder.type(in);
        if (type.isFloat()) {
            return decodeFloatingPoint(in, o, type);
        }
        Lanewise.Two product = product(in, type);
        return product == null ? null : Lanewise.two(o.destination(0), o.source(1, type), o.source(2, type), product);
    }

    private static @Nullable Step multiplyAdd(Instruction in, Operands o) {
        Type type = Decoder.type(in);
        if (type.isFloat()) {
            return decodeFloatingPoint(in, o, type);
        }
        if (in.has(".cc")) {
            return carryMultiply(in, o);
        }
        Lanewise.Two product = product(in, type);
        if (product == null) {
            return null;
        }
        Type wide = in.has(".wide") ? type.bytes() == 4 ? Type.B64 : Type.B32 : type;
        int d = o.destination(0);
        int a = o.source(1, type);
        int b = o.source(2, type);
        int c = o.source(3, wide);
        if (in.has(".sat")) {
            return Lanewise.three(
                    d,
                    a,
                    b,
                    c,
                    (x, y, z) -> Math.max(
                                    Integer.MIN_VALUE,
                                    Math.min(Integer.MAX_VALUE, (int) product.of(x, y) + (long) (int) z))
                            & 0xFFFFFFFFL);
        }
        int n = wide.bytes();
        return n == 4 && in.has(".lo")
                ? Lanewise.three(d, a, b, c, (x, y, z) -> x * y + z & 0xFFFFFFFFL)
                : Lanewise.three(d, a, b, c, (x, y, z) -> Numbers.mask(product.of(x, y) + z, n));
    }

    /** Decodes mul24 and mad24: the product of the lower 24 bits of the operands; mad24 adds a third operand. */
    private static Step multiply24(Instruction in, Operands o) {
        Type type = Decoder.type(in);
        boolean signed = type.isSigned();
        boolean high = in.has(".hi");
        int d = o.destination(0);
        int a = o.source(1, type);
        int b = o.source(2, type);
        Lanewise.Two product = (x, y) -> {
            long p = signed ? (x << 40 >> 40) * (y << 40 >> 40) : (x & 0xFFFFFF) * (y & 0xFFFFFF);
            return (high ? p >> 16 : p) & 0xFFFFFFFFL;
        };
        if (in.opcode().equals("mul24")) {
            return Lanewise.two(d, a, b, product);
        }
        int c = o.source(3, type);
        return in.has(".sat")
                ? Lanewise.three(
                        d,
                        a,
                        b,
                        c,
                        (x, y, z) -> Math.max(
                                        Integer.MIN_VALUE,
                                        Math.min(Integer.MAX_VALUE, (int) product.of(x, y) + (long) (int) z))
                                & 0xFFFFFFFFL)
                : Lanewise.three(d, a, b, c, (x, y, z) -> product.of(x, y) + z & 0xFFFFFFFFL);
    }

    /** Decodes sad: c + |a - b|. */
    private static Step sumOfAbsoluteDifferences(Instruction in, Operands o) {
        Type type = Decoder.type(in);
        int n = type.bytes();
        return Lanewise.three(o.destination(0), o.source(1, type), o.source(2, type), o.source(3, type), (a, b, c) -> {
            long x = Numbers.whole(a, type);
            long y = Numbers.whole(b, type);
            boolean less = type.isSigned() ? x < y : Long.compareUnsigned(x, y) < 0;
            return Numbers.mask(c + (less ? y - x : x - y), n);
        });
    }

    /**
     * Decodes add.cc, addc, sub.cc and subc. The carry flag is one bit per lane. A subtraction adds the complement of b
     * and a carry of 1, so that the flag afterwards is the complement of the borrow.
     */
    private static Step carry(Instruction in, Operands o) {
        Type type = Decoder.type(in);
        int n = type.bytes();
        int d = o.destination(0);
        int a = o.source(1, type);
        int b = o.source(2, type);
        boolean add = in.opcode().startsWith("add");
        boolean readsCarry = in.opcode().endsWith("c");
        boolean writesCarry = in.has(".cc");
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                for (int activeLanes = mask; activeLanes != 0; activeLanes &= activeLanes - 1) {
                    int lane = Integer.numberOfTrailingZeros(activeLanes);
                    long x = warp.r[a + lane];
                    long y = add ? warp.r[b + lane] : Numbers.mask(~warp.r[b + lane], n);
                    long carryIn = readsCarry ? warp.carry >>> lane & 1 : add ? 0 : 1;
                    long sum = Numbers.mask(x + y + carryIn, n);
                    boolean carryOut = n < 8
                            ? (x + y + carryIn) >>> 8 * n != 0
                            : Long.compareUnsigned(sum, x) < 0 || carryIn == 1 && sum == x && y == -1;
                    warp.r[d + lane] = sum;
                    if (writesCarry) {
                        warp.carry = warp.carry & ~(1 << lane) | (carryOut ? 1 << lane : 0);
                    }
                }
            }
        };
    }

    /** Decodes mad.cc and madc; returns null for .wide, which PTX does not define for them. */
    private static @Nullable Step carryMultiply(Instruction in, Operands o) {
        Type type = Decoder.type(in);
        int n = type.bytes();
        Lanewise.Two product = product(in, type);
        if (product == null || in.has(".wide")) {
            return null;
        }
        int d = o.destination(0);
        int a = o.source(1, type);
        int b = o.source(2, type);
        int c = o.source(3, type);
        boolean readsCarry = in.opcode().equals("madc");
        boolean writesCarry = in.has(".cc");
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                for (int activeLanes = mask; activeLanes != 0; activeLanes &= activeLanes - 1) {
                    int lane = Integer.numberOfTrailingZeros(activeLanes);
                    long x = product.of(warp.r[a + lane], warp.r[b + lane]);
                    long y = warp.r[c + lane];
                    long carryIn = readsCarry ? warp.carry >>> lane & 1 : 0;
                    long sum = Numbers.mask(x + y + carryIn, n);
                    boolean carryOut = n < 8
                            ? (x + y + carryIn) >>> 8 * n != 0
                            : Long.compareUnsigned(sum, x) < 0 || carryIn == 1 && sum == x && y == -1;
                    warp.r[d + lane] = sum;
                    if (writesCarry) {
                        warp.carry = warp.carry & ~(1 << lane) | (carryOut ? 1 << lane : 0);
                    }
                }
            }
        };
    }
}
