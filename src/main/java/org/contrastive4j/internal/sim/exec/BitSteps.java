package org.contrastive4j.internal.sim.exec;

import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Type;

/**
 * Instructions on the bits of whole numbers.
 *
 * <p>Tested by {@code LogicTest}.
 */
final class BitSteps {
    private BitSteps() {}

    static Step decode(Instruction in, Operands o) {
        Type type = Decoder.type(in);
        int n = type.bytes();
        int bits = 8 * n;
        int d = o.destination(0);
        return switch (in.opcode()) {
            case "popc" -> Lanewise.one(d, o.source(1, type), Long::bitCount);
            case "clz" -> Lanewise.one(d, o.source(1, type), a -> Long.numberOfLeadingZeros(a) - (64 - bits));
            case "brev" -> Lanewise.one(d, o.source(1, type), a -> Long.reverse(a) >>> 64 - bits);
            case "bfind" -> find(d, o.source(1, type), type, in.has(".shiftamt"));
            case "bfe" -> extract(d, o.source(1, type), o.source(2, Type.U32), o.source(3, Type.U32), type);
            case "bfi" -> insert(d, o, type);
            case "fns" ->
                Lanewise.three(d, o.source(1, Type.B32), o.source(2, Type.B32), o.source(3, Type.S32), BitSteps::nth);
            case "szext" ->
                Lanewise.two(
                        d, o.source(1, type), o.source(2, Type.U32), (a, b) -> extend(a, b, type, in.has(".clamp")));
            case "bmsk" ->
                Lanewise.two(
                        d, o.source(1, Type.B32), o.source(2, Type.B32), (a, b) -> bitMask(a, b, in.has(".clamp")));
            case "dp4a" -> dot(in, o, d, 4);
            default -> dot(in, o, d, 2);
        };
    }

    private static Step find(int d, int source, Type type, boolean shift) {
        int bits = 8 * type.bytes();
        return Lanewise.one(d, source, a -> {
            long v = Numbers.whole(a, type);
            v = type.isSigned() && v < 0 ? Numbers.mask(~v, type.bytes()) : Numbers.mask(v, type.bytes());
            if (v == 0) {
                return 0xFFFFFFFFL;
            }
            int at = 63 - Long.numberOfLeadingZeros(v);
            return shift ? bits - 1 - at : at;
        });
    }

    private static Step extract(int d, int source, int position, int length, Type type) {
        int n = type.bytes();
        int bits = 8 * n;
        return Lanewise.three(d, source, position, length, (a, b, c) -> {
            int pos = (int) (b & 0xFF);
            int len = (int) (c & 0xFF);
            long v = Numbers.whole(a, type);
            if (len == 0) {
                return 0;
            }
            long field = pos >= bits ? type.isSigned() && v < 0 ? -1 : 0 : v >> pos;
            if (!type.isSigned()) {
                field = pos >= bits ? 0 : Numbers.mask(a, n) >>> pos;
                return len >= bits ? field : field & (1L << len) - 1;
            }
            int top = Math.min(pos + len - 1, bits - 1);
            boolean negative = (a >>> top & 1) != 0;
            long low = len >= 64 ? field : field & (1L << len) - 1;
            if (pos + len > bits || len >= bits) {
                low = pos >= bits ? 0 : Numbers.mask(a, n) >>> pos;
                int have = Math.max(0, bits - pos);
                return Numbers.mask(negative && have < 64 ? low | -1L << have : low, n);
            }
            return Numbers.mask(negative && len < 64 ? low | -1L << len : low, n);
        });
    }

    private static Step insert(int d, Operands o, Type type) {
        int n = type.bytes();
        int bits = 8 * n;
        int a = o.source(1, type);
        int b = o.source(2, type);
        int position = o.source(3, Type.U32);
        int length = o.source(4, Type.U32);
        return new Step() {
            @Override
            void run(Warp warp, int mask) {
                for (int left = mask; left != 0; left &= left - 1) {
                    int lane = Integer.numberOfTrailingZeros(left);
                    int pos = (int) (warp.r[position + lane] & 0xFF);
                    int len = (int) Math.min(warp.r[length + lane] & 0xFF, Math.max(0, bits - pos));
                    long field = pos >= bits || len == 0 ? 0 : (len >= 64 ? -1L : (1L << len) - 1) << pos;
                    long into = warp.r[b + lane];
                    warp.r[d + lane] =
                            Numbers.mask(into & ~field | (pos >= 64 ? 0 : warp.r[a + lane] << pos) & field, n);
                }
            }
        };
    }

    /** The offset-th set bit from a base on. */
    private static long nth(long value, long base, long offset) {
        int step = (int) offset;
        int at = (int) base;
        int left = step < 0 ? -step : step;
        int direction = step < 0 ? -1 : 1;
        if (left == 0) {
            return at < 32 && (value >>> at & 1) != 0 ? at : 0xFFFFFFFFL;
        }
        for (; at >= 0 && at < 32; at += direction) {
            if ((value >>> at & 1) != 0 && --left == 0) {
                return at;
            }
        }
        return 0xFFFFFFFFL;
    }

    private static long extend(long value, long bits, Type type, boolean clamp) {
        int n = clamp ? (int) Math.min(bits, 32) : (int) bits & 31;
        if (n == 0) {
            return 0;
        }
        long low = value & (1L << n) - 1;
        return (type.isSigned() && (low >>> n - 1 & 1) != 0 ? low | -1L << n : low) & 0xFFFFFFFFL;
    }

    private static long bitMask(long from, long length, boolean clamp) {
        int at = clamp ? (int) Math.min(from, 32) : (int) from & 31;
        int n = clamp ? (int) Math.min(length, 32) : (int) length & 31;
        return ((1L << n) - 1) << at & 0xFFFFFFFFL;
    }

    private static Step dot(Instruction in, Operands o, int d, int terms) {
        Type typeA = Decoder.type(in, 0);
        Type typeB = Decoder.type(in, 1);
        boolean high = in.has(".hi");
        return Lanewise.three(d, o.source(1, Type.B32), o.source(2, Type.B32), o.source(3, Type.B32), (a, b, c) -> {
            long sum = c;
            for (int k = 0; k < terms; k++) {
                long x = terms == 4 ? part(a, k, 1, typeA) : part(a, k, 2, typeA);
                sum += x * part(b, terms == 4 ? k : high ? k + 2 : k, 1, typeB);
            }
            return sum & 0xFFFFFFFFL;
        });
    }

    private static long part(long value, int index, int bytes, Type type) {
        long bits = Numbers.mask(value >>> 8 * bytes * index, bytes);
        return type.isSigned() ? Numbers.signed(bits, bytes) : bits;
    }
}
