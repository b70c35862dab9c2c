package org.contrastive4j.internal.ptx;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.device.Launch;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.PairTileOps;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/**
 * The general pairwise engine as kernels in f32: all reductions of a pass in one launch for each stripe of rows, all
 * terms of a gradient in another, so that a product is formed once whatever is asked of it.
 *
 * <p>Pairing and scalars go to the device in one copy a pass, results come back in one.
 * Values of reductions are sums in f32 over the 64 pairs of a row or column of a tile, then in f64.
 */
final class PtxPairTileOps extends PairTileOps {
    private static final int TILE = PortableInfoNcePlan.TILE;
    private static final int RESULT_BYTES = 16;
    private static final int PARTIAL_BYTES = 8;
    private static final int MOST_TILES = 65_535; // blocks along y
    private static final int BINS_PER_LAUNCH = 2048;
    /** What {@link #workspaceBytes} is for: more than any loss of this library asks for in one pass. */
    private static final int REDUCTIONS = 24;

    private static final int ARRAYS = 32;

    private final TensorLauncher launcher;
    private final long stripeBytes;

    /** @param stripeBytes what a stripe's partial results or gradients may take, if that is enough for 64 rows */
    PtxPairTileOps(TensorLauncher launcher, long stripeBytes) {
        super(DType.F32);
        this.launcher = launcher;
        this.stripeBytes = stripeBytes;
    }

    private static int tiles(int count) {
        return TensorLauncher.blocks(count, TILE);
    }

    /** Row tiles that a stripe has. */
    private int stripe(int rowTiles, long bytesOfTile) {
        return (int) Math.min(rowTiles, Math.max(1, Math.min(MOST_TILES, stripeBytes / bytesOfTile)));
    }

    private static long partialsOfTile(int count, int columnTiles) {
        return (long) count * TILE * PARTIAL_BYTES * columnTiles;
    }

    private static long gradientsOfTile(int columnTiles) {
        return (long) TILE * TILE * Float.BYTES * columnTiles;
    }

    /** Work on the rows [row, row + 64 tiles) of a stripe. */
    @FunctionalInterface
    private interface Stripe {
        void rows(int row, int tiles);
    }

    /** A pass over the pairs: what the kernels share. */
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
                throw new ShapeException(operation + ": " + pairing.m() + " columns, wanted at most "
                        + MOST_TILES * TILE + "; cut them into shards");
            }
        }

        void stripes(int stripe, Stripe work) {
            for (int first = 0; first < rowTiles; first += stripe) {
                work.rows(first * TILE, Math.min(stripe, rowTiles - first));
            }
        }

        /** A block for each tile of a stripe; {@code more} are the kernel's own arguments. */
        void launch(String kernel, int row, int tiles, PtxPairTileInputs inputs, long at, Object... more) {
            Pairing.Guide guide = pairing.guide();
            Tensor guideX = guide == null ? null : guide.rows();
            Tensor guideY = guide == null ? null : guide.columns();
            int guideD = guide == null ? 0 : guideX.dim(1);
            boolean ids = pairing.hasIds();
            List<Object> arguments = new ArrayList<>(Arrays.asList(
                    pairs.x(),
                    pairs.y(),
                    guideX,
                    guideY,
                    at + inputs.targets(),
                    ids ? at + inputs.rowIds() : 0L,
                    ids ? at + inputs.columnIds() : 0L,
                    at + inputs.rowLimits(),
                    at + inputs.columnLimits(),
                    pairing.n(),
                    pairing.m(),
                    d,
                    guideD,
                    row,
                    launcher.wide(d, pairs.x(), pairs.y()),
                    guide == null ? 0 : launcher.wide(guideD, guideX, guideY),
                    pairing.window(),
                    pairing.cycle(),
                    pairing.sameIsPositive() ? 1 : 0,
                    (float) pairs.scale()));
            arguments.addAll(Arrays.asList(more));
            launcher.launch(
                    kernel,
                    Launch.of(new Launch.Dim(columnTiles, tiles, 1), new Launch.Dim(TILE, 1, 1)),
                    arguments.toArray());
        }
    }

    private DeviceStorage upload(PtxPairTileInputs inputs) {
        ByteBuffer bytes = inputs.bytes();
        DeviceStorage storage = launcher.workspace(bytes.capacity());
        storage.upload(0, bytes);
        return storage;
    }

    @Override
    protected Deferred<List<Reduced>> reduceUnchecked(Pairs pairs, List<Reduction> reductions) {
        if (reductions.isEmpty()) {
            return Deferred.of(List.of());
        }
        Pass pass = new Pass("reduce", pairs);
        int n = pass.pairing.n();
        int m = pass.pairing.m();
        PtxPairTileInputs inputs = new PtxPairTileInputs(pass.pairing);
        reductions.forEach(inputs::add);
        long partialsOfTile = partialsOfTile(inputs.count(), pass.columnTiles);
        int stripe = stripe(pass.rowTiles, partialsOfTile);
        try (DeviceStorage in = upload(inputs);
                DeviceStorage results = launcher.workspace((long) RESULT_BYTES * inputs.results());
                DeviceStorage partials = launcher.workspace(partialsOfTile * stripe)) {
            long at = in.address();
            pass.stripes(stripe, (row, tiles) -> {
                pass.launch(
                        "pair_reduce_f32", row, tiles, inputs, at, at + inputs.numbers(), at, partials, inputs.count());
                launcher.launch(
                        "pair_merge_f32",
                        Launch.of(
                                new Launch.Dim(
                                        TensorLauncher.blocks(Math.max(m, Math.min(n - row, tiles * TILE)), 128),
                                        inputs.count(),
                                        1),
                                new Launch.Dim(128, 1, 1)),
                        partials,
                        at,
                        results,
                        n,
                        m,
                        row,
                        pass.columnTiles,
                        tiles);
            });
            return launcher.readback.later(
                    results,
                    records -> reductions.stream()
                            .map(of -> reduced(of.kind(), of.axis() == Axis.ROWS ? n : m, records))
                            .toList());
        }
    }

    /** The next {@code size} records. */
    private static Reduced reduced(Kind kind, int size, ByteBuffer records) {
        boolean largest = kind == Kind.MAX || kind == Kind.MAX_BELOW;
        double[] values = new double[size];
        int[] counts = largest ? new int[size] : null;
        int[] at = largest ? new int[size] : null;
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
            Pairs pairs, List<Term> terms, PairwiseOps.Gradients gradients, double gradientScale) {
        Pass pass = new Pass("gradient", pairs);
        PtxPairTileInputs inputs = new PtxPairTileInputs(pass.pairing);
        terms.forEach(inputs::add);
        // sums are of S, not of the cosines whose factor the third is; the sixth is that of the products
        inputs.setScalars(0, 0, 1, 0, 0, (float) (gradientScale * pairs.scale()), 0, 0);
        boolean products = gradients.dx() != null || gradients.dy() != null;
        boolean scalars = gradients.dLogScale() != null || gradients.dBias() != null;
        long dx = written("dx", gradients.dx(), pairs);
        long dy = written("dy", gradients.dy(), pairs);
        int stripe = stripe(pass.rowTiles, gradientsOfTile(pass.columnTiles));
        long sumBytes = 2L * Float.BYTES * pass.columnTiles * stripe;
        try (DeviceStorage in = upload(inputs);
                DeviceStorage sums = launcher.workspace(sumBytes);
                DeviceStorage g = products ? launcher.workspace(gradientsOfTile(pass.columnTiles) * stripe) : null) {
            long at = in.address();
            long gAt = products ? g.address() : 0;
            pass.stripes(stripe, (row, tiles) -> {
                pass.launch(
                        "pair_bwd_f32",
                        row,
                        tiles,
                        inputs,
                        at,
                        at + inputs.numbers(),
                        at,
                        gAt,
                        sums,
                        inputs.count(),
                        (float) gradientScale);
                if (scalars) {
                    launcher.launch(
                            "pairwise_scalars_f32",
                            Launch.of(1, 256),
                            sums,
                            at + inputs.scalars(),
                            gradients.dLogScale(),
                            gradients.dBias(),
                            pass.columnTiles * tiles);
                }
                products(pass, row, tiles, gAt, at + inputs.scalars(), dx, dy);
            });
        }
    }

    /** The address of a gradient that must not lie where rows are read; 0 for null. */
    private long written(String argument, Tensor gradient, Pairs pairs) {
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
                        guide == null ? null : guide.rows(),
                        guide == null ? null : guide.columns());
    }

    /** dx = G y for the rows of a stripe, dy += G^T x over them; the first stripe writes dy. */
    private void products(Pass pass, int row, int tiles, long g, long scalars, long dx, long dy) {
        int d = pass.d;
        int m = pass.pairing.m();
        int rows = Math.min(tiles * TILE, pass.pairing.n() - row);
        int pitch = pass.columnTiles * TILE;
        Launch.Dim block = new Launch.Dim(TILE, 1, 1);
        if (dx != 0) {
            long y = launcher.address(pass.pairs.y());
            long out = dx + (long) Float.BYTES * row * d;
            launcher.launch(
                    "pairwise_dx_f32",
                    Launch.of(new Launch.Dim(tiles(d), tiles, 1), block),
                    g,
                    y,
                    out,
                    scalars,
                    m,
                    d,
                    rows,
                    pitch,
                    PortableInfoNce.wide(d, y, out));
        }
        if (dy != 0) {
            long x = launcher.address(pass.pairs.x()) + (long) Float.BYTES * row * d;
            launcher.launch(
                    "pairwise_dy_f32",
                    Launch.of(new Launch.Dim(tiles(d), pass.columnTiles, 1), block),
                    g,
                    x,
                    dy,
                    scalars,
                    rows,
                    d,
                    m,
                    pitch,
                    PortableInfoNce.wide(d, x, dy),
                    row == 0 ? 0 : 1);
        }
    }

    @Override
    protected Deferred<Histogram> histogramUnchecked(Pairs pairs, int bins) {
        Pass pass = new Pass("histogram", pairs);
        PtxPairTileInputs inputs = new PtxPairTileInputs(pass.pairing);
        try (DeviceStorage in = upload(inputs);
                DeviceStorage counts = launcher.workspace(2L * Long.BYTES * bins)) {
            launcher.stream.fill(counts, (byte) 0);
            for (int from = 0; from < bins; from += BINS_PER_LAUNCH) {
                int start = from;
                pass.stripes(
                        MOST_TILES,
                        (row, tiles) -> pass.launch(
                                "pair_histogram_f32",
                                row,
                                tiles,
                                inputs,
                                in.address(),
                                counts,
                                bins,
                                start,
                                Math.min(BINS_PER_LAUNCH, bins - start)));
            }
            return launcher.readback.later(counts, records -> {
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
     * For passes of up to 24 reductions, and 32 arrays of numbers of rows and as many of columns; each reduction beyond
     * takes 16 bytes for each row or column more, each array 8 bytes a number. A histogram takes 16 bytes a bin more.
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
}
