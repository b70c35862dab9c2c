package org.contrastive4j.internal.sim.exec;

import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * mma.sync of whole numbers of 8, 4 or 1 bits with sums of 32 bits, which wrap around or, with {@code .satfinite}, are
 * clamped.
 *
 * <p>Lane 4 g + q holds rows g and g + 8 of A, column g of B, and columns 2 q and 2 q + 1 of the sums.
 *
 * <p>Tested by {@code MatrixProductsTest}.
 */
final class IntegerMatrixStep extends Step {
    private static final Pattern SHAPE = Pattern.compile("\\.m(8|16)n8k(\\d{2,3})");
    private static final Pattern INPUT = Pattern.compile("\\.([sub])([841])");

    private final Elements elementsA;
    private final Elements elementsB;
    private final int m;
    private final int k;
    private final int[] d;
    private final int[] a;
    private final int[] b;
    private final int[] c;
    private final Operation operation;
    private final int metadata;
    private final int selector;

    /** Elements of an operand: their size in bits and whether they have a sign. */
    record Elements(int bits, boolean signed) {
        static @Nullable Elements of(String modifier) {
            Matcher parts = INPUT.matcher(modifier);
            if (!parts.matches()) {
                return null;
            }
            int bits = Integer.parseInt(parts.group(2));
            return (bits == 1) == parts.group(1).equals("b")
                    ? new Elements(bits, parts.group(1).equals("s"))
                    : null;
        }

        int perRegister() {
            return 32 / bits;
        }

        int value(long register, int index) {
            int shifted = (int) register << 32 - bits * (index + 1);
            return signed ? shifted >> 32 - bits : shifted >>> 32 - bits;
        }
    }

    /** How products are formed and summed. */
    enum Operation {
        MULTIPLY,
        MULTIPLY_CLAMPED,
        XOR_COUNT,
        AND_COUNT;

        static Operation of(Instruction in) {
            return in.has(".xor")
                    ? XOR_COUNT
                    : in.has(".and") ? AND_COUNT : in.has(".satfinite") ? MULTIPLY_CLAMPED : MULTIPLY;
        }

        /** Returns sum + left[at ...] . right[by ...]. */
        long dot(long sum, int[] left, int at, int[] right, int by, int k) {
            long total = (int) sum;
            for (int i = 0; i < k; i++) {
                int x = left[at + i];
                int y = right[by + i];
                total += this == XOR_COUNT ? x ^ y : x * y;
            }
            return (this == MULTIPLY_CLAMPED ? Math.max(Integer.MIN_VALUE, Math.min(Integer.MAX_VALUE, total)) : total)
                    & 0xFFFFFFFFL;
        }
    }

    private IntegerMatrixStep(
            Elements elementsA,
            Elements elementsB,
            int m,
            int k,
            int[] d,
            int[] a,
            int[] b,
            int[] c,
            Operation operation,
            int metadata,
            int selector) {
        this.elementsA = elementsA;
        this.elementsB = elementsB;
        this.m = m;
        this.k = k;
        this.d = d;
        this.a = a;
        this.b = b;
        this.c = c;
        this.operation = operation;
        this.metadata = metadata;
        this.selector = selector;
    }

    /** Returns the types of A and B; empty where they are not whole numbers. */
    static List<Elements> inputs(Instruction in) {
        return in.modifiers().stream()
                .map(Elements::of)
                .filter(elements -> elements != null)
                .toList();
    }

    /** Returns null for a shape that PTX does not have. */
    static @Nullable Step decode(Instruction in, Operands o, String shape) {
        List<Elements> inputs = inputs(in);
        Matcher sizes = SHAPE.matcher(shape);
        if (inputs.size() != 2 || inputs.get(0).bits() != inputs.get(1).bits() || !sizes.matches()) {
            return null;
        }
        int m = Integer.parseInt(sizes.group(1));
        int k = Integer.parseInt(sizes.group(2));
        int bits = inputs.get(0).bits();
        boolean sparse = MatrixSteps.isSparse(in);
        int most = (m == 8 ? 128 : sparse ? 512 : 256) / bits;
        if (k != most && (m == 8 || k != most / 2) || sparse && (m == 8 || bits == 1)) {
            return null;
        }
        int[] d = o.destinations(0);
        int[] a = o.sources(1, Type.B32);
        int[] b = o.sources(2, Type.B32);
        int[] c = o.sources(3, Type.S32);
        int per = 32 / bits;
        if (a.length != m * (sparse ? k / 2 : k) / per / 32
                || b.length != 8 * k / per / 32
                || d.length != m / 4
                || c.length != d.length) {
            throw in.error("wrong number of registers for " + in.name());
        }
        int metadata = sparse ? o.source(4, Type.B32) : -1;
        int selector = sparse ? MatrixSteps.selector(in, o, k, bits) : 0;
        return new IntegerMatrixStep(
                inputs.get(0), inputs.get(1), m, k, d, a, b, c, Operation.of(in), metadata, selector);
    }

    @Override
    Participation participation() {
        return Participation.FULL;
    }

    @Override
    void run(Warp warp, int mask) {
        int[] rows = rows(warp);
        int[] columns = columns(warp);
        for (int lane = 0; lane < Warp.LANES; lane++) {
            for (int v = 0; v < d.length; v++) {
                int row = lane / 4 + 8 * (v / 2);
                int column = 2 * (lane % 4) + v % 2;
                warp.r[d[v] + lane] = operation.dot(warp.r[c[v] + lane], rows, row * k, columns, column * k, k);
            }
        }
    }

    private int[] rows(Warp warp) {
        int per = elementsA.perRegister();
        int stored = metadata < 0 ? k : k / 2;
        int[] at =
                metadata < 0 ? null : new SparseMetadata(warp, this, metadata, selector, k, elementsA.bits()).columns();
        int[] values = new int[m * k];
        int halves = m / 8;
        for (int lane = 0; lane < Warp.LANES; lane++) {
            for (int v = 0; v < a.length; v++) {
                int row = lane / 4 + 8 * (v % halves);
                for (int e = 0; e < per; e++) {
                    int column = per * (lane % 4) + e + 4 * per * (v / halves);
                    int dense = at == null ? column : at[row * stored + column];
                    values[row * k + dense] = elementsA.value(warp.r[a[v] + lane], e);
                }
            }
        }
        return values;
    }

    private int[] columns(Warp warp) {
        int per = elementsB.perRegister();
        int[] values = new int[8 * k];
        for (int lane = 0; lane < Warp.LANES; lane++) {
            for (int v = 0; v < b.length; v++) {
                for (int e = 0; e < per; e++) {
                    int row = per * (lane % 4) + e + 4 * per * v;
                    values[lane / 4 * k + row] = elementsB.value(warp.r[b[v] + lane], e);
                }
            }
        }
        return values;
    }
}
