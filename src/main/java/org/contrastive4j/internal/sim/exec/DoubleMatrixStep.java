package org.contrastive4j.internal.sim.exec;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * mma.sync of f64 tiles: every element is a chain of fused multiply-adds along k, each rounded as the instruction says.
 *
 * <p>Lane 4 g + q holds row g (and g + 8) of A at columns q, q + 4, ..., column g of B at rows q, q + 4, ..., and two
 * neighbours at columns 2 q and 2 q + 1 of rows g (and g + 8) of the sums.
 *
 * <p>Tested by {@code MatrixProductsTest}.
 */
final class DoubleMatrixStep extends Step {
    private static final Pattern SHAPE = Pattern.compile("\\.m(8|16)n8k(4|8|16)");

    private final int m;
    private final int k;
    private final int[] d;
    private final int[] a;
    private final int[] b;
    private final int[] c;

    private DoubleMatrixStep(int m, int k, int[] d, int[] a, int[] b, int[] c) {
        this.m = m;
        this.k = k;
        this.d = d;
        this.a = a;
        this.b = b;
        this.c = c;
    }

    /** Returns null for a shape or rounding that is not supported. */
    static @Nullable Step decode(Instruction in, Operands o, String shape) {
        Matcher sizes = SHAPE.matcher(shape);
        if (!sizes.matches() || !isNearest(in)) {
            return null;
        }
        int m = Integer.parseInt(sizes.group(1));
        int k = Integer.parseInt(sizes.group(2));
        if (m == 8 && k != 4) {
            return null;
        }
        int[] d = o.destinations(0);
        int[] a = o.sources(1, Type.F64);
        int[] b = o.sources(2, Type.F64);
        int[] c = o.sources(3, Type.F64);
        if (a.length != m * k / Warp.LANES
                || b.length != 8 * k / Warp.LANES
                || d.length != m / 4
                || c.length != d.length) {
            throw in.error("wrong number of registers for " + in.name());
        }
        return new DoubleMatrixStep(m, k, d, a, b, c);
    }

    /** Other roundings of f64 would need exact sums. */
    static boolean isNearest(Instruction in) {
        return !in.has(".rz") && !in.has(".rm") && !in.has(".rp");
    }

    @Override
    Participation participation() {
        return Participation.FULL;
    }

    @Override
    void run(Warp warp, int mask) {
        int rows = m / 8;
        double[] left = new double[m * k];
        double[] right = new double[8 * k];
        for (int lane = 0; lane < Warp.LANES; lane++) {
            for (int v = 0; v < a.length; v++) {
                int row = lane / 4 + 8 * (v % rows);
                left[row * k + lane % 4 + 4 * (v / rows)] = Numbers.f64(warp.r[a[v] + lane]);
            }
            for (int v = 0; v < b.length; v++) {
                right[lane / 4 * k + lane % 4 + 4 * v] = Numbers.f64(warp.r[b[v] + lane]);
            }
        }
        for (int lane = 0; lane < Warp.LANES; lane++) {
            for (int v = 0; v < d.length; v++) {
                int row = lane / 4 + 8 * (v / 2);
                int column = 2 * (lane % 4) + v % 2;
                double sum = Numbers.f64(warp.r[c[v] + lane]);
                warp.r[d[v] + lane] = Numbers.bits(chain(sum, left, row * k, right, column * k, k));
            }
        }
    }

    /** Returns sum + left[at ...] . right[by ...], one fused multiply-add after the other. */
    static double chain(double sum, double[] left, int at, double[] right, int by, int k) {
        double result = sum;
        for (int i = 0; i < k; i++) {
            result = Math.fma(left[at + i], right[by + i], result);
        }
        return result;
    }
}
