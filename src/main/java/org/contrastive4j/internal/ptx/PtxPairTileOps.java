package org.contrastive4j.internal.ptx;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.PairTileOps;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.Scalars;
import org.contrastive4j.ops.Scalars.Reduced;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * The tiled pairwise engine as f32 kernels: one launch computes all reductions of a pass for a stripe of rows,
 * another all terms of a gradient, so that each product is computed once.
 *
 * <p>Pairing and scalars of the host are copied to the device once for each pass. Results come back in one copy, or
 * stay on the device where a {@link Scalars.Scope} asks for them. Reductions are summed in f32 over the 64 pairs of a
 * row or column of a tile, then in f64.
 */
final class PtxPairTileOps extends PairTileOps {
    private static final int TILE = PortableInfoNcePlan.TILE;
    private static final int RESULT_BYTES = 16;
    private static final int PARTIAL_BYTES = 8;
    private static final int MOST_TILES = 65_535; // blocks along y
    private static final int BINS_PER_LAUNCH = 2048;
    /** Reductions that {@link #workspaceBytes} provides for: more than any loss of this library uses in one pass. */
    private static final int REDUCTIONS = 24;

    private static final int ARRAYS = 32;

    private final TensorLauncher launcher;
    private final long stripeBytes;

    /** @param stripeBytes budget of the partial results or gradients of a stripe; 64 rows are used if it is less */
    PtxPairTileOps(TensorLauncher launcher, long stripeBytes) {
        super(DType.F32);
        this.launcher = launcher;
        this.stripeBytes = stripeBytes;
    }

    private static int tiles(int count) {
        return TensorLauncher.blocks(count, TILE);
    }

    /** Returns the row tiles of a stripe. */
    private int stripe(int rowTiles, long bytesOfTile) {
        return (int) Math.min(rowTiles, Math.max(1, Math.min(MOST_TILES, stripeBytes / bytesOfTile)));
    }

    private static long partialsOfTile(int count, int columnTiles) {
        return (long) count * TILE * PARTIAL_BYTES * columnTiles;
    }

    private static long gradientsOfTile(int columnTiles) {
        return (long) TILE * TILE * Float.BYTES * columnTiles;
    }

    /** Processes the rows [row, row + 64 tiles) of a stripe. */
    @FunctionalInterface
    private interface Stripe {
        void rows(int row, int tiles);
    }

    /** A pass over the pairs: the arguments that all kernels share. */
    private final class Pass {
        final Pairs pairs;
        final Pairing pairing;
        final int d;
        final int rowTiles;
        final int columnTiles;

        Pass(String operation, Pairs pairs) {
            this.pairs = pairs;
            pairing = pairs.pairing();
            d = pairs.x().dim(1);
            rowTiles = tiles(pairing.n());
            columnTiles = tiles(pairing.m());
            if (columnTiles > MOST_TILES) {
                throw new ShapeException(operation + ": " + pairing.m() + " columns, expected at most "
                        + MOST_TILES * TILE + "; cut them into shards");
            }
        }

        void stripes(int stripe, Stripe work) {
            for (int first = 0; first < rowTiles; first += stripe) {
                work.rows(first * TILE, Math.min(stripe, rowTiles - first));
            }
        }

        /** Begins a call of a pair kernel with the parameters that all of them share. */
        KernelCall call(String kernel, int row, PtxPairTileInputs inputs, long at) {
            Pairing.Guide guide = pairing.guide();
            Tensor guideX = guide == null ? null : guide.rows();
            Tensor guideY = guide == null ? null : guide.columns();
            int guideD = guideX == null ? 0 : guideX.dim(1);
            boolean ids = pairing.hasIds();
            return launcher.call(kernel)
                    .pointer("x", launcher.address(pairs.x()))
                    .pointer("y", launcher.address(pairs.y()))
                    .pointer("guideX", launcher.address(guideX))
                    .pointer("guideY", launcher.address(guideY))
                    .pointer("targets", at + inputs.targets())
                    .pointer("rowIds", ids ? at + inputs.rowIds() : 0)
                    .pointer("columnIds", ids ? at + inputs.columnIds() : 0)
                    .pointer("rowLimits", at + inputs.rowLimits())
                    .pointer("columnLimits", at + inputs.columnLimits())
                    .int32("n", pairing.n())
                    .int32("m", pairing.m())
                    .int32("d", d)
                    .int32("guideD", guideD)
                    .int32("first", row)
                    .int32("aligned", launcher.aligned(d, pairs.x(), pairs.y()))
                    .int32(
                            "guideAligned",
                            guideX == null || guideY == null ? 0 : launcher.aligned(guideD, guideX, guideY))
                    .pointer("window", at + inputs.window())
                    .int32("cycle", pairing.cycle())
                    .flag("same", pairing.sameIsPositive())
                    .pointer("scale", at + inputs.scale());
        }

        /** Launches a thread block for each tile of a stripe. */
        void launch(KernelCall call, int tiles) {
            call.launch(launcher.stream, Launch.of(new Launch.Dim(columnTiles, tiles, 1), new Launch.Dim(TILE, 1, 1)));
        }
    }

    private DeviceStorage upload(PtxPairTileInputs inputs) {
        DeviceStorage storage = launcher.workspace(inputs.bytes());
        try {
            if (inputs.areFixed()) {
                launcher.constants.upload(inputs.copied(), storage);
            } else {
                launcher.stream.upload(inputs.copied(), storage, 0);
            }
            inputs.writeOnDevice(launcher, storage);
        } catch (RuntimeException refused) {
            storage.close();
            throw refused;
        }
        return storage;
    }

    @Override
    public Scalars.Scope scope() {
        return new PtxScope(launcher, (pairs, reductions) -> {
            check(pairs, reductions);
            return onDevice(pairs, reductions);
        });
    }

    @Override
    protected Deferred<List<Reduced>> reduceUnchecked(Pairs pairs, List<Reduction> reductions) {
        if (reductions.isEmpty()) {
            return Deferred.of(List.of());
        }
        PtxPairTileInputs inputs = inputs(pairs, reductions);
        try (DeviceStorage in = upload(inputs);
                DeviceStorage results = launcher.workspace((long) RESULT_BYTES * inputs.results())) {
            reduce(new Pass("reduce", pairs), inputs, in.address(), results);
            int n = pairs.pairing().n();
            int m = pairs.pairing().m();
            return launcher.downloads.download(
                    results,
                    records -> reductions.stream()
                            .map(of -> reduced(of.kind(), of.axis() == Axis.ROWS ? n : m, records))
                            .toList());
        }
    }

    /** Computes reductions as doubles in device memory, {@link PtxScope#RECORD_BYTES} for each row or column. */
    private DeviceStorage onDevice(Pairs pairs, List<Reduction> reductions) {
        PtxPairTileInputs inputs = inputs(pairs, reductions);
        DeviceStorage doubles = launcher.workspace((long) PtxScope.RECORD_BYTES * inputs.results());
        try (DeviceStorage in = upload(inputs);
                DeviceStorage results = launcher.workspace((long) RESULT_BYTES * inputs.results())) {
            reduce(new Pass("reduce", pairs), inputs, in.address(), results);
            int n = pairs.pairing().n();
            int m = pairs.pairing().m();
            launcher.call("pair_results_f64")
                    .pointer("results", results)
                    .pointer("reductions", in)
                    .pointer("out", doubles)
                    .int32("n", n)
                    .int32("m", m)
                    .launch(launcher.stream, ofResults(Math.max(n, m), inputs.count()));
            return doubles;
        } catch (RuntimeException refused) {
            doubles.close();
            throw refused;
        }
    }

    private static PtxPairTileInputs inputs(Pairs pairs, List<Reduction> reductions) {
        PtxPairTileInputs inputs = new PtxPairTileInputs(pairs);
        reductions.forEach(inputs::add);
        return inputs;
    }

    private static Launch ofResults(int most, int reductions) {
        return Launch.of(new Launch.Dim(TensorLauncher.blocks(most, 128), reductions, 1), new Launch.Dim(128, 1, 1));
    }

    /** Launches the kernels of a pass, stripe by stripe. */
    private void reduce(Pass pass, PtxPairTileInputs inputs, long at, DeviceStorage results) {
        int n = pass.pairing.n();
        int m = pass.pairing.m();
        long partialsOfTile = partialsOfTile(inputs.count(), pass.columnTiles);
        int stripe = stripe(pass.rowTiles, partialsOfTile);
        try (DeviceStorage partials = launcher.workspace(partialsOfTile * stripe)) {
            pass.stripes(stripe, (row, tiles) -> {
                pass.launch(
                        pass.call("pair_reduce_f32", row, inputs, at)
                                .pointer("scalars", at + inputs.statistics())
                                .pointer("reductions", at)
                                .pointer("partials", partials)
                                .int32("count", inputs.count()),
                        tiles);
                launcher.call("pair_merge_f32")
                        .pointer("partials", partials)
                        .pointer("reductions", at)
                        .pointer("results", results)
                        .int32("n", n)
                        .int32("m", m)
                        .int32("first", row)
                        .int32("columnTiles", pass.columnTiles)
                        .int32("rowTiles", tiles)
                        .launch(
                                launcher.stream,
                                ofResults(Math.max(m, Math.min(n - row, tiles * TILE)), inputs.count()));
            });
        }
    }

    /** Decodes the next {@code size} records. */
    private static Reduced reduced(Kind kind, int size, ByteBuffer records) {
        boolean largest = kind == Kind.MAX || kind == Kind.MAX_BELOW;
        double[] values = new double[size];
        int[] counts = new int[largest ? size : 0];
        int[] at = new int[largest ? size : 0];
        for (int i = 0; i < size; i++) {
            int record = records.position();
            if (largest) {
                values[i] = records.getFloat(record);
                counts[i] = records.getInt(record + 8);
                at[i] = records.getInt(record + 12);
            } else {
                double sum = records.getDouble(record);
                values[i] = kind == Kind.SUM
                        ? sum
                        : sum == 0 ? Double.NEGATIVE_INFINITY : records.getFloat(record + 8) + Math.log(sum);
            }
            records.position(record + RESULT_BYTES);
        }
        return new Reduced(values, counts, at);
    }

    @Override
    protected void gradientUnchecked(
            Pairs pairs, List<Term> terms, Factors factors, PairwiseOps.Gradients gradients, double gradientScale) {
        Pass pass = new Pass("gradient", pairs);
        PtxPairTileInputs inputs = new PtxPairTileInputs(pairs, gradientScale);
        terms.forEach(inputs::add);
        boolean products = gradients.dx() != null || gradients.dy() != null;
        boolean scalars = gradients.dLogScale() != null || gradients.dBias() != null;
        long dx = written("dx", gradients.dx(), pairs, factors);
        long dy = written("dy", gradients.dy(), pairs, factors);
        int stripe = stripe(pass.rowTiles, gradientsOfTile(pass.columnTiles));
        long sumBytes = 2L * Float.BYTES * pass.columnTiles * stripe;
        try (DeviceStorage in = upload(inputs);
                DeviceStorage sums = launcher.workspace(sumBytes);
                DeviceStorage g = products ? launcher.workspace(gradientsOfTile(pass.columnTiles) * stripe) : null) {
            long at = in.address();
            long gAt = g == null ? 0 : g.address();
            pass.stripes(stripe, (row, tiles) -> {
                pass.launch(
                        pass.call("pair_bwd_f32", row, inputs, at)
                                .pointer("scalars", at + inputs.statistics())
                                .pointer("terms", at)
                                .pointer("g", gAt)
                                .pointer("sums", sums)
                                .int32("count", inputs.count())
                                .float32("gradientScale", (float) gradientScale),
                        tiles);
                if (scalars) {
                    launcher.call("pairwise_scalars_f32")
                            .pointer("sums", sums)
                            .pointer("scalars", at + inputs.scalars())
                            .pointer("dLogScale", launcher.address(gradients.dLogScale()))
                            .pointer("dBias", launcher.address(gradients.dBias()))
                            .int32("count", pass.columnTiles * tiles)
                            .launch(launcher.stream, Launch.of(1, 256));
                }
                products(pass, factors, row, tiles, gAt, at + inputs.scalars(), dx, dy);
            });
        }
    }

    /** Returns the address of a gradient after checking that it does not overlap the inputs; 0 for null. */
    private long written(String argument, @Nullable Tensor gradient, Pairs pairs, Factors factors) {
        Pairing.Guide guide = pairs.pairing().guide();
        return gradient == null
                ? 0
                : DeviceTensors.written(
                        "gradient",
                        argument,
                        launcher.device,
                        gradient,
                        pairs.x(),
                        pairs.y(),
                        factors.rows(),
                        factors.columns(),
                        guide == null ? null : guide.rows(),
                        guide == null ? null : guide.columns());
    }

    /** Computes dx = G y for the rows of a stripe and dy += G^T x over them; the first stripe writes dy. */
    private void products(Pass pass, Factors factors, int row, int tiles, long g, long scalars, long dx, long dy) {
        int d = factors.width();
        int m = pass.pairing.m();
        int rows = Math.min(tiles * TILE, pass.pairing.n() - row);
        int pitch = pass.columnTiles * TILE;
        Launch.Dim block = new Launch.Dim(TILE, 1, 1);
        if (dx != 0) {
            long y = launcher.address(factors.columns());
            long out = dx + (long) Float.BYTES * row * d;
            launcher.call("pairwise_dx_f32")
                    .pointer("g", g)
                    .pointer("b", y)
                    .pointer("c", out)
                    .pointer("scalars", scalars)
                    .int32("k", m)
                    .int32("d", d)
                    .int32("rows", rows)
                    .int32("pitch", pitch)
                    .int32("aligned", PortableInfoNce.aligned(d, y, out))
                    .launch(launcher.stream, Launch.of(new Launch.Dim(tiles(d), tiles, 1), block));
        }
        if (dy != 0) {
            long x = launcher.address(factors.rows()) + (long) Float.BYTES * row * d;
            launcher.call("pairwise_dy_f32")
                    .pointer("g", g)
                    .pointer("b", x)
                    .pointer("c", dy)
                    .pointer("scalars", scalars)
                    .int32("k", rows)
                    .int32("d", d)
                    .int32("columns", m)
                    .int32("pitch", pitch)
                    .int32("aligned", PortableInfoNce.aligned(d, x, dy))
                    .int32("add", row == 0 ? 0 : 1)
                    .launch(launcher.stream, Launch.of(new Launch.Dim(tiles(d), pass.columnTiles, 1), block));
        }
    }

    @Override
    protected Deferred<Histogram> histogramUnchecked(Pairs pairs, int bins) {
        Pass pass = new Pass("histogram", pairs);
        PtxPairTileInputs inputs = new PtxPairTileInputs(pairs);
        try (DeviceStorage in = upload(inputs);
                DeviceStorage counts = launcher.workspace(2L * Long.BYTES * bins)) {
            launcher.stream.fill(counts, (byte) 0);
            for (int from = 0; from < bins; from += BINS_PER_LAUNCH) {
                int start = from;
                pass.stripes(
                        MOST_TILES,
                        (row, tiles) -> pass.launch(
                                pass.call("pair_histogram_f32", row, inputs, in.address())
                                        .pointer("counts", counts)
                                        .int32("bins", bins)
                                        .int32("start", start)
                                        .int32("length", Math.min(BINS_PER_LAUNCH, bins - start)),
                                tiles));
            }
            return launcher.downloads.download(counts, records -> {
                long[] positives = new long[bins];
                long[] negatives = new long[bins];
                records.asLongBuffer().get(positives).get(negatives);
                long counted = Arrays.stream(positives).sum()
                        + Arrays.stream(negatives).sum();
                return new Histogram(positives, negatives, (long) pass.pairing.n() * pass.pairing.m() - counted);
            });
        }
    }

    /**
     * Returns the bytes for passes of up to 24 reductions, and up to 32 arrays of statistics of rows and of columns
     * each. A further reduction needs 16 bytes for each row or column, a further array 8 bytes for each element, and
     * a histogram 16 bytes for each bin.
     */
    @Override
    public long workspaceBytes(int n, int m, int d) {
        int rowTiles = tiles(n);
        int columnTiles = tiles(m);
        long partialsOfTile = partialsOfTile(REDUCTIONS, columnTiles);
        long results = (long) REDUCTIONS * RESULT_BYTES * Math.max(n, m);
        int stripe = stripe(rowTiles, gradientsOfTile(columnTiles));
        long gradients = stripe * (gradientsOfTile(columnTiles) + 2L * Float.BYTES * columnTiles);
        return PtxPairTileInputs.bytes(n, m, REDUCTIONS, ARRAYS)
                + Math.max(results + partialsOfTile * stripe(rowTiles, partialsOfTile), gradients);
    }

    @Override
    public long scopeBytes(int n, int m, int reductions, int scalars) {
        int most = Math.max(n, m);
        return PtxScope.bytes(3 * most * reductions) + scalars * PtxScope.bytes(most);
    }
}
