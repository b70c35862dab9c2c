package org.contrastive4j.ops.ptx;

import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.LaunchException;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.memory.OutOfBudgetException;
import org.contrastive4j.ops.ptx.HopperPairwise.Factors;
import org.contrastive4j.ops.ptx.HopperPairwise.Precision;
import org.contrastive4j.ops.ptx.HopperPairwise.Sums;
import org.contrastive4j.ops.ptx.HopperPairwise.Tiling;

/**
 * Value and gradients of symmetric InfoNCE from rows on the device, with sm_90a kernels: normalise both sides,
 * statistics of all pairs, merge, then for one stripe of rows after the other G, dX and dY.
 *
 * <p>Nothing is allocated and nothing waits while it runs, so that it can be captured as one graph; the same bits come
 * out every time. Features are rounded to 16 bits, sums are f32.
 */
public final class HopperInfoNce {
    private static final int ALIGNMENT = 1024;
    private static final int TILE_ROWS = 128;
    private static final float F16_MULTIPLE = 16_384; // |n G| is at most 2: uses the range of f16, harmless for bf16

    private static final long STRIPE_BYTES = 4L << 30;

    private final HopperPairwise kernels;
    private final int multiprocessors;
    private final long stripeBytes;

    public HopperInfoNce(PtxDevice device, Precision precision) {
        this(device, precision, STRIPE_BYTES);
    }

    /**
     * Assembles the kernels.
     *
     * @param stripeBytes what the gradient matrix may take of the workspace
     */
    public HopperInfoNce(PtxDevice device, Precision precision, long stripeBytes) {
        kernels = new HopperPairwise(device, precision);
        multiprocessors = device.facts().multiprocessors();
        this.stripeBytes = stripeBytes;
    }

    /** Bytes of workspace that {@link #infoNce} wants. */
    public long workspaceBytes(int n, int m, int d, boolean withGradients) {
        Plan least = new Plan(Tiling.of(n, m, d, multiprocessors), withGradients ? TILE_ROWS : 0);
        return least.workspaceBytes() + (withGradients ? stripeBytes : 0);
    }

    /**
     * Value, and where wanted gradients, of InfoNCE over all pairs, as {@link PtxPairwise#infoNce}.
     *
     * @param inputs x and y f32 [n, d], 4-byte aligned; rows are rounded to 16 bits on the way
     * @param gradients null for the value alone
     * @param hardest i32 [n] or 0
     * @param result f64 [4]; written: loss, row accuracy, column accuracy, mean positive logit
     * @param workspace 1024-byte aligned
     * @param workspaceBytes at least {@link #workspaceBytes}
     */
    public void infoNce(DeviceStream stream, PtxPairwise.Inputs inputs, PtxPairwise.Gradients gradients, long hardest,
            long result, long workspace, long workspaceBytes) {
        throw new LaunchException("infoNce: the sm_90a kernels take storages so far; use run, or PtxPairwise");
    }

    /**
     * Sizes and where in the workspace things are.
     *
     * @param all tiling of all pairs
     * @param stripeRows rows of which G is held at one time, a multiple of 128 unless it is all
     */
    public record Plan(Tiling all, int stripeRows) {
        /**
         * The tallest stripes that fit.
         *
         * @param budget bytes of workspace
         * @throws OutOfBudgetException when not even stripes of 128 rows fit
         */
        public static Plan of(int n, int m, int d, int multiprocessors, long budget) {
            Tiling all = Tiling.of(n, m, d, multiprocessors);
            long fixed = new Plan(all, 0).workspaceBytes();
            long tiles = (budget - fixed) / (2L * TILE_ROWS * all.paddedColumns());
            if (budget < fixed || tiles < 1) {
                throw new OutOfBudgetException(fixed + 2L * TILE_ROWS * all.paddedColumns(), 0, budget,
                        "the loss of " + n + " x " + m + " pairs of width " + d
                        + " needs that much workspace; use fewer rows");
            }
            return new Plan(all, (int) Math.min(n, tiles * TILE_ROWS));
        }

        /** Bytes of workspace; G is the last of them. */
        public long workspaceBytes() {
            return gAt() + (stripeRows == 0 ? 0 : stripe(0).gradientBytes());
        }

        int stripes() {
            return HopperPairwise.ceil(all.n(), stripeRows);
        }

        Tiling stripe(int index) {
            int rows = Math.min(stripeRows, all.n() - index * stripeRows);
            return new Tiling(rows, all.m(), all.d(), all.run(), all.group(), all.blocks());
        }

        private long gAt() {
            long bytes = 0;
            for (long part : parts()) {
                bytes += aligned(part);
            }
            return bytes;
        }

        /** X, Y, positives, sums of rows and columns, factors of rows, columns and targets. */
        private long[] parts() {
            long rows = 4L * all.n();
            return new long[] {
                HopperPairwise.imageBytes(all.n(), all.d()), HopperPairwise.imageBytes(all.m(), all.d()), rows,
                all.rowSumBytes(), all.columnSumBytes(), rows, 4L * all.m(), rows};
        }

        private DeviceStorage[] views(DeviceStorage workspace) {
            long[] parts = parts();
            DeviceStorage[] views = new DeviceStorage[parts.length + 1];
            long at = 0;
            for (int i = 0; i < parts.length; i++) {
                views[i] = workspace.view(at, parts[i]);
                at += aligned(parts[i]);
            }
            views[parts.length] = workspace.view(at, workspaceBytes() - at);
            return views;
        }

        private static long aligned(long bytes) {
            return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        }
    }

    /**
     * What goes in.
     *
     * @param u f32 [n, d], v f32 [m, d]: rows of any length
     * @param targets I32 [n], no two the same, or null: row i belongs to column i
     * @param scale f32 [1], the logit scale itself
     */
    public record Inputs(DeviceStorage u, DeviceStorage v, DeviceStorage targets, DeviceStorage scale, float rowWeight,
            float columnWeight) {}

    /**
     * What comes out, all of it written.
     *
     * @param inverseNormU f32 [n], inverseNormV f32 [m]: 1 / lengths of the rows
     * @param losses f32 [n]; the loss is their mean
     * @param dx f32 [n, d], dy f32 [m, d]: gradients of the loss by the unit rows
     */
    public record Outputs(DeviceStorage inverseNormU, DeviceStorage inverseNormV, DeviceStorage losses,
            DeviceStorage dx, DeviceStorage dy) {}

    /**
     * The whole of it.
     *
     * @param workspace of {@link Plan#workspaceBytes}, its contents before do not matter
     */
    public void run(DeviceStream stream, Plan plan, Inputs in, DeviceStorage workspace, Outputs out) {
        Tiling all = plan.all;
        DeviceStorage[] part = plan.views(workspace);
        DeviceStorage x = part[0];
        DeviceStorage y = part[1];
        Sums sums = new Sums(part[2], part[3], part[4]);
        Factors factors = new Factors(part[5], part[6], part[7]);
        kernels.normalize(stream, in.u, all.n(), all.d(), x, out.inverseNormU);
        kernels.normalize(stream, in.v, all.m(), all.d(), y, out.inverseNormV);
        kernels.forward(stream, all, x, y, in.targets, 0, in.scale, sums);
        stream.fill(factors.columns(), (byte) 0);
        kernels.merge(stream, all, sums, in.targets, in.scale, F16_MULTIPLE, in.rowWeight, in.columnWeight, factors,
                out.losses);
        for (int i = 0; i < plan.stripes(); i++) {
            stripe(stream, plan, i, x, y, in, factors, part[8], out);
        }
    }

    private void stripe(DeviceStream stream, Plan plan, int index, DeviceStorage x, DeviceStorage y, Inputs in,
            Factors factors, DeviceStorage g, Outputs out) {
        Tiling tiling = plan.stripe(index);
        int first = index * plan.stripeRows;
        int d = tiling.d();
        float unit = 1 / (F16_MULTIPLE * plan.all.n());
        long xAt = (long) first / TILE_ROWS * HopperPairwise.blockRowBytes(d);
        DeviceStorage rows = x.view(xAt, x.bytes() - xAt);
        DeviceStorage targets = in.targets == null ? null : in.targets.view(4L * first, 4L * tiling.n());
        Factors own = new Factors(factors.rows().view(4L * first, 4L * tiling.n()), factors.columns(),
                factors.targets().view(4L * first, 4L * tiling.n()));
        kernels.gradients(stream, tiling, rows, y, targets, first, in.scale, own, g);
        kernels.rowGradients(stream, tiling, g, y, in.scale, unit, out.dx.view(4L * first * d, 4L * tiling.n() * d),
                false);
        kernels.columnGradients(stream, tiling, g, rows, in.scale, unit, out.dy, index > 0);
    }
}
