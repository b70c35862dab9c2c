package org.contrastive4j.internal.sim.exec;

import java.util.HashMap;
import java.util.Map;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Operand;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * ld and st in every state space, with vectors, cache hints and memory-model semantics; prefetches do nothing but
 * check.
 *
 * <p>Tested by {@code MemoryConformanceTest}.
 */
final class MemorySteps {
    static final Map<String, Decoder> FAMILY = family();

    private MemorySteps() {}

    private static Map<String, Decoder> family() {
        Map<String, Decoder> all = new HashMap<>();
        all.put("ld", MemorySteps::load);
        all.put("ldu", MemorySteps::load);
        all.put("st", MemorySteps::store);
        for (String opcode : new String[] {"prefetch", "prefetchu", "applypriority", "discard"}) {
            all.put(opcode, MemorySteps::hint);
        }
        all.put("createpolicy", MemorySteps::policy);
        return all;
    }

    static AddressResolver.Space space(Instruction in, Operands o, Operands.Address address) {
        for (String modifier : in.modifiers()) {
            switch (modifier) {
                case ".global" -> {
                    return AddressResolver.Space.GLOBAL;
                }
                case ".const" -> {
                    return AddressResolver.Space.CONST;
                }
                case ".shared", ".shared::cta", ".shared::cluster" -> {
                    return AddressResolver.Space.SHARED;
                }
                case ".local" -> {
                    return AddressResolver.Space.LOCAL;
                }
                case ".param", ".param::entry", ".param::func" -> {
                    return o.linker().isKernelParameter(address.variable())
                                    || address.variable() == null && o.linker().isInEntry()
                            ? AddressResolver.Space.PARAM
                            : AddressResolver.Space.LOCAL;
                }
                default -> {}
            }
        }
        return AddressResolver.Space.GENERIC;
    }

    static boolean isStrong(Instruction in) {
        return in.has(".volatile") || in.has(".relaxed") || in.has(".acquire") || in.has(".release") || in.has(".mmio");
    }

    /** What one lane loads or stores: {@code parts} values of {@code bytes} each. */
    private record Shape(
            Type type,
            int[] rows,
            AddressResolver.Space space,
            int base,
            long offset,
            boolean strong,
            boolean blockScope,
            boolean isVolatile) {}

    private static @Nullable Step load(Instruction in, Operands o) {
        Type type = Decoder.type(in);
        int[] rows = o.destinations(0);
        Operands.Address address = o.address(1);
        int n = type.bytes();
        if (n > 8 || in.has(".v8")) {
            return null;
        }
        Shape shape = new Shape(
                type,
                rows,
                space(in, o, address),
                address.row(),
                address.offset(),
                isStrong(in),
                in.has(".cta"),
                in.has(".volatile"));
        noteCommunication(in, o, shape);
        boolean acquire = in.has(".acquire");
        boolean words = n == 4 && rows.length == 1 && !type.isSigned();
        int[] widths = o.vector(0).stream()
                .mapToInt(element -> element instanceof Operand.Reg reg
                        ? Math.max(n, reg.register().type().bytes())
                        : n)
                .toArray();
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                Access access = reach(warp, this, mask, shape, Access.Kind.READ);
                if (words) {
                    loadWords(warp.r, rows[0], mask, access);
                } else {
                    loadParts(warp, mask, access);
                }
                if (shape.strong()) {
                    MemoryOrder.afterRead(warp, mask, access, acquire, shape.blockScope());
                }
            }

            private void loadParts(Warp warp, int mask, Access access) {
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    for (int k = 0; k < rows.length; k++) {
                        long value = access.blocks[lane].load(access.offsets[lane] + k * n, n);
                        warp.r[rows[k] + lane] =
                                type.isSigned() ? Numbers.mask(Numbers.signed(value, n), widths[k]) : value;
                    }
                }
            }
        };
    }

    private static void loadWords(long[] r, int row, int mask, Access access) {
        for (int left = mask; left != 0; left &= left - 1) {
            int lane = Integer.numberOfTrailingZeros(left);
            r[row + lane] = access.blocks[lane].loadWord(access.offsets[lane]);
        }
    }

    private static @Nullable Step store(Instruction in, Operands o) {
        Type type = Decoder.type(in);
        if (in.has(".async")) {
            return StoreAsync.decode(in, o, null);
        }
        Operands.Address address = o.address(0);
        int n = type.bytes();
        if (n > 8) {
            return null;
        }
        int[] rows = o.sources(1, type);
        Shape shape = new Shape(
                type,
                rows,
                space(in, o, address),
                address.row(),
                address.offset(),
                isStrong(in),
                in.has(".cta"),
                in.has(".volatile"));
        noteCommunication(in, o, shape);
        boolean release = in.has(".release");
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                Access access = reach(warp, this, mask, shape, Access.Kind.WRITE);
                if (shape.strong()) {
                    MemoryOrder.beforeWrite(warp, mask, access, release, shape.blockScope());
                }
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    for (int k = 0; k < rows.length; k++) {
                        access.blocks[lane].store(access.offsets[lane] + k * n, n, warp.r[rows[k] + lane]);
                    }
                }
            }
        };
    }

    /** Blocks communicate by strong accesses to global memory. */
    private static void noteCommunication(Instruction in, Operands o, Shape shape) {
        if (shape.strong()
                && (shape.space() == AddressResolver.Space.GLOBAL || shape.space() == AddressResolver.Space.GENERIC)) {
            o.linker().communicatesAcrossBlocks();
        }
    }

    private static Access reach(Warp warp, Step step, int mask, Shape shape, Access.Kind kind) {
        Access access = warp.access;
        int bytes = shape.type().bytes() * shape.rows().length;
        resolve(warp, step, mask, shape.space(), shape.base(), shape.offset(), bytes, access);
        if (kind == Access.Kind.WRITE && shape.space() != AddressResolver.Space.SHARED) {
            checkWritable(warp, step, mask, access);
        }
        if (warp.accessObservers.length > 0) {
            access.rows = shape.rows();
            access.partBytes = shape.type().bytes();
            access.isVolatile = shape.isVolatile();
            notifyObservers(warp, step, mask, bytes, kind, shape.strong(), shape.blockScope());
            access.rows = null;
            access.isVolatile = false;
        }
        return access;
    }

    /** Resolves the addresses of all lanes; where not all are in one region, lane after lane. */
    static void resolve(
            Warp warp,
            Step step,
            int mask,
            AddressResolver.Space space,
            int row,
            long offset,
            int bytes,
            Access access) {
        if (AddressResolver.resolveTogether(warp, mask, space, row, offset, bytes, access)) {
            return;
        }
        for (int left = mask; left != 0; left &= left - 1) {
            int lane = Integer.numberOfTrailingZeros(left);
            AddressResolver.resolve(warp, step, lane, space, warp.r[row + lane] + offset, bytes, bytes, access);
        }
    }

    private static void checkWritable(Warp warp, Step step, int mask, Access access) {
        for (int left = mask; left != 0; left &= left - 1) {
            int lane = Integer.numberOfTrailingZeros(left);
            if (access.blocks[lane].space() == Region.Space.CONST) {
                throw warp.fault(
                        Fault.Kind.OUT_OF_BOUNDS, step, lane, "write to constant memory " + access.blocks[lane]);
            }
        }
    }

    /** Tells observers of an access that {@code warp.access} has the places of. */
    static void notifyObservers(Warp warp, Step step, int mask, int bytes, Access.Kind kind, boolean strong) {
        notifyObservers(warp, step, mask, bytes, kind, strong, false);
    }

    static void notifyObservers(
            Warp warp, Step step, int mask, int bytes, Access.Kind kind, boolean strong, boolean blockScope) {
        Observer[] observers = warp.accessObservers;
        if (observers.length > 0) {
            Access access = warp.access;
            access.bytes = bytes;
            access.kind = kind;
            access.strong = strong;
            access.blockScope = blockScope;
            access.async = null;
            access.measure(mask);
            for (Observer observer : observers) {
                observer.access(warp, step, mask, access);
            }
        }
    }

    /** Nothing is fetched; a hint out of bounds is no error on a GPU either. */
    private static Step hint(Instruction in, Operands o) {
        if (o.count() > 0) {
            o.address(0);
        }
        return ControlSteps.nothing();
    }

    private static Step policy(Instruction in, Operands o) {
        int d = o.destination(0);
        for (int k = 1; k < o.count(); k++) {
            if (o.at(k) instanceof Operand.Reg || o.at(k) instanceof Operand.Mem) {
                if (o.at(k) instanceof Operand.Mem) {
                    o.address(k);
                } else {
                    o.source(k, Type.B32);
                }
            }
        }
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                for (int left = mask; left != 0; left &= left - 1) {
                    warp.r[d + Integer.numberOfTrailingZeros(left)] = 0x12F0000000000000L;
                }
            }
        };
    }
}
