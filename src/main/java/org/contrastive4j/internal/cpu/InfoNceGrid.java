package org.contrastive4j.internal.cpu;

import org.contrastive4j.tensor.Shape;

/**
 * The division of n x m logits into cells (stripe of rows, panel of columns), numbered stripe by stripe, each in one
 * of a few slots of memory. Cell k is in slot k mod slots, so that the last cells of the forward pass are still in
 * memory when the backward pass begins with them.
 */
final class InfoNceGrid {
    final int n;
    final int m;
    final int stripe;
    final int panel;
    final int tile;
    final int stripes;
    final int panels;
    final int slots;

    /**
     * Chooses the slots so that logits use no more memory than x and y, within the limits of the tiling: memory stays
     * linear in n + m.
     */
    InfoNceGrid(int n, int m, int d, CpuPairwiseOps.Tiling tiling) {
        this.n = n;
        this.m = m;
        this.panel = Math.min(m, tiling.panel());
        this.tile = Math.min(panel, tiling.tile());
        long budget = Math.min(tiling.mostBytes(), Math.max(tiling.leastBytes(), (long) (n + m) * d * Float.BYTES));
        long row = (long) panel * Float.BYTES;
        this.stripe = (int) Math.min(Math.min(n, tiling.stripe()), Math.max(1, budget / (2 * row)));
        this.stripes = ceilDiv(n, stripe);
        this.panels = ceilDiv(m, panel);
        this.slots = (int) Math.max(1, Math.min(cells(), budget / (stripe * row)));
    }

    static int ceilDiv(int a, int b) {
        return (a + b - 1) / b;
    }

    int cells() {
        return stripes * panels;
    }

    Shape slotShape() {
        return Shape.of(slots, stripe, panel);
    }

    int firstRow(int cell) {
        return cell / panels * stripe;
    }

    int rows(int cell) {
        return Math.min(stripe, n - firstRow(cell));
    }

    int firstColumn(int cell) {
        return cell % panels * panel;
    }

    int columns(int cell) {
        return Math.min(panel, m - firstColumn(cell));
    }

    int tiles(int cell) {
        return ceilDiv(columns(cell), tile);
    }

    int tileColumns(int cell, int t) {
        return Math.min(tile, columns(cell) - t * tile);
    }

    /** Returns the index in the slots of the first logit of tile t of a cell; rows are {@code panel} apart. */
    long at(int cell, int t) {
        return (long) (cell % slots) * stripe * panel + (long) t * tile;
    }

    /** Returns whether the logits of the cell are still in memory when the forward pass has ended. */
    boolean isResident(int cell) {
        return cell >= cells() - slots;
    }
}
