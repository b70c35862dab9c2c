package org.contrastive4j.internal.cpu;

import java.util.Arrays;
import org.contrastive4j.ops.Pairing;
import org.jspecify.annotations.Nullable;

/**
 * Finds the positive and the ignored pairs of one tile, one row at a time, as column indices within the tile.
 *
 * <p>Tested by {@code CpuPairTileOpsTest}.
 */
final class TileClasses {
    private final Pairing pairing;
    private final LogitTiles tiles;
    private final int cell;
    private final int first;
    private final int columns;
    private final int[] positives;
    private final int[] others;
    private final Scratch.@Nullable OffHeap guided;
    private final float[] guidedRow;
    private int positiveCount;
    private int otherCount;

    /** Computes the similarities by the guide, if there is one, in scratch memory of the thread. */
    TileClasses(Pairing pairing, LogitTiles tiles, int cell, int t) {
        this.pairing = pairing;
        this.tiles = tiles;
        this.cell = cell;
        this.first = tiles.firstColumn(cell, t);
        this.columns = tiles.grid.tileColumns(cell, t);
        this.positives = new int[1 + columns];
        this.others = new int[1 + 3 * columns]; // a column may occur once for each reason
        Pairing.Guide guide = pairing.guide();
        this.guidedRow = new float[guide == null ? 0 : columns];
        this.guided = guide == null ? null : multiply(guide);
    }

    private Scratch.OffHeap multiply(Pairing.Guide guide) {
        int width = guide.rows().dim(1);
        int rows = tiles.grid.rows(cell);
        Scratch.OffHeap block = Scratch.offHeap(0, rows * columns);
        Blas.sgemm(
                false,
                true,
                rows,
                columns,
                width,
                1,
                Blas.address(guide.rows()) + 4L * tiles.grid.firstRow(cell) * width,
                width,
                Blas.address(guide.columns()) + 4L * first * width,
                width,
                0,
                block.address(),
                columns);
        return block;
    }

    /** Moves to row r of the cell. */
    void row(int r) {
        int i = tiles.grid.firstRow(cell) + r;
        positiveCount = 0;
        otherCount = 0;
        int target = pairing.target(i);
        if (target >= first && target < first + columns) {
            positives[positiveCount++] = target - first;
            others[otherCount++] = target - first;
        }
        if (pairing.hasIds()) {
            sameIds(i, target);
        }
        if (pairing.window() > 0) {
            outsideWindow(i);
        }
        if (guided != null) {
            tooSimilar(i, r);
        }
    }

    private void sameIds(int i, int target) {
        int[] same = pairing.same(i);
        int from = Arrays.binarySearch(same, first);
        for (int k = from < 0 ? -from - 1 : from; k < same.length && same[k] < first + columns; k++) {
            if (same[k] != target) {
                others[otherCount++] = same[k] - first;
                if (pairing.sameIsPositive()) {
                    positives[positiveCount++] = same[k] - first;
                }
            }
        }
    }

    private void outsideWindow(int i) {
        for (int j = 0; j < columns; j++) {
            if (pairing.isOutside(i, first + j)) {
                others[otherCount++] = j;
            }
        }
    }

    private void tooSimilar(int i, int r) {
        Pairing.Guide guide = pairing.guide();
        if (guide == null || guided == null) {
            return;
        }
        guided.floats().get(r * columns, guidedRow, 0, columns);
        double limit = guide.rowLimits()[i];
        double[] columnLimits = guide.columnLimits();
        for (int j = 0; j < columns; j++) {
            if (guidedRow[j] > limit || guidedRow[j] > columnLimits[first + j]) {
                others[otherCount++] = j;
            }
        }
    }

    int positiveCount() {
        return positiveCount;
    }

    /** Returns the column, within the tile, of the k-th positive of the row. */
    int positive(int k) {
        return positives[k];
    }

    /** Writes a value to every column where the row has no negative. */
    void setOthers(float[] x, float value) {
        for (int k = 0; k < otherCount; k++) {
            x[others[k]] = value;
        }
    }
}
