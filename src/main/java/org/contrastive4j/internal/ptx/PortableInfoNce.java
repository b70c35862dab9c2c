package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.tensor.Precision;
import org.jspecify.annotations.Nullable;

/**
 * Symmetric InfoNCE on device addresses by portable kernels, from rows that have been normalised and rounded by
 * {@link PtxNormalize}. Rows are f32, tf32 or 16-bit; sums and gradients are f32. With f32 rows this is {@link
 * InfoNceKernels}; {@link RoundingInfoNce} rounds f32 rows first.
 *
 * <p>The class allocates nothing and never synchronises, so that a CUDA graph can capture a call. The same inputs
 * give the same bits in every run. Cost: 2 n m d flops for the value, 8 n m d with gradients. Workspace: O(n + m) and
 * a stripe of rows of the gradient matrix, as many as {@code stripeBytes} hold and at least 64.
 */
public final class PortableInfoNce implements InfoNceKernels {
    private static final long STRIPE_BYTES = 256L << 20;
    private static final int MOST_COLUMNS = 65_535 * PortableInfoNcePlan.TILE;
    private static final String[] KERNELS = {"begin", "merge_rows", "merge_columns", "columns", "loss", "scalars"};
    private static final String[] GRADIENT_KERNELS = {"bwd", "dx", "dy"};

    private final Kernels kernels;
    private final Precision precision;
    private final long stripeBytes;

    /** Loads the kernels for f32 rows. */
    public PortableInfoNce(PtxDevice device) {
        this(device, Precision.F32, STRIPE_BYTES);
    }

    /**
     * Loads the kernels.
     *
     * @param device where they run
     * @param precision of x, y and the stripe of gradients
     * @param stripeBytes workspace for a stripe of gradients; the smallest is one row of tiles
     */
    public PortableInfoNce(PtxDevice device, Precision precision, long stripeBytes) {
        this(new Kernels(device), precision, stripeBytes);
    }

    PortableInfoNce(Kernels kernels, Precision precision, long stripeBytes) {
        this.kernels = kernels;
        this.precision = precision;
        this.stripeBytes = stripeBytes;
        for (String name : KERNELS) { // loaded here, since capture cannot load
            kernels.get(name(name));
        }
        kernels.get(typed("fwd"));
        for (String name : GRADIENT_KERNELS) {
            kernels.get(typed(name));
        }
    }

    /** Returns the name of a kernel that exists in each precision. */
    private String typed(String kernel) {
        return "pairwise_" + kernel + "_" + precision;
    }

    private static String name(String kernel) {
        return "pairwise_" + kernel + "_f32";
    }

    @Override
    public long workspaceBytes(int n, int m, int d, boolean withGradients) {
        InfoNceChecks.checkSizes(n, m, d, Integer.MAX_VALUE, MOST_COLUMNS);
        return new PortableInfoNcePlan(n, m, withGradients, stripeBytes, precision).bytes;
    }

    /**
     * {@inheritDoc}
     *
     * <p>Rows x [n][{@link RowLayout#pitch}] and y [m][pitch] are of this precision: f32 4-byte aligned, others
     * 16-byte aligned with zeros beyond d. Tensor cores ignore the last 13 bits of a tf32 row, so it must have been
     * rounded before.
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
        long needed = workspaceBytes(inputs.n(), inputs.m(), inputs.d(), gradients != null);
        InfoNceChecks.check(
                inputs,
                RowLayout.rowBytes(precision, inputs.d()),
                precision.usesTensorCores() ? 16 : 4,
                gradients,
                hardest,
                result,
                workspace,
                workspaceBytes,
                needed);
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

    /** Returns 1 if all rows of d floats from these addresses on can be copied 16 bytes at a time, else 0. */
    static int aligned(int d, long... addresses) {
        boolean aligned = d % 4 == 0;
        for (long address : addresses) {
            aligned &= address % 16 == 0;
        }
        return aligned ? 1 : 0;
    }

    /** The launches of one call. */
    private final class Call {
        private final DeviceStream stream;
        private final InfoNceKernels.Inputs in;
        private final PortableInfoNcePlan plan;
        private final long at;
        private final int aligned;

        Call(DeviceStream stream, InfoNceKernels.Inputs in, PortableInfoNcePlan plan, long workspace) {
            this.stream = stream;
            this.in = in;
            this.plan = plan;
            this.at = workspace;
            this.aligned = aligned(in.d(), in.x(), in.y());
        }

        private KernelCall call(String kernel) {
            return KernelCall.of(kernels.get(kernel));
        }

        /** Computes the statistics of the tiles of a stripe. */
        private void statistics(int row, int tiles) {
            if (!precision.usesTensorCores()) {
                call(typed("fwd"))
                        .pointer("x", in.x())
                        .pointer("y", in.y())
                        .pointer("targets", in.targets())
                        .pointer("scalars", at + plan.scalars)
                        .pointer("positive", at + plan.positive)
                        .pointer("rows", at + plan.tileRows)
                        .pointer("at", at + plan.tileAts)
                        .pointer("columns", at + plan.tileColumns)
                        .int32("n", in.n())
                        .int32("m", in.m())
                        .int32("d", in.d())
                        .int32("first", row)
                        .int32("aligned", aligned)
                        .launch(stream, grid(plan.columnTiles, tiles, 64));
            } else {
                call(typed("fwd"))
                        .pointer("x", in.x())
                        .pointer("y", in.y())
                        .pointer("targets", in.targets())
                        .pointer("scalars", at + plan.scalars)
                        .pointer("positive", at + plan.positive)
                        .pointer("rows", at + plan.tileRows)
                        .pointer("at", at + plan.tileAts)
                        .pointer("columnsOut", at + plan.tileColumns)
                        .int32("n", in.n())
                        .int32("m", in.m())
                        .int32("pitch", RowLayout.pitch(precision, in.d()))
                        .int32("first", row)
                        .int32("stripe", tiles * PortableInfoNcePlan.TILE)
                        .launch(stream, grid((plan.columnTiles + 1) / 2, (tiles + 1) / 2, 128));
            }
        }

        void forward(double gradientScale, long hardest, long result) {
            call(name("begin"))
                    .pointer("logScale", in.logScale())
                    .pointer("scalars", at + plan.scalars)
                    .pointer("running", at + plan.running)
                    .int32("n", in.n())
                    .int32("m", in.m())
                    .float64("gradientScale", gradientScale)
                    .launch(stream, threads(in.m()));
            for (int first = 0; first < plan.rowTiles; first += plan.forwardTiles) {
                int tiles = Math.min(plan.forwardTiles, plan.rowTiles - first);
                int row = first * PortableInfoNcePlan.TILE;
                int rows = tiles * PortableInfoNcePlan.TILE;
                statistics(row, tiles);
                call(name("merge_rows"))
                        .pointer("rows", at + plan.tileRows)
                        .pointer("at", at + plan.tileAts)
                        .pointer("rowSums", at + plan.rowSums)
                        .pointer("hardest", hardest)
                        .int32("tiles", plan.columnTiles)
                        .int32("stripe", rows)
                        .int32("first", row)
                        .int32("n", in.n())
                        .launch(stream, threads(rows));
                call(name("merge_columns"))
                        .pointer("columns", at + plan.tileColumns)
                        .pointer("running", at + plan.running)
                        .int32("tiles", tiles)
                        .int32("m", in.m())
                        .launch(stream, threads(in.m()));
            }
            call(name("columns"))
                    .pointer("running", at + plan.running)
                    .pointer("positive", at + plan.positive)
                    .pointer("targets", in.targets())
                    .pointer("column", at + plan.column)
                    .pointer("threshold", at + plan.bar)
                    .int32("n", in.n())
                    .int32("m", in.m())
                    .launch(stream, threads(in.m()));
            call(name("loss"))
                    .pointer("rowSums", at + plan.rowSums)
                    .pointer("positive", at + plan.positive)
                    .pointer("targets", in.targets())
                    .pointer("column", at + plan.column)
                    .pointer("threshold", at + plan.bar)
                    .pointer("bias", in.bias())
                    .pointer("scalars", at + plan.scalars)
                    .pointer("row", at + plan.row)
                    .pointer("result", result)
                    .int32("n", in.n())
                    .float32("rowWeight", (float) in.rowWeight())
                    .float32("columnWeight", (float) in.columnWeight())
                    .launch(stream, grid(1, 1, 256));
        }

        void backward(InfoNceKernels.Gradients gradients) {
            long g = gradients.dx() == 0 && gradients.dy() == 0 ? 0 : at + plan.gradient;
            for (int first = 0; first < plan.rowTiles; first += plan.backwardTiles) {
                int tiles = Math.min(plan.backwardTiles, plan.rowTiles - first);
                int row = first * PortableInfoNcePlan.TILE;
                int rows = Math.min(tiles * PortableInfoNcePlan.TILE, in.n() - row);
                logitGradients(row, tiles, g);
                if (gradients.dLogScale() != 0 || gradients.dBias() != 0) {
                    call(name("scalars"))
                            .pointer("sums", at + plan.tileSums)
                            .pointer("scalars", at + plan.scalars)
                            .pointer("dLogScale", gradients.dLogScale())
                            .pointer("dBias", gradients.dBias())
                            .int32("count", plan.columnTiles * tiles)
                            .launch(stream, grid(1, 1, 256));
                }
                if (gradients.dx() != 0) {
                    rowProduct(g, gradients.dx() + 4L * row * in.d(), rows, tiles);
                }
                if (gradients.dy() != 0) {
                    columnProduct(g, row, gradients.dy(), rows);
                }
            }
        }

        /** Computes G of a stripe, and the sums of its tiles. */
        private void logitGradients(int row, int tiles, long g) {
            if (!precision.usesTensorCores()) {
                call(typed("bwd"))
                        .pointer("x", in.x())
                        .pointer("y", in.y())
                        .pointer("targets", in.targets())
                        .pointer("scalars", at + plan.scalars)
                        .pointer("row", at + plan.row)
                        .pointer("column", at + plan.column)
                        .pointer("g", g)
                        .pointer("sums", at + plan.tileSums)
                        .int32("n", in.n())
                        .int32("m", in.m())
                        .int32("d", in.d())
                        .int32("first", row)
                        .int32("aligned", aligned)
                        .float32("rowWeight", (float) in.rowWeight())
                        .float32("columnWeight", (float) in.columnWeight())
                        .launch(stream, grid(plan.columnTiles, tiles, 64));
            } else {
                call(typed("bwd"))
                        .pointer("x", in.x())
                        .pointer("y", in.y())
                        .pointer("targets", in.targets())
                        .pointer("scalars", at + plan.scalars)
                        .pointer("row", at + plan.row)
                        .pointer("column", at + plan.column)
                        .pointer("g", g)
                        .pointer("sums", at + plan.tileSums)
                        .int32("n", in.n())
                        .int32("m", in.m())
                        .int32("pitch", RowLayout.pitch(precision, in.d()))
                        .int32("first", row)
                        .int32("tiles", plan.columnTiles)
                        .float32("rowWeight", (float) in.rowWeight())
                        .float32("columnWeight", (float) in.columnWeight())
                        .launch(stream, grid((plan.columnTiles + 1) / 2, (tiles + 1) / 2, 128));
            }
        }

        /** Computes dx = G y for the rows of a stripe. */
        private void rowProduct(long g, long dx, int rows, int tiles) {
            if (!precision.usesTensorCores()) {
                call(typed("dx"))
                        .pointer("g", g)
                        .pointer("b", in.y())
                        .pointer("c", dx)
                        .pointer("scalars", at + plan.scalars)
                        .int32("k", in.m())
                        .int32("d", in.d())
                        .int32("rows", rows)
                        .int32("pitch", plan.pitch)
                        .int32("aligned", aligned(in.d(), in.y(), dx))
                        .launch(stream, grid(blocks(in.d(), 64), tiles, 64));
            } else {
                call(typed("dx"))
                        .pointer("g", g)
                        .pointer("b", in.y())
                        .pointer("c", dx)
                        .pointer("scalars", at + plan.scalars)
                        .int32("k", in.m())
                        .int32("d", in.d())
                        .int32("pitch", RowLayout.pitch(precision, in.d()))
                        .int32("rows", rows)
                        .int32("gPitch", plan.pitch)
                        .int32("aligned", pairs(dx))
                        .launch(stream, grid(blocks(in.d(), 128), blocks(rows, 128), 128));
            }
        }

        /** Computes dy += G^T x over the rows of a stripe; the first stripe writes. */
        private void columnProduct(long g, int row, long dy, int rows) {
            long x = in.x() + RowLayout.rowBytes(precision, in.d()) * row;
            int add = row == 0 ? 0 : 1;
            if (!precision.usesTensorCores()) {
                call(typed("dy"))
                        .pointer("g", g)
                        .pointer("b", x)
                        .pointer("c", dy)
                        .pointer("scalars", at + plan.scalars)
                        .int32("k", rows)
                        .int32("d", in.d())
                        .int32("columns", in.m())
                        .int32("pitch", plan.pitch)
                        .int32("aligned", aligned(in.d(), x, dy))
                        .int32("add", add)
                        .launch(stream, grid(blocks(in.d(), 64), plan.columnTiles, 64));
            } else {
                call(typed("dy"))
                        .pointer("g", g)
                        .pointer("b", x)
                        .pointer("c", dy)
                        .pointer("scalars", at + plan.scalars)
                        .int32("k", rows)
                        .int32("d", in.d())
                        .int32("pitch", RowLayout.pitch(precision, in.d()))
                        .int32("rows", in.m())
                        .int32("gPitch", plan.pitch)
                        .int32("aligned", pairs(dy))
                        .int32("add", add)
                        .launch(stream, grid(blocks(in.d(), 128), blocks(in.m(), 128), 128));
            }
        }

        private int pairs(long address) {
            return in.d() % 2 == 0 && address % 8 == 0 ? 1 : 0;
        }
    }

    private static Launch grid(int gridX, int gridY, int threads) {
        return Launch.of(new Launch.Dim(gridX, gridY, 1), new Launch.Dim(threads, 1, 1));
    }

    /** Returns a launch of one thread for each of {@code count} elements. */
    private static Launch threads(int count) {
        return Launch.of(blocks(count, 128), 128);
    }

    private static int blocks(int count, int size) {
        return (int) (((long) count + size - 1) / size);
    }
}
