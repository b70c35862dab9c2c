package org.contrastive4j.internal.sim.exec;

import java.util.Map;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Operand;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * Comparisons and selections.
 *
 * <p>Tested by {@code CompareTest}.
 */
final class CompareSteps {
    static final Map<String, Decoder> FAMILY = Map.of(
            "setp",
            CompareSteps::setp,
            "set",
            CompareSteps::set,
            "selp",
            CompareSteps::selp,
            "slct",
            CompareSteps::slct,
            "testp",
            CompareSteps::testp);

    /** Whether a pair of lanes compares true. */
    private interface Test {
        boolean of(long a, long b);
    }

    private CompareSteps() {}

    private static Test test(Instruction in, String comparison, Type type) {
        if (type.isFloat()) {
            double least = !in.has(".ftz") ? 0 : type == Type.F16 ? 0x1p-14 : 0x1p-126;
            return (a, b) ->
                    real(comparison, flush(Numbers.decode(a, type), least), flush(Numbers.decode(b, type), least));
        }
        int n = type.bytes();
        boolean signed = type.isSigned();
        return switch (comparison) {
            case ".eq" -> (a, b) -> a == b;
            case ".ne" -> (a, b) -> a != b;
            case ".lt" ->
                signed
                        ? (a, b) -> Numbers.signed(a, n) < Numbers.signed(b, n)
                        : (a, b) -> Long.compareUnsigned(a, b) < 0;
            case ".le" ->
                signed
                        ? (a, b) -> Numbers.signed(a, n) <= Numbers.signed(b, n)
                        : (a, b) -> Long.compareUnsigned(a, b) <= 0;
            case ".gt" ->
                signed
                        ? (a, b) -> Numbers.signed(a, n) > Numbers.signed(b, n)
                        : (a, b) -> Long.compareUnsigned(a, b) > 0;
            case ".ge" ->
                signed
                        ? (a, b) -> Numbers.signed(a, n) >= Numbers.signed(b, n)
                        : (a, b) -> Long.compareUnsigned(a, b) >= 0;
            case ".lo" -> (a, b) -> Long.compareUnsigned(a, b) < 0;
            case ".ls" -> (a, b) -> Long.compareUnsigned(a, b) <= 0;
            case ".hi" -> (a, b) -> Long.compareUnsigned(a, b) > 0;
            case ".hs" -> (a, b) -> Long.compareUnsigned(a, b) >= 0;
            default -> throw Decoder.unknown(in);
        };
    }

    private static double flush(double value, double least) {
        return Math.abs(value) < least ? 0 : value;
    }

    private static boolean real(String comparison, double x, double y) {
        boolean unordered = x != x || y != y;
        return switch (comparison) {
            case ".eq" -> x == y;
            case ".ne" -> !unordered && x != y;
            case ".lt" -> x < y;
            case ".le" -> x <= y;
            case ".gt" -> x > y;
            case ".ge" -> x >= y;
            case ".equ" -> unordered || x == y;
            case ".neu" -> unordered || x != y;
            case ".ltu" -> unordered || x < y;
            case ".leu" -> unordered || x <= y;
            case ".gtu" -> unordered || x > y;
            case ".geu" -> unordered || x >= y;
            case ".num" -> !unordered;
            default -> unordered; // .nan
        };
    }

    private static int combine(Instruction in, int result, int with) {
        return in.has(".and") ? result & with : in.has(".or") ? result | with : in.has(".xor") ? result ^ with : result;
    }

    private static boolean combines(Instruction in) {
        return in.has(".and") || in.has(".or") || in.has(".xor");
    }

    private static @Nullable Step setp(Instruction in, Operands o) {
        Type type = Decoder.type(in);
        if (type == Type.F16X2 || type == Type.BF16X2) {
            return setpPacked(in, o, type == Type.F16X2 ? Type.F16 : Type.BF16);
        }
        Operand to = o.at(0);
        int p = o.predicateDestination(to instanceof Operand.Pair pair ? pair.first() : to);
        int q = to instanceof Operand.Pair pair ? o.predicateDestination(pair.second()) : -1;
        int a = o.source(1, type);
        int b = o.source(2, type);
        Test test = test(in, Decoder.modifier(in, 0), type);
        boolean combines = combines(in);
        int c = combines ? o.predicate(3) : 0;
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                int bits = 0;
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    bits |= test.of(warp.r[a + lane], warp.r[b + lane]) ? 1 << lane : 0;
                }
                int with = combines ? Lanewise.test(warp, c) : 0;
                Lanewise.set(warp, p, mask, combine(in, bits, with));
                if (q >= 0) {
                    Lanewise.set(warp, q, mask, combine(in, ~bits, with));
                }
            }
        }.definedWhere((warp, mask, operands) -> combines ? operands | deciding(in, warp, c) : operands);
    }

    /** Lanes where the predicate that a comparison is combined with decides alone. */
    private static int deciding(Instruction in, Warp warp, int c) {
        int with = Lanewise.test(warp, c);
        return Lanewise.known(warp, c) & (in.has(".and") ? ~with : in.has(".or") ? with : 0);
    }

    /** Two halves, two predicates. */
    private static @Nullable Step setpPacked(Instruction in, Operands o, Type half) {
        if (!(o.at(0) instanceof Operand.Pair pair)) {
            return null;
        }
        int p = o.predicateDestination(pair.first());
        int q = o.predicateDestination(pair.second());
        int a = o.source(1, Type.B32);
        int b = o.source(2, Type.B32);
        boolean combines = combines(in);
        int c = combines ? o.predicate(3) : 0;
        String comparison = Decoder.modifier(in, 0);
        double least = in.has(".ftz") ? half == Type.F16 ? 0x1p-14 : 0x1p-126 : 0;
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                int low = 0;
                int high = 0;
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    long x = warp.r[a + lane];
                    long y = warp.r[b + lane];
                    low |= packed(comparison, x & 0xFFFF, y & 0xFFFF, half, least) ? 1 << lane : 0;
                    high |= packed(comparison, x >>> 16, y >>> 16, half, least) ? 1 << lane : 0;
                }
                int with = combines ? Lanewise.test(warp, c) : 0;
                Lanewise.set(warp, p, mask, combine(in, low, with));
                Lanewise.set(warp, q, mask, combine(in, high, with));
            }
        };
    }

    /** All ones or 1.0 where true. */
    private static Step set(Instruction in, Operands o) {
        Type to = Decoder.type(in, 0);
        Type type = Decoder.type(in);
        if (type == Type.F16X2 || type == Type.BF16X2) {
            return setPacked(in, o, type == Type.F16X2 ? Type.F16 : Type.BF16, to);
        }
        int d = o.destination(0);
        int a = o.source(1, type);
        int b = o.source(2, type);
        Test test = test(in, Decoder.modifier(in, 0), type);
        long truth = to.isFloat() ? Numbers.encode(1, to, Numbers.Rounding.NEAREST) : Numbers.mask(-1, to.bytes());
        boolean combines = combines(in);
        int c = combines ? o.predicate(3) : 0;
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                int with = combines ? Lanewise.test(warp, c) : 0;
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    int bit = test.of(warp.r[a + lane], warp.r[b + lane]) ? 1 : 0;
                    warp.r[d + lane] = (combine(in, bit, with >>> lane & 1) & 1) != 0 ? truth : 0;
                }
            }
        };
    }

    private static Step setPacked(Instruction in, Operands o, Type half, Type to) {
        String comparison = Decoder.modifier(in, 0);
        long truth = to == Type.F16X2 || to == Type.BF16X2 ? Numbers.encode(1, half, Numbers.Rounding.NEAREST) : 0xFFFF;
        double least = in.has(".ftz") ? half == Type.F16 ? 0x1p-14 : 0x1p-126 : 0;
        return Lanewise.two(
                o.destination(0),
                o.source(1, Type.B32),
                o.source(2, Type.B32),
                (x, y) -> (packed(comparison, x & 0xFFFF, y & 0xFFFF, half, least) ? truth : 0)
                        | (packed(comparison, x >>> 16, y >>> 16, half, least) ? truth << 16 : 0));
    }

    private static boolean packed(String comparison, long x, long y, Type half, double least) {
        return real(comparison, flush(Numbers.decode(x, half), least), flush(Numbers.decode(y, half), least));
    }

    private static Step selp(Instruction in, Operands o) {
        Type type = Decoder.type(in);
        int d = o.destination(0);
        int a = o.source(1, type);
        int b = o.source(2, type);
        int p = o.predicate(3);
        int first = o.register(1);
        int second = o.register(2);
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                int yes = Lanewise.test(warp, p);
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    warp.r[d + lane] = warp.r[((yes >>> lane & 1) != 0 ? a : b) + lane];
                }
            }
        }.definedWhere((warp, mask, operands) -> {
            int yes = Lanewise.test(warp, p);
            return Lanewise.known(warp, p)
                    & (yes & Lanewise.knownRegister(warp, first) | ~yes & Lanewise.knownRegister(warp, second));
        });
    }

    private static Step slct(Instruction in, Operands o) {
        Type type = Decoder.type(in, 0);
        Type by = Decoder.type(in, 1);
        boolean flush = in.has(".ftz");
        return Lanewise.three(o.destination(0), o.source(1, type), o.source(2, type), o.source(3, by), (a, b, c) -> {
            if (by == Type.F32) {
                float value = flush ? Numbers.flush(Numbers.f32(c)) : Numbers.f32(c);
                return value >= 0 ? a : b;
            }
            return (int) c >= 0 ? a : b;
        });
    }

    private static Step testp(Instruction in, Operands o) {
        Type type = Decoder.type(in);
        int p = o.predicateDestination(o.at(0));
        int a = o.source(1, type);
        String what = Decoder.modifier(in, 0);
        double least = type == Type.F32 ? Float.MIN_NORMAL : Double.MIN_NORMAL;
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                int bits = 0;
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    double x = Numbers.decode(warp.r[a + lane], type);
                    boolean is =
                            switch (what) {
                                case ".finite" -> Double.isFinite(x);
                                case ".infinite" -> Double.isInfinite(x);
                                case ".number" -> x == x;
                                case ".notanumber" -> x != x;
                                case ".normal" -> Double.isFinite(x) && (x == 0 || Math.abs(x) >= least);
                                default -> Double.isFinite(x) && x != 0 && Math.abs(x) < least; // .subnormal
                            };
                    bits |= is ? 1 << lane : 0;
                }
                Lanewise.set(warp, p, mask, bits);
            }
        };
    }
}
