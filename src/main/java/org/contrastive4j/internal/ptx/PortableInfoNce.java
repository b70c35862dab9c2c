package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.Launch;
import org.contrastive4j.device.LaunchException;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.kernels.InfoNceKernels;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.tensor.Precision;

/**
 * Symmetric InfoNCE on addresses of a device by portable kernels, from rows that are rounded already: value, gradients and statistics as {@link org.contrastive4j.ops.PairwiseOps#infoNce} defines them,
 * without the n x m matrix. Rows are f32, tf32 or 16 bits; sums and gradients are f32. With f32 rows it is what {@link InfoNceKernels} says; who
 * has f32 rows and wants another precision, or the best kernels of a device, opens {@link InfoNceKernels#on}.
 *
 * <p>Nothing is allocated and nothing waits: all launches go to one stream, and a graph can capture them. The caller asks for the size of the
 * workspace first:
 *
 * <pre>{@code
 * PortableInfoNce pairwise = new PortableInfoNce(device);
 * long bytes = pairwise.workspaceBytes(n, m, d, true);
 * try (DeviceStorage workspace = device.allocate(bytes); DeviceStorage result = device.allocate(InfoNceKernels.RESULT_BYTES)) {
 *     InfoNceKernels.Inputs inputs = new InfoNceKernels.Inputs(n, m, d, x.address(), y.address(), 0, logScale.address(), 0, 0.5, 0.5);
 *     InfoNceKernels.Gradients gradients = new InfoNceKernels.Gradients(dx.address(), dy.address(), dLogScale.address(), 0, 1);
 *     pairwise.infoNce(stream, inputs, gradients, 0, result.address(), workspace.address(), bytes);
 *     result.download(0, values);   // loss, row accuracy, column accuracy, mean positive logit
 * }
 * }</pre>
 *
 * <p>Without gradients, {@code null} in their place and {@code false} for the size of the workspace, it is the value alone.
 *
 * <p>Workspace: O(n + m) and a stripe of rows of the gradient matrix, as many as {@code stripeBytes} hold and at least 64. Cost: 2 n m d flops for the
 * value, 8 n m d with gradients. The same bits every run.
 */
public final class PortableInfoNce implements InfoNceKernels {
    private static final long STRIPE_BYTES = 256L << 20;
    private static final int MOST_COLUMNS = 65_535 * PortableInfoNcePlan.TILE;
    private static final String[] KERNELS = {"begin", "merge_rows", "merge_columns", "columns", "loss", "scalars"};
    private static final String[] GRADIENT_KERNELS = {"bwd", "dx", "dy"};

    private final Kernels kernels;
    private final Precision precision;
    private final long stripeBytes;

    /** For f32 rows; assembles the kernels. */
    public PortableInfoNce(PtxDevice device) {
        this(device, Precision.F32, STRIPE_BYTES);
    }

    /**
     * Assembles the kernels.
     *
     * @param precision of x, y and the stripe of gradients
     * @param stripeBytes what a stripe of gradients may take of the workspace; a stripe of one row of blocks is the least
     */
    public PortableInfoNce(PtxDevice device, Precision precision, long stripeBytes) {
        this(new Kernels(device), precision, stripeBytes);
    }

    PortableInfoNce(Kernels kernels, Precision precision, long stripeBytes) {
        this.kernels = kernels;
        this.precision = precision;
        this.stripeBytes = stripeBytes;
        for (String name : KERNELS) { // not while a graph is captured
            kernels.get(name(name));
        }
        kernels.get(typed("fwd"));
        for (String name : GRADIENT_KERNELS) {
            kernels.get(typed(name));
        }
    }

    /** Of a kernel that there is for each precision. */
    private String typed(String kernel) {
        return "pairwise_" + kernel + "_" + precision;
    }

    private static String name(String kernel) {
        return "pairwise_" + kernel + "_f32";
    }

    /** Bytes of workspace that {@link #infoNce} wants. */
    @Override
    public long workspaceBytes(int n, int m, int d, boolean withGradients) {
        InfoNceChecks.checkSizes(n, m, d, Integer.MAX_VALUE, MOST_COLUMNS);
        return new PortableInfoNcePlan(n, m, withGradients, stripeBytes, precision).bytes;
    }

    /**
     * Value, and where wanted gradients, of InfoNCE over all pairs.
     *
     * @param gradients null for the value alone
     * @param hardest i32 [n], the column other than the target with the largest logit, -1 when m = 1; or 0 when not wanted
     * @param result f64 [4]; written: loss, row accuracy, column accuracy, mean positive logit
     * @param workspace 256-byte aligned
     * @param workspaceBytes at least {@link #workspaceBytes}
     * @throws ShapeException when sizes do not fit
     * @throws LaunchException for an address that is missing, misaligned or overlaps another, or a workspace that is too small
     */
    @Override
    public void infoNce(
            DeviceStream stream,
            InfoNceKernels.Inputs inputs,
            InfoNceKernels.Gradients gradients,
            long hardest,
            long result,
            long workspace,
            long workspaceBytes) {
        long wanted = workspaceBytes(inputs.n(), inputs.m(), inputs.d(), gradients != null);
        InfoNceChecks.check(
                inputs,
                RowLayout.rowBytes(precision, inputs.d()),
                precision.usesTensorCores() ? 16 : 4,
                gradients,
                hardest,
                result,
                workspace,
                workspaceBytes,
                wanted);
        Call call = new Call(
                stream,
                inputs,
                new PortableInfoNcePlan(inputs.n(), inputs.m(), gradients != null, stripeBytes, precision),
                workspace);
        call.forward(gradients == null ? 1 : gradients.scale(), hardest, result);
        if (gradients != null) {
            call.backward(gradients);
        }
    }

    /** 1 when all rows of d floats from these addresses on can be copied 16 bytes at a time. */
    static int wide(int d, long... addresses) {
        boolean wide = d % 4 == 0;
        for (long address : addresses) {
            wide &= address % 16 == 0;
        }
        return wide ? 1 : 0;
    }

    /** The launches of one call. */
    private final class Call {
        private final DeviceStream stream;
        private final InfoNceKernels.Inputs in;
        private final PortableInfoNcePlan plan;
        private final long at;
        private final int wide;

        Call(DeviceStream stream, InfoNceKernels.Inputs in, PortableInfoNcePlan plan, long workspace) {
            this.stream = stream;
            this.in = in;
            this.plan = plan;
            this.at = workspace;
            this.wide = wide(in.d(), in.x(), in.y());
        }

        private void launch(String kernel, int gridX, int gridY, int threads, Object... arguments) {
            launchNamed(name(kernel), gridX, gridY, threads, arguments);
        }

        private void launchNamed(String kernel, int gridX, int gridY, int threads, Object... arguments) {
            kernels.get(kernel)
                    .launch(
                            stream,
                            Launch.of(new Launch.Dim(gridX, gridY, 1), new Launch.Dim(threads, 1, 1)),
                            arguments);
        }

        /** Statistics of the tiles of a stripe. */
        private void statistics(int row, int tiles) {
            if (!precision.usesTensorCores()) {
                launchNamed(
                        typed("fwd"),
                        plan.columnTiles,
                        tiles,
                        64,
                        in.x(),
                        in.y(),
                        in.targets(),
                        at + plan.numbers,
                        at + plan.positive,
                        at + plan.tileRows,
                        at + plan.tileAts,
                        at + plan.tileColumns,
                        in.n(),
                        in.m(),
                        in.d(),
                        row,
                        wide);
            } else {
                launchNamed(
                        typed("fwd"),
                        (plan.columnTiles + 1) / 2,
                        (tiles + 1) / 2,
                        128,
                        in.x(),
                        in.y(),
                        in.targets(),
                        at + plan.numbers,
                        at + plan.positive,
                        at + plan.tileRows,
                        at + plan.tileAts,
                        at + plan.tileColumns,
                        in.n(),
                        in.m(),
                        RowLayout.pitch(precision, in.d()),
                        row,
                        tiles * PortableInfoNcePlan.TILE);
            }
        }

        /** A thread for each of count elements. */
        private void launchEach(String kernel, int count, Object... arguments) {
            launch(kernel, (int) (((long) count + 127) / 128), 1, 128, arguments);
        }

        void forward(double gradientScale, long hardest, long result) {
            launchEach(
                    "begin",
                    in.m(),
                    in.logScale(),
                    at + plan.numbers,
                    at + plan.running,
                    in.n(),
                    in.m(),
                    gradientScale);
            for (int first = 0; first < plan.rowTiles; first += plan.forwardTiles) {
                int tiles = Math.min(plan.forwardTiles, plan.rowTiles - first);
                int row = first * PortableInfoNcePlan.TILE;
                int rows = tiles * PortableInfoNcePlan.TILE;
                statistics(row, tiles);
                launchEach(
                        "merge_rows",
                        rows,
                        at + plan.tileRows,
                        at + plan.tileAts,
                        at + plan.rowSums,
                        hardest,
                        plan.columnTiles,
                        rows,
                        row,
                        in.n());
                launchEach("merge_columns", in.m(), at + plan.tileColumns, at + plan.running, tiles, in.m());
            }
            launchEach(
                    "columns",
                    in.m(),
                    at + plan.running,
                    at + plan.positive,
                    in.targets(),
                    at + plan.column,
                    at + plan.bar,
                    in.n(),
                    in.m());
            launch(
                    "loss",
                    1,
                    1,
                    256,
                    at + plan.rowSums,
                    at + plan.positive,
                    in.targets(),
                    at + plan.column,
                    at + plan.bar,
                    in.bias(),
                    at + plan.numbers,
                    at + plan.row,
                    result,
                    in.n(),
                    (float) in.rowWeight(),
                    (float) in.columnWeight());
        }

        void backward(InfoNceKernels.Gradients gradients) {
            long g = gradients.dx() == 0 && gradients.dy() == 0 ? 0 : at + plan.gradient;
            for (int first = 0; first < plan.rowTiles; first += plan.backwardTiles) {
                int tiles = Math.min(plan.backwardTiles, plan.rowTiles - first);
                int row = first * PortableInfoNcePlan.TILE;
                int rows = Math.min(tiles * PortableInfoNcePlan.TILE, in.n() - row);
                logitGradients(row, tiles, g);
                if (gradients.dLogScale() != 0 || gradients.dBias() != 0) {
                    launch(
                            "scalars",
                            1,
                            1,
                            256,
                            at + plan.tileSums,
                            at + plan.numbers,
                            gradients.dLogScale(),
                            gradients.dBias(),
                            plan.columnTiles * tiles);
                }
                if (gradients.dx() != 0) {
                    rowProduct(g, gradients.dx() + 4L * row * in.d(), rows, tiles);
                }
                if (gradients.dy() != 0) {
                    columnProduct(g, row, gradients.dy(), rows);
                }
            }
        }

        /** G of a stripe, and the sums of its tiles. */
        private void logitGradients(int row, int tiles, long g) {
            if (!precision.usesTensorCores()) {
                launchNamed(
                        typed("bwd"),
                        plan.columnTiles,
                        tiles,
                        64,
                        in.x(),
                        in.y(),
                        in.targets(),
                        at + plan.numbers,
                        at + plan.row,
                        at + plan.column,
                        g,
                        at + plan.tileSums,
                        in.n(),
                        in.m(),
                        in.d(),
                        row,
                        wide,
                        (float) in.rowWeight(),
                        (float) in.columnWeight());
            } else {
                launchNamed(
                        typed("bwd"),
                        (plan.columnTiles + 1) / 2,
                        (tiles + 1) / 2,
                        128,
                        in.x(),
                        in.y(),
                        in.targets(),
                        at + plan.numbers,
                        at + plan.row,
                        at + plan.column,
                        g,
                        at + plan.tileSums,
                        in.n(),
                        in.m(),
                        RowLayout.pitch(precision, in.d()),
                        row,
                        plan.columnTiles,
                        (float) in.rowWeight(),
                        (float) in.columnWeight());
            }
        }

        /** dx = G y for the rows of a stripe. */
        private void rowProduct(long g, long dx, int rows, int tiles) {
            if (!precision.usesTensorCores()) {
                launchNamed(
                        typed("dx"),
                        blocks(in.d(), 64),
                        tiles,
                        64,
                        g,
                        in.y(),
                        dx,
                        at + plan.numbers,
                        in.m(),
                        in.d(),
                        rows,
                        plan.pitch,
                        wide(in.d(), in.y(), dx));
            } else {
                launchNamed(
                        typed("dx"),
                        blocks(in.d(), 128),
                        blocks(rows, 128),
                        128,
                        g,
                        in.y(),
                        dx,
                        at + plan.numbers,
                        in.m(),
                        in.d(),
                        RowLayout.pitch(precision, in.d()),
                        rows,
                        plan.pitch,
                        pairs(dx));
            }
        }

        /** dy += G^T x over the rows of a stripe; the first stripe writes. */
        private void columnProduct(long g, int row, long dy, int rows) {
            long x = in.x() + RowLayout.rowBytes(precision, in.d()) * row;
            int add = row == 0 ? 0 : 1;
            if (!precision.usesTensorCores()) {
                launchNamed(
                        typed("dy"),
                        blocks(in.d(), 64),
                        plan.columnTiles,
                        64,
                        g,
                        x,
                        dy,
                        at + plan.numbers,
                        rows,
                        in.d(),
                        in.m(),
                        plan.pitch,
                        wide(in.d(), x, dy),
                        add);
            } else {
                launchNamed(
                        typed("dy"),
                        blocks(in.d(), 128),
                        blocks(in.m(), 128),
                        128,
                        g,
                        x,
                        dy,
                        at + plan.numbers,
                        rows,
                        in.d(),
                        RowLayout.pitch(precision, in.d()),
                        in.m(),
                        plan.pitch,
                        pairs(dy),
                        add);
            }
        }

        private int pairs(long address) {
            return in.d() % 2 == 0 && address % 8 == 0 ? 1 : 0;
        }
    }

    private static int blocks(int count, int size) {
        return (int) (((long) count + size - 1) / size);
    }
}
