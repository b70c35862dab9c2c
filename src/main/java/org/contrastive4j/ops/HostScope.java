package org.contrastive4j.ops;

import java.util.Arrays;
import java.util.List;
import org.contrastive4j.ops.PairTileOps.Pairs;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.Scalars.Reduced;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/** Scalars on the host; {@link #reduce} and {@link #read} wait for a device. */
record HostScope(PairTileOps tiles) implements Scalars.Scope {
    private static final int BLOCK = 256; // rows that are read at a time

    @Override
    public Scalars read(Tensor tensor) {
        return Scalars.of(
                tensor.dtype() == DType.I32
                        ? Arrays.stream(tensor.toInts()).asDoubleStream().toArray()
                        : tensor.toDoubles());
    }

    @Override
    public Scalars products(Tensor x, Tensor y) {
        double[] products = new double[x.dim(0)];
        int width = x.dim(1);
        for (int from = 0; from < products.length; from += BLOCK) {
            int to = Math.min(products.length, from + BLOCK);
            double[] left = x.rows(from, to).toDoubles();
            double[] right = y.rows(from, to).toDoubles();
            for (int k = 0; k < left.length; k++) {
                products[from + k / width] += left[k] * right[k];
            }
        }
        return Scalars.of(products);
    }

    @Override
    public List<Reduced> reduce(Pairs pairs, List<Reduction> reductions) {
        return tiles.reduce(pairs, reductions).get();
    }

    @Override
    public void add(Scalars scalar, double factor, Tensor target) {
        target.set(target.toDoubles()[0] + factor * scalar.at(0));
    }

    @Override
    public void close() {}
}
