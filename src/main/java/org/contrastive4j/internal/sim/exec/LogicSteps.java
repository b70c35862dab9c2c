package org.contrastive4j.internal.sim.exec;

import java.util.Map;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * Bitwise logic, shifts and byte permutes.
 *
 * <p>Tested by {@code LogicTest}.
 */
final class LogicSteps {
    static final Map<String, Decoder> FAMILY = Map.of(
            "and",
            LogicSteps::logic,
            "or",
            LogicSteps::logic,
            "xor",
            LogicSteps::logic,
            "not",
            LogicSteps::not,
            "cnot",
            LogicSteps::not,
            "lop3",
            LogicSteps::lop3,
            "shl",
            LogicSteps::shift,
            "shr",
            LogicSteps::shift,
            "shf",
            LogicSteps::funnel,
            "prmt",
            LogicSteps::permute);

    private LogicSteps() {}

    private static Step logic(Instruction in, Operands o) {
        Type type = Decoder.type(in);
        if (type == Type.PRED) {
            int d = o.predicateDestination(o.at(0));
            int a = o.predicate(1);
            int b = o.predicate(2);
            String opcode = in.opcode();
            return new Step() {
                @Override
                void run(Warp warp, int mask) {
                    int x = Lanewise.test(warp, a);
                    int y = Lanewise.test(warp, b);
                    Lanewise.set(warp, d, mask, opcode.equals("and") ? x & y : opcode.equals("or") ? x | y : x ^ y);
                }
            }.definedWhere((warp, mask, operands) -> opcode.equals("xor")
                    ? operands
                    : Lanewise.knownLogic(
                            opcode.equals("and"),
                            Lanewise.test(warp, a),
                            Lanewise.known(warp, a),
                            Lanewise.test(warp, b),
                            Lanewise.known(warp, b)));
        }
        int d = o.destination(0);
        int a = o.source(1, type);
        int b = o.source(2, type);
        return switch (in.opcode()) {
            case "and" -> {
                int first = o.register(1);
                int second = o.register(2);
                yield Lanewise.two(d, a, b, (x, y) -> x & y)
                        .definedWhere((warp, mask, operands) -> operands
                                | zeros(warp, mask, a) & Lanewise.knownRegister(warp, first)
                                | zeros(warp, mask, b) & Lanewise.knownRegister(warp, second));
            }
            case "or" -> Lanewise.two(d, a, b, (x, y) -> x | y);
            default -> Lanewise.two(d, a, b, (x, y) -> x ^ y);
        };
    }

    /** Lanes whose value is zero. */
    private static int zeros(Warp warp, int mask, int row) {
        int zeros = 0;
        for (int left = mask; left != 0; left &= left - 1) {
            int lane = Integer.numberOfTrailingZeros(left);
            zeros |= warp.r[row + lane] == 0 ? 1 << lane : 0;
        }
        return zeros;
    }

    private static Step not(Instruction in, Operands o) {
        Type type = Decoder.type(in);
        if (type == Type.PRED) {
            int d = o.predicateDestination(o.at(0));
            int a = o.predicate(1);
            return new Step() {
                @Override
                void run(Warp warp, int mask) {
                    Lanewise.set(warp, d, mask, ~Lanewise.test(warp, a));
                }
            };
        }
        int n = type.bytes();
        int d = o.destination(0);
        int a = o.source(1, type);
        return in.opcode().equals("not")
                ? Lanewise.one(d, a, x -> Numbers.mask(~x, n))
                : Lanewise.one(d, a, x -> x == 0 ? 1 : 0);
    }

    private static @Nullable Step lop3(Instruction in, Operands o) {
        if (!in.has(".b32") || in.has(".or") || in.has(".and")) {
            return null;
        }
        int table = (int) o.integer(4);
        return Lanewise.three(
                o.destination(0), o.source(1, Type.B32), o.source(2, Type.B32), o.source(3, Type.B32), (a, b, c) -> {
                    long result = 0;
                    for (int k = 0; k < 8; k++) {
                        if ((table >> k & 1) != 0) {
                            result |= ((k & 4) != 0 ? a : ~a) & ((k & 2) != 0 ? b : ~b) & ((k & 1) != 0 ? c : ~c);
                        }
                    }
                    return result & 0xFFFFFFFFL;
                });
    }

    private static Step shift(Instruction in, Operands o) {
        Type type = Decoder.type(in);
        int n = type.bytes();
        int bits = 8 * n;
        int d = o.destination(0);
        int a = o.source(1, type);
        int b = o.source(2, Type.U32);
        if (in.opcode().equals("shl")) {
            return Lanewise.two(d, a, b, (x, y) -> (y & 0xFFFFFFFFL) >= bits ? 0 : Numbers.mask(x << y, n));
        }
        return type.isSigned()
                ? Lanewise.two(
                        d, a, b, (x, y) -> Numbers.mask(Numbers.signed(x, n) >> Math.min(y & 0xFFFFFFFFL, 63), n))
                : Lanewise.two(d, a, b, (x, y) -> (y & 0xFFFFFFFFL) >= bits ? 0 : x >>> y);
    }

    private static Step funnel(Instruction in, Operands o) {
        boolean left = in.has(".l");
        boolean clamp = in.has(".clamp");
        return Lanewise.three(
                o.destination(0), o.source(1, Type.B32), o.source(2, Type.B32), o.source(3, Type.U32), (a, b, c) -> {
                    long both = b << 32 | a;
                    int by = clamp ? (int) Math.min(c, 32) : (int) c & 31;
                    return left ? both << by >>> 32 : (both >>> by) & 0xFFFFFFFFL;
                });
    }

    private static Step permute(Instruction in, Operands o) {
        String mode = in.modifiers().stream()
                .filter(modifier -> !modifier.equals(".b32"))
                .findFirst()
                .orElse("");
        return Lanewise.three(
                o.destination(0), o.source(1, Type.B32), o.source(2, Type.B32), o.source(3, Type.B32), (a, b, c) -> {
                    long both = b << 32 | a;
                    long result = 0;
                    for (int k = 0; k < 4; k++) {
                        int pick = select(mode, (int) c, k);
                        long value = both >>> 8 * (pick & 7) & 0xFF;
                        if ((pick & 8) != 0) {
                            value = (value & 0x80) != 0 ? 0xFF : 0;
                        }
                        result |= value << 8 * k;
                    }
                    return result;
                });
    }

    /** Index of the byte that becomes byte k; bit 3: replicate its sign. */
    private static int select(String mode, int control, int k) {
        int c = control & 3;
        return switch (mode) {
            case ".f4e" -> c + k;
            case ".b4e" -> c - k & 7;
            case ".rc8" -> c;
            case ".ecl" -> Math.max(c, k);
            case ".ecr" -> Math.min(c, k);
            case ".rc16" -> (c & 1) * 2 + (k & 1);
            default -> control >>> 4 * k & 15;
        };
    }
}
