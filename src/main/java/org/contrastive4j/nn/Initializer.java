package org.contrastive4j.nn;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Creates parameters whose initial values depend only on (seed, name, shape), so that adding a layer does not change
 * the values of the others.
 *
 * <p>Tested by {@code DualEncoderTest}.
 */
public final class Initializer {
    private final Ops ops;
    private final long seed;
    private final @Nullable DType matrices; // null where values are made
    private final List<Parameter> made = new ArrayList<>();

    /**
     * Creates an initialiser.
     *
     * @param ops backend of the parameters
     * @param seed of the initial values
     */
    public Initializer(Ops ops, long seed) {
        this(ops, seed, null);
    }

    private Initializer(Ops ops, long seed, @Nullable DType matrices) {
        this.ops = ops;
        this.seed = seed;
        this.matrices = matrices;
    }

    /**
     * Makes parameters with undefined values, for a caller that writes all of them.
     *
     * @param matrices type of the matrices of dense layers: that of parameters, or F16 or BF16 for frozen weights
     */
    static Initializer undefined(Ops ops, DType matrices) {
        return new Initializer(ops, 0, matrices);
    }

    /**
     * Returns the backend of the parameters.
     *
     * @return the value
     */
    public Ops ops() {
        return ops;
    }

    /**
     * Creates a weight with normally distributed values, truncated at two standard deviations; weight decay applies
     * to it.
     *
     * @param name unique within the model
     * @param deviation standard deviation before truncation
     * @param dims shape
     * @return the parameter
     */
    public Parameter normal(String name, double deviation, int... dims) {
        Shape shape = Shape.of(dims);
        if (matrices != null) {
            return kept(new Parameter(ops, name, ops.allocateParameter(shape), dims.length > 1));
        }
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

    /** The matrix of a dense layer, made as by {@link #normal}. */
    Parameter matrix(String name, double deviation, int in, int out) {
        return matrices == null
                ? normal(name, deviation, in, out)
                : kept(new Parameter(ops, name, Tensor.allocate(ops.memory(), matrices, Shape.of(in, out)), true));
    }

    /** Zeros that decay. */
    Parameter zeros(String name, int... dims) {
        return kept(new Parameter(ops, name, ops.zeroParameter(Shape.of(dims)), true));
    }

    /**
     * Creates a parameter of equal values, such as a bias or a gain; weight decay does not apply to it.
     *
     * @param name unique within the model
     * @param value the value
     * @param dims shape
     * @return the parameter
     */
    public Parameter constant(String name, double value, int... dims) {
        Parameter parameter = kept(new Parameter(ops, name, ops.allocateParameter(dims), false));
        if (matrices == null) {
            ops.pointwise().fill(parameter.value(), value);
        }
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
