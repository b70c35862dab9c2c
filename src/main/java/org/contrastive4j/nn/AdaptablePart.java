package org.contrastive4j.nn;

/**
 * A range of output columns of a dense layer that can be adapted by its own name.
 *
 * @param name e.g. {@code image.block0.attention.q}
 * @param layer number of the random layer that dropout on the input of its adapter uses
 */
record AdaptablePart(String name, Dense dense, int firstColumn, int columns, int layer) {
    static AdaptablePart whole(Dense dense, int layer) {
        return new AdaptablePart(dense.name(), dense, 0, dense.out(), layer);
    }
}
