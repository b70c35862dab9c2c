package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.ptx.HopperInfoNceLaunches.Factors;
import org.contrastive4j.internal.ptx.HopperInfoNceLaunches.Pairs;
import org.contrastive4j.internal.ptx.HopperInfoNceLaunches.Statistics;
import org.contrastive4j.internal.ptx.HopperInfoNceLaunches.Sums;
import org.contrastive4j.tensor.Precision;
import org.jspecify.annotations.Nullable;

/**
 * Symmetric InfoNCE on device addresses by warp-group matrix instructions of sm_90a: value, gradients and statistics
 * as {@link PortableInfoNce}, from f32 rows that are rounded to 16 bits.
 *
 * <p>Steps:
 *
 * <p>1. Pack both sides. 2. For each stripe of rows, compute the statistics of all pairs with one constant shift of
 * the exponents, and merge them. 3. Check whether the constant shift was sufficient; if not, repeat step 2 with a
 * shift for each row and column. All launches of this repetition are always issued and return at once if it is not
 * needed, because the host does not wait. 4. Compute the loss and the factors of the gradient matrix G. 5. For each
 * rectangle of pairs, compute G, dX and dY. If the workspace can hold 16 bits for each pair, step 2 stores the
 * logits and step 5 computes G from them.
 *
 * <p>The class allocates nothing and never synchronises, so that a CUDA graph can capture a call. The same inputs
 * give the same bits in every run. Cost: 2 n m d flops for the value (twice that if shifts are needed), 8 n m d with
 * gradients, 6 n m d with stored products.
 *
 * <p>Numerics: features and G have 16 bits, sums are f32 and f64, losses and positives are as exact as their logits;
 * finite at any scale. The error of stored products is at most 1/64000, a relative error of G of scale / 64000.
 */
public final class HopperInfoNce implements InfoNceKernels {
    private static final long STRIPE_BYTES = 4L << 30;
    private static final int MOST_ROWS = 1 << 30;

    private final HopperInfoNceLaunches kernels;
    private final int multiprocessors;
    private final long stripeBytes;

    /**
     * Loads the kernels; what depends on pairs uses at most 4 GiB of the workspace.
     *
     * @param device of sm_90
     * @param precision BF16 or F16
     */
    public HopperInfoNce(PtxDevice device, Precision precision) {
        this(device, precision, STRIPE_BYTES);
    }

    /**
     * Loads the kernels.
     *
     * @param device of sm_90
     * @param precision BF16 or F16
     * @param stripeBytes workspace for the statistics of a stripe of pairs and a rectangle of gradients, or for 16
     *     bits of each pair; the smallest stripe and rectangle need a few rows of the former and 64 KiB
     */
    public HopperInfoNce(PtxDevice device, Precision precision, long stripeBytes) {
        this(new HopperInfoNceLaunches(device, precision), device.facts().multiprocessors(), stripeBytes);
    }

    HopperInfoNce(HopperInfoNceLaunches kernels, int multiprocessors, long stripeBytes) {
        this.kernels = kernels;
        this.multiprocessors = multiprocessors;
        this.stripeBytes = stripeBytes;
    }

    @Override
    public long workspaceBytes(int n, int m, int d, boolean withGradients) {
        return plan(n, m, d, withGradients).bytes;
    }

    private HopperInfoNcePlan plan(int n, int m, int d, boolean withGradients) {
        InfoNceChecks.checkSizes(n, m, d, MOST_ROWS, MOST_ROWS);
        return new HopperInfoNcePlan(n, m, d, multiprocessors, withGradients, stripeBytes);
    }

    /**
     * {@inheritDoc}
     *
     * <p>Rows of any length are divided by their norms; gradients are with respect to the unit rows. dBias stays as
     * it is, because a softmax does not depend on the bias.
     */
    @Override
    public void infoNce(
            DeviceStream stream,
            InfoNceKernels.Inputs inputs,
            InfoNceKernels.@Nullable Gradients gradients,
            long hardest,
            long result,
            long workspace,
            long workspaceBytes) {
        HopperInfoNcePlan plan = plan(inputs.n(), inputs.m(), inputs.d(), gradients != null);
        InfoNceChecks.check(
                inputs, 4L * inputs.d(), 4, gradients, hardest, result, workspace, workspaceBytes, plan.bytes);
        Call call = new Call(stream, inputs, plan, workspace);
        call.forward(gradients == null ? 1 : gradients.scale(), hardest, result);
        if (gradients != null) {
            call.backward(gradients);
        }
    }

    /** The launches of one call. */
    private final class Call {
        private final DeviceStream stream;
        private final InfoNceKernels.Inputs in;
        private final HopperInfoNcePlan plan;
        private final long at;
        private final int d;

        Call(DeviceStream stream, InfoNceKernels.Inputs in, HopperInfoNcePlan plan, long workspace) {
            this.stream = stream;
            this.in = in;
            this.plan = plan;
            this.at = workspace;
            this.d = in.d();
        }

        /** Returns the pairs of a rectangle that begins at multiples of 128 rows and 256 columns. */
        private Pairs pairs(int row, int column) {
            long ofBlock = HopperInfoNceLaunches.blockRowBytes(d) / HopperInfoNceLaunches.TILE_ROWS;
            return new Pairs(
                    at + plan.x + row * ofBlock,
                    at + plan.y + column * ofBlock,
                    in.targets() == 0 ? 0 : in.targets() + 4L * row,
                    row,
                    column,
                    at + plan.scalars);
        }

        private Statistics statistics(int row, long hardest) {
            return new Statistics(
                    at + plan.positiveLogits + 4L * row,
                    at + plan.rowStatistics,
                    hardest == 0 ? 0 : at + plan.rowArgMax,
                    at + plan.columnStatistics);
        }

        private Sums sums(int row) {
            return new Sums(
                    at + plan.rowSums + 8L * row,
                    at + plan.rowMax + 4L * row,
                    at + plan.columnSums,
                    at + plan.columnMax,
                    at + plan.ownTarget);
        }

        private Factors factors(int row, int column) {
            return new Factors(
                    at + plan.rowFactors + 4L * row,
                    at + plan.columnFactors + 4L * column,
                    at + plan.targetGradients + 4L * row);
        }

        void forward(double gradientScale, long hardest, long result) {
            int n = in.n();
            int m = in.m();
            kernels.begin(stream, in.logScale(), at + plan.scalars, in.targets() == 0 ? 0 : at + plan.ownTarget, m);
            kernels.normalize(stream, in.x(), n, d, at + plan.x, 0);
            kernels.normalize(stream, in.y(), m, d, at + plan.y, 0);
            for (int row = 0; row < n; row += plan.forwardRows) {
                HopperTiling stripe = plan.fullTiling.part(Math.min(plan.forwardRows, n - row), m);
                long products = plan.stored ? pairAddress(row, 0) : 0;
                kernels.forward(stream, stripe, pairs(row, 0), statistics(row, hardest), products);
                kernels.merge(
                        stream,
                        stripe,
                        pairs(row, 0),
                        statistics(row, hardest),
                        sums(row),
                        hardest == 0 ? 0 : hardest + 4L * row,
                        row == 0,
                        false);
            }
            kernels.own(stream, n, pairs(0, 0), at + plan.positiveLogits, sums(0));
            for (int row = 0; row < n; row += plan.forwardRows) {
                HopperTiling stripe = plan.fullTiling.part(Math.min(plan.forwardRows, n - row), m);
                kernels.shiftedForward(stream, stripe, pairs(row, 0), statistics(row, 0), sums(row));
                kernels.merge(stream, stripe, pairs(row, 0), statistics(row, 0), sums(row), 0, row == 0, true);
            }
            kernels.finish(
                    stream,
                    n,
                    m,
                    pairs(0, 0),
                    at + plan.positiveLogits,
                    sums(0),
                    factors(0, 0),
                    at + plan.blockSums,
                    (float) in.rowWeight(),
                    (float) in.columnWeight(),
                    gradientScale);
            kernels.result(
                    stream, n, at + plan.blockSums, at + plan.scalars, in.bias(), result, at + plan.scaleGradientSum);
        }

        /** Returns the address of the first element of a rectangle in the matrix of all pairs. */
        private long pairAddress(int row, int column) {
            return at
                    + plan.gradient
                    + 2L * row * plan.fullTiling.paddedColumns()
                    + 2L * HopperInfoNceLaunches.TILE_ROWS * column;
        }

        void backward(InfoNceKernels.Gradients gradients) {
            if (plan.stored) {
                kernels.storedGradients(
                        stream,
                        plan.fullTiling,
                        pairs(0, 0),
                        factors(0, 0),
                        pairAddress(0, 0),
                        at + plan.scaleGradientPartials);
                scalars(gradients, plan.fullTiling.storedDots(), true);
            }
            for (int row = 0; row < in.n(); row += plan.rows) {
                for (int column = 0; column < in.m(); column += plan.columns) {
                    rectangle(gradients, row, column);
                }
            }
        }

        private void rectangle(InfoNceKernels.Gradients gradients, int row, int column) {
            HopperTiling tiling =
                    plan.fullTiling.part(Math.min(plan.rows, in.n() - row), Math.min(plan.columns, in.m() - column));
            Pairs pairs = pairs(row, column);
            long g = plan.stored ? pairAddress(row, column) : at + plan.gradient;
            int gBlocks = plan.stored ? plan.fullTiling.columnBlocks() : tiling.columnBlocks();
            if (!plan.stored) {
                kernels.gradients(stream, tiling, pairs, factors(row, column), g, at + plan.scaleGradientPartials);
                scalars(gradients, tiling.dots(), row + tiling.n() == in.n() && column + tiling.m() == in.m());
            }
            long factor = HopperInfoNceLaunches.factor(pairs.scalars());
            if (gradients.dx() != 0) {
                kernels.rowGradients(
                        stream, tiling, g, gBlocks, pairs.y(), factor, 1, gradients.dx() + 4L * row * d, column > 0);
            }
            if (gradients.dy() != 0) {
                kernels.columnGradients(
                        stream, tiling, g, gBlocks, pairs.x(), factor, 1, gradients.dy() + 4L * column * d, row > 0);
            }
        }

        private void scalars(InfoNceKernels.Gradients gradients, long dots, boolean last) {
            if (gradients.dLogScale() != 0) {
                kernels.scalars(
                        stream,
                        at + plan.scaleGradientPartials,
                        dots,
                        at + plan.scaleGradientSum,
                        at + plan.scalars,
                        last ? gradients.dLogScale() : 0);
            }
        }
    }
}
