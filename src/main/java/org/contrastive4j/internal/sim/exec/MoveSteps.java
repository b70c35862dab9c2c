package org.contrastive4j.internal.sim.exec;

import java.util.Map;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Operand;
import org.contrastive4j.internal.parse.Type;

/**
 * mov with packing and unpacking, and conversions of addresses between windows.
 *
 * <p>Tested by {@code MemoryConformanceTest}.
 */
final class MoveSteps {
    static final Map<String, Decoder> FAMILY = Map.of(
            "mov",
            MoveSteps::move,
            "cvta",
            MoveSteps::window,
            "isspacep",
            MoveSteps::inWindow,
            "mapa",
            MoveSteps::map,
            "getctarank",
            MoveSteps::rank);

    private MoveSteps() {}

    private static Step move(Instruction in, Operands o) {
        Type type = Decoder.type(in);
        if (type == Type.PRED) {
            return movePredicate(o);
        }
        if (o.at(0) instanceof Operand.Vec && o.at(1) instanceof Operand.Vec) {
            return moveVector(in, o, type);
        }
        if (o.at(0) instanceof Operand.Vec) {
            return unpack(in, o, type);
        }
        if (o.at(1) instanceof Operand.Vec) {
            return pack(in, o, type);
        }
        int d = o.destination(0);
        if (o.at(1) instanceof Operand.Special special && Specials.isChanging(special.name())) {
            return new Step() {
                @Override
                void run(Warp warp, int mask) {
                    for (int left = mask; left != 0; left &= left - 1) {
                        warp.r[d + Integer.numberOfTrailingZeros(left)] = Specials.clock(special.name(), warp);
                    }
                }
            };
        }
        int a = o.source(1, type);
        return Lanewise.one(d, a, type.bytes() == 8 ? x -> x : x -> Numbers.mask(x, type.bytes()));
    }

    private static Step movePredicate(Operands o) {
        int d = o.predicateDestination(o.at(0));
        if (o.at(1) instanceof Operand.Special) {
            int row = o.source(1, Type.B32);
            return new Step() {
                @Override
                void run(Warp warp, int mask) {
                    Lanewise.set(warp, d, mask, warp.r[row] != 0 ? -1 : 0);
                }
            };
        }
        int a = o.predicate(1);
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                Lanewise.set(warp, d, mask, Lanewise.test(warp, a));
            }
        };
    }

    /** mov.v2 and mov.v4: all sources are read before the first element is written. */
    private static Step moveVector(Instruction in, Operands o, Type type) {
        int[] to = o.destinations(0);
        int[] from = o.sources(1, type);
        if (to.length != from.length) {
            throw in.error(to.length + " registers are given " + from.length + " values");
        }
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                long[] values = new long[from.length];
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    for (int k = 0; k < from.length; k++) {
                        values[k] = warp.r[from[k] + lane];
                    }
                    for (int k = 0; k < to.length; k++) {
                        warp.r[to[k] + lane] = Numbers.mask(values[k], type.bytes());
                    }
                }
            }
        };
    }

    private static int partBits(Instruction in, int parts, Type type) {
        if (parts != 2 && parts != 4 || parts > type.bytes()) {
            throw in.error(type + " is not made of " + parts + " parts");
        }
        return 8 * type.bytes() / parts;
    }

    private static Step unpack(Instruction in, Operands o, Type type) {
        int bits = partBits(in, o.vector(0).size(), type);
        int[] parts = o.destinations(0);
        int a = o.source(1, type);
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    long value = warp.r[a + lane];
                    for (int k = 0; k < parts.length; k++) {
                        warp.r[parts[k] + lane] = Numbers.mask(value >>> k * bits, bits / 8);
                    }
                }
            }
        };
    }

    private static Step pack(Instruction in, Operands o, Type type) {
        int d = o.destination(0);
        int bits = partBits(in, o.vector(1).size(), type);
        int[] parts = o.sources(1, bits == 32 ? Type.B32 : bits == 16 ? Type.B16 : Type.B8);
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    long value = 0;
                    for (int k = 0; k < parts.length; k++) {
                        value |= Numbers.mask(warp.r[parts[k] + lane], bits / 8) << k * bits;
                    }
                    warp.r[d + lane] = value;
                }
            }
        };
    }

    private static long base(Instruction in) {
        return in.has(".shared") || in.has(".shared::cta") || in.has(".shared::cluster")
                ? Windows.SHARED
                : in.has(".local") ? Windows.LOCAL : in.has(".param") ? Windows.PARAM : 0;
    }

    private static Step window(Instruction in, Operands o) {
        Type type = Decoder.type(in);
        long base = base(in);
        boolean to = in.has(".to");
        return Lanewise.one(o.destination(0), o.source(1, type), a -> base == 0 ? a : to ? a - base : a + base);
    }

    private static Step inWindow(Instruction in, Operands o) {
        int p = o.predicateDestination(o.at(0));
        int a = o.source(1, Type.B64);
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                int bits = 0;
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    long address = warp.r[a + lane];
                    boolean shared = Windows.isShared(address);
                    boolean own = shared && Windows.rank(address - Windows.SHARED, warp.cta.rank()) == warp.cta.rank();
                    boolean is = in.has(".shared::cluster")
                            ? shared
                            : in.has(".shared") || in.has(".shared::cta")
                                    ? own
                                    : in.has(".local")
                                            ? Windows.isLocal(address)
                                            : !shared
                                                    && !Windows.isLocal(address)
                                                    && in.has(".global") != isConstant(warp, address)
                                                    && !in.has(".param");
                    bits |= is ? 1 << lane : 0;
                }
                Lanewise.set(warp, p, mask, bits);
            }
        };
    }

    private static boolean isConstant(Warp warp, long address) {
        Region block = warp.cta.cluster().grid().memory().find(address);
        return block != null && block.space() == Region.Space.CONST && address < block.base() + block.bytes();
    }

    /** Maps an address to the shared memory of another block of the cluster. */
    private static Step map(Instruction in, Operands o) {
        Type type = Decoder.type(in);
        boolean generic = !in.has(".shared::cluster");
        int d = o.destination(0);
        int a = o.source(1, type);
        int rank = o.source(2, Type.U32);
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    long target = warp.r[rank + lane];
                    if (target >= warp.cta.cluster().ctas().size()) {
                        throw warp.fault(
                                Fault.Kind.ILLEGAL,
                                this,
                                lane,
                                "block " + target + " of a cluster of "
                                        + warp.cta.cluster().ctas().size());
                    }
                    long address = warp.r[a + lane] - (generic ? Windows.SHARED : 0);
                    warp.r[d + lane] = Windows.inBlock(address, (int) target) + (generic ? Windows.SHARED : 0);
                }
            }
        };
    }

    private static Step rank(Instruction in, Operands o) {
        Type type = Decoder.type(in);
        boolean generic = !in.has(".shared::cluster");
        int d = o.destination(0);
        int a = o.source(1, type);
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    warp.r[d + lane] = Windows.rank(warp.r[a + lane] - (generic ? Windows.SHARED : 0), warp.cta.rank());
                }
            }
        };
    }
}
