package org.contrastive4j.internal.sim.exec;

import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * One wgmma.mma_async: started here, done when the warp waits for its group at the latest.
 *
 * <p>Tested by {@code WgmmaConformanceTest}.
 */
public final class WgmmaStep extends Step {
    /**
     * Sizes and types; M is 64.
     *
     * @param half whether sums are f16
     * @param clamped whether sums of whole numbers are clamped
     */
    record Shape(int n, int k, Type a, Type b, boolean half, boolean clamped) {
        boolean isWhole() {
            return !a.isFloat();
        }
    }

    private static final int ROWS = 16;

    private final Shape shape;
    private final int[] accumulators;
    private final int[] fragment;
    private final int descriptorA;
    private final int descriptorB;
    private final int scaleD;
    private final int signA;
    private final int signB;
    private final boolean transA;
    private final boolean transB;

    WgmmaStep(
            Shape shape,
            int[] accumulators,
            int[] fragment,
            int descriptorA,
            int descriptorB,
            int scaleD,
            int signA,
            int signB,
            boolean transA,
            boolean transB) {
        this.shape = shape;
        this.accumulators = accumulators;
        this.fragment = fragment;
        this.descriptorA = descriptorA;
        this.descriptorB = descriptorB;
        this.scaleD = scaleD;
        this.signA = signA;
        this.signB = signB;
        this.transA = transA;
        this.transB = transB;
    }

    /** Rows of the accumulator registers. */
    public int[] accumulators() {
        return accumulators;
    }

    /** Whether it reads its accumulators: not when {@code scale-d} is false. */
    public boolean accumulates(Warp warp) {
        return (Lanewise.test(warp, scaleD) & 1) != 0;
    }

    /** Rows of A's registers; empty when A is in shared memory. */
    public int[] fragment() {
        return fragment;
    }

    /** Whether another one accumulates in the same registers with the same shape, which needs no fence between. */
    public boolean sameShape(WgmmaStep other) {
        return shape.equals(other.shape);
    }

    /** Number of the work among the warp group products of the warp, for the one that is started next. */
    public static int number(Warp warp) {
        return warp.groups.next(Async.Group.WGMMA);
    }

    @Override
    Participation participation() {
        return Participation.FULL;
    }

    @Override
    void run(Warp warp, int mask) {
        warp.cta.checkWarpGroup(warp, this, warp.warpGroupSteps++);
        Async async = new Async(Async.Group.WGMMA, warp.groups.next(Async.Group.WGMMA), null, null);
        MatrixDescriptor b =
                new MatrixDescriptor(warp, this, warp.r[descriptorB], shape.n(), shape.k(), shape.b(), transB);
        b.notifyObservers(0, shape.n(), async);
        MatrixDescriptor a = null;
        int firstRow = ROWS * (warp.index() % 4);
        if (descriptorA >= 0) {
            a = new MatrixDescriptor(warp, this, warp.r[descriptorA], 4 * ROWS, shape.k(), shape.a(), transA);
            a.notifyObservers(firstRow, ROWS, async);
        }
        boolean accumulate = accumulates(warp);
        MatrixDescriptor left = a;
        PendingWork previous = warp.lastWgmma;
        warp.lastWgmma = warp.cta.cluster().start(() -> {
            if (previous != null) {
                previous.complete();
            }
            compute(warp, left, firstRow, b, accumulate);
        });
        warp.groups.add(Async.Group.WGMMA, this, warp.live(), warp.lastWgmma);
    }

    private void compute(
            Warp warp, @Nullable MatrixDescriptor a, int firstRow, MatrixDescriptor b, boolean accumulate) {
        int k = shape.k();
        int n = shape.n();
        TensorCore core = new TensorCore(90, shape.a(), k);
        TensorCore.Vector rows = a == null
                ? OperandFragments.rows(core, warp, fragment, shape.a(), k)
                : a.read(core, firstRow, ROWS, signA);
        TensorCore.Vector columns = b.read(core, 0, n, signB);
        if (a == null && signA < 0) {
            for (int i = 0; i < rows.values.length; i++) {
                rows.values[i] = -rows.values[i];
            }
        }
        for (int j = 0; j < n / 8; j++) {
            for (int h = 0; h < 2; h++) {
                for (int lane = 0; lane < Warp.LANES; lane++) {
                    int row = (8 * h + lane / 4) * k;
                    int column = (8 * j + 2 * (lane % 4)) * k;
                    if (shape.half()) {
                        int register = accumulators[2 * j + h] + lane;
                        long old = accumulate ? warp.r[register] : 0;
                        warp.r[register] = core.dotF16(old & 0xFFFF, rows, row, columns, column, k)
                                | core.dotF16(old >>> 16, rows, row, columns, column + k, k) << 16;
                    } else {
                        for (int e = 0; e < 2; e++) {
                            int register = accumulators[4 * j + 2 * h + e] + lane;
                            long old = accumulate ? warp.r[register] : 0;
                            warp.r[register] = shape.isWhole()
                                    ? TensorCore.dotWhole(old, rows, row, columns, column + e * k, k, shape.clamped())
                                    : core.dot(old, rows, row, columns, column + e * k, k);
                        }
                    }
                }
            }
        }
    }
}
