package org.contrastive4j.internal.cpu;

import org.contrastive4j.internal.memory.HostStorage;
import org.contrastive4j.tensor.Tensor;

/** Logits scale &lt;x_i, y_j&gt; of the tiles of a grid, in the slots of one tensor; without bias. */
final class LogitTiles {
    final InfoNceGrid grid;
    final int d;
    final Tensor x;
    final Tensor y;
    final Tensor logits;
    final HostStorage storage;
    private final float scale;

    LogitTiles(InfoNceGrid grid, Tensor x, Tensor y, Tensor logits, double scale) {
        this.grid = grid;
        this.d = x.dim(1);
        this.x = x;
        this.y = y;
        this.logits = logits;
        this.storage = (HostStorage) logits.storage();
        this.scale = (float) scale;
    }

    /** Computes the logits of tile t of a cell. */
    void multiply(int cell, int t) {
        Blas.sgemm(
                false,
                true,
                grid.rows(cell),
                grid.tileColumns(cell, t),
                d,
                scale,
                rowsOfX(cell),
                d,
                Blas.address(y) + 4L * firstColumn(cell, t) * d,
                d,
                0,
                Blas.address(logits) + 4 * grid.at(cell, t),
                grid.panel);
    }

    long rowsOfX(int cell) {
        return Blas.address(x) + 4L * grid.firstRow(cell) * d;
    }

    int firstColumn(int cell, int t) {
        return grid.firstColumn(cell) + t * grid.tile;
    }

    /** Index of the first logit of row r of the cell in tile t. */
    long at(int cell, int t, int r) {
        return grid.at(cell, t) + (long) r * grid.panel;
    }
}
