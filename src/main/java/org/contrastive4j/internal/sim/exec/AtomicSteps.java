package org.contrastive4j.internal.sim.exec;

import java.util.Map;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * atom and red: lane after lane, so that lanes on one address are in the order of their numbers.
 *
 * <p>Tested by {@code AtomicConformanceTest}.
 */
final class AtomicSteps {
    static final Map<String, Decoder> FAMILY = Map.of("atom", AtomicSteps::decode, "red", AtomicSteps::decode);

    private AtomicSteps() {}

    private static @Nullable Step decode(Instruction in, Operands o) {
        if (in.has(".async")) {
            Lanewise.Three f = operation(in, Decoder.type(in));
            return f == null ? null : StoreAsync.decode(in, o, f);
        }
        boolean returns = in.opcode().equals("atom");
        Type type = Decoder.type(in);
        int first = returns ? 1 : 0;
        int[] to = returns ? o.destinations(0) : Step.NONE;
        Operands.Address address = o.address(first);
        boolean cas = in.has(".cas");
        int[] b = o.sources(first + 1, type);
        if (b.length == 0 || returns && to.length != b.length) {
            throw in.error(to.length + " results of " + b.length + " values");
        }
        int c = cas ? o.source(first + 2, type) : b[0];
        for (int k = first + (cas ? 3 : 2); k < o.count(); k++) {
            o.source(k, Type.B64); // cache policy
        }
        Lanewise.Three f = operation(in, type);
        if (f == null || type.bytes() > 8) {
            return null;
        }
        AddressResolver.Space space = MemorySteps.space(in, o, address);
        if (space != AddressResolver.Space.SHARED) {
            o.linker().communicatesAcrossBlocks();
        }
        return step(type, to, address, b, c, f, space, in);
    }

    private static Step step(
            Type type,
            int[] to,
            Operands.Address address,
            int[] b,
            int c,
            Lanewise.Three f,
            AddressResolver.Space space,
            Instruction in) {
        int n = type.bytes();
        int bytes = n * b.length;
        boolean block = in.has(".cta");
        boolean release = in.has(".release") || in.has(".acq_rel");
        boolean acquire = in.has(".acquire") || in.has(".acq_rel");
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                Access access = warp.access;
                MemorySteps.resolve(warp, this, mask, space, address.row(), address.offset(), bytes, access);
                MemorySteps.notifyObservers(warp, this, mask, bytes, Access.Kind.ATOMIC, true, block);
                MemoryOrder.beforeWrite(warp, mask, access, release, block);
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    Region target = access.blocks[lane];
                    for (int k = 0; k < b.length; k++) {
                        int at = access.offsets[lane] + k * n;
                        long old = target.load(at, n);
                        target.store(at, n, f.of(old, warp.r[b[k] + lane], warp.r[c + lane]));
                        if (to.length > 0) {
                            warp.r[to[k] + lane] = old;
                        }
                    }
                }
                MemoryOrder.afterRead(warp, mask, access, acquire, block);
            }
        };
    }

    private static Lanewise.@Nullable Three operation(Instruction in, Type type) {
        int n = type.bytes();
        for (String modifier : in.modifiers()) {
            switch (modifier) {
                case ".add" -> {
                    return sum(type);
                }
                case ".min", ".max" -> {
                    boolean min = modifier.equals(".min");
                    return type.isFloat()
                            ? extreme(type, min)
                            : (a, b, c) -> {
                                boolean less = type.isSigned()
                                        ? Numbers.signed(a, n) < Numbers.signed(b, n)
                                        : Long.compareUnsigned(a, b) < 0;
                                return less == min ? a : b;
                            };
                }
                case ".inc" -> {
                    return (a, b, c) -> Long.compareUnsigned(a, b) >= 0 ? 0 : a + 1;
                }
                case ".dec" -> {
                    return (a, b, c) -> a == 0 || Long.compareUnsigned(a, b) > 0 ? b : a - 1;
                }
                case ".and" -> {
                    return (a, b, c) -> a & b;
                }
                case ".or" -> {
                    return (a, b, c) -> a | b;
                }
                case ".xor" -> {
                    return (a, b, c) -> a ^ b;
                }
                case ".exch" -> {
                    return (a, b, c) -> b;
                }
                case ".cas" -> {
                    return (a, b, c) -> a == b ? c : a;
                }
                default -> {}
            }
        }
        return null;
    }

    static Lanewise.Three sum(Type type) {
        return switch (type) {
            case F32 -> (a, b, c) -> Numbers.bits(Numbers.f32(a) + Numbers.f32(b));
            case F64 -> (a, b, c) -> Numbers.bits(Numbers.f64(a) + Numbers.f64(b));
            case F16, BF16 -> (a, b, c) -> halfSum(a, b, type);
            case F16X2, BF16X2 -> {
                Type half = type == Type.F16X2 ? Type.F16 : Type.BF16;
                yield (a, b, c) -> halfSum(a & 0xFFFF, b & 0xFFFF, half) | halfSum(a >>> 16, b >>> 16, half) << 16;
            }
            default -> (a, b, c) -> Numbers.mask(a + b, type.bytes());
        };
    }

    private static long halfSum(long a, long b, Type half) {
        return Numbers.encode(
                Numbers.oddSum(Numbers.decode(a, half), Numbers.decode(b, half)), half, Numbers.Rounding.NEAREST);
    }

    static Lanewise.Three extreme(Type type, boolean min) {
        boolean packed = type == Type.F16X2 || type == Type.BF16X2;
        Type half = type == Type.F16X2 ? Type.F16 : type == Type.BF16X2 ? Type.BF16 : type;
        Lanewise.Two one = (a, b) -> {
            double x = Numbers.decode(a, half);
            double y = Numbers.decode(b, half);
            return x != x ? b : y != y ? a : (min ? Math.min(x, y) : Math.max(x, y)) == x ? a : b;
        };
        return !packed
                ? (a, b, c) -> one.of(a, b)
                : (a, b, c) -> one.of(a & 0xFFFF, b & 0xFFFF) | one.of(a >>> 16, b >>> 16) << 16;
    }
}
