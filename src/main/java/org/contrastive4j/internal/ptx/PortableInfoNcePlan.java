package org.contrastive4j.internal.ptx;

import org.contrastive4j.tensor.Precision;

/** Divides a call of {@link PortableInfoNce} into stripes of rows, and its workspace into buffers: offsets in bytes. */
final class PortableInfoNcePlan {
    static final int TILE = 64;
    private static final int MOST_TILES = 65_535; // blocks along y
    static final int SCALARS_BYTES = 32;
    private static final long ALIGNMENT = 256;

    final int n;
    final int m;
    final int rowTiles;
    final int columnTiles;
    /** Elements from one row of the gradients of a stripe to the next. */
    final int pitch;
    /** Row tiles of one launch of the forward kernel. */
    final int forwardTiles;
    /** Row tiles of one launch of the backward kernel. */
    final int backwardTiles;

    final long scalars;
    final long running;
    final long positive;
    final long rowSums;
    final long column;
    final long bar;
    final long row;
    final long tileRows;
    final long tileAts;
    final long tileColumns;
    final long tileSums;
    final long gradient;
    final long bytes;
    private long end;

    /**
     * @param stripeBytes budget of the tile statistics or gradients of a stripe; the smallest stripe is used if it is
     *     less
     */
    PortableInfoNcePlan(int n, int m, boolean withGradients, long stripeBytes, Precision precision) {
        this.n = n;
        this.m = m;
        rowTiles = tiles(n);
        columnTiles = tiles(m);
        int step = precision.usesTensorCores() ? 2 : 1; // 64-row tiles of a thread block; only the last stripe has less
        pitch = TILE * ((columnTiles + step - 1) / step * step);
        long gradientsOfTile = (long) precision.storage().bytes() * TILE * pitch;
        long rowsOfTile = 8L * TILE * columnTiles;
        long atsOfTile = 4L * TILE * columnTiles;
        long columnsOfTile = 8L * m;
        forwardTiles = stripe(stripeBytes, rowsOfTile + atsOfTile + columnsOfTile, step);
        backwardTiles = stripe(stripeBytes, gradientsOfTile, step);
        scalars = take(SCALARS_BYTES);
        running = take(8L * m);
        positive = take(4L * n);
        rowSums = take(8L * n);
        column = take(16L * m);
        bar = take(4L * m);
        row = take(8L * n);
        long stripe = end; // gradients reuse the buffers of the statistics, which are merged before
        tileRows = take(forwardTiles * rowsOfTile);
        tileAts = take(forwardTiles * atsOfTile);
        tileColumns = take(forwardTiles * columnsOfTile);
        long forwardEnd = end;
        end = stripe;
        tileSums = take(withGradients ? 8L * backwardTiles * columnTiles : 0);
        gradient = take(withGradients ? gradientsOfTile * ((backwardTiles + step - 1) / step * step) : 0);
        bytes = Math.max(forwardEnd, end);
    }

    private static int tiles(int count) {
        return (int) (((long) count + TILE - 1) / TILE);
    }

    private int stripe(long budget, long ofTile, int step) {
        long most = Math.min(MOST_TILES, budget / ofTile) / step * step;
        return (int) Math.min(rowTiles, Math.max(step, most));
    }

    private long take(long size) {
        long at = end;
        end += (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        return at;
    }
}
