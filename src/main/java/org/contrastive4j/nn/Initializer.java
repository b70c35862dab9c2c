package org.contrastive4j.nn;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape;

/**
 * Makes parameters with initial values that depend only on (seed, name, shape): adding a layer does not
 * change the others.
 */
public final class Initializer {
    private final Ops ops;
    private final long seed;
    private final List<Parameter> made = new ArrayList<>();

    public Initializer(Ops ops, long seed) {
        this.ops = ops;
        this.seed = seed;
    }

    public Ops ops() {
        return ops;
    }

    /** A weight, normal with this deviation, cut at two deviations; decays. */
    public Parameter normal(String name, double deviation, int... dims) {
        Shape shape = Shape.of(dims);
        SplittableRandom random = new SplittableRandom(new SplittableRandom(seed).nextLong() ^ hash(name));
        double[] values = new double[Math.toIntExact(shape.size())];
        for (int i = 0; i < values.length; i++) {
            double value;
            do {
                value = gaussian(random);
            } while (Math.abs(value) > 2);
            values[i] = (float) (deviation * value);
        }
        return kept(new Parameter(ops, name, ops.parameterTensor(shape, values), dims.length > 1));
    }

    /** A bias, norm gain or the like: one value everywhere; does not decay. */
    public Parameter constant(String name, double value, int... dims) {
        Parameter parameter = kept(new Parameter(ops, name, ops.allocateParameter(dims), false));
        ops.pointwise().fill(parameter.value(), value);
        return parameter;
    }

    private Parameter kept(Parameter parameter) {
        made.add(parameter);
        return parameter;
    }

    /** Closes all parameters made so far: for a model that cannot be finished. */
    void discard() {
        made.forEach(Parameter::close);
    }

    private static double gaussian(SplittableRandom random) {
        double radius = Math.sqrt(-2 * Math.log(1 - random.nextDouble()));
        return radius * Math.cos(2 * Math.PI * random.nextDouble());
    }

    /** FNV-1a, 64 bits. */
    private static long hash(String name) {
        long hash = 0xCBF29CE484222325L;
        for (int i = 0; i < name.length(); i++) {
            hash = (hash ^ name.charAt(i)) * 0x100000001B3L;
        }
        return hash;
    }
}
