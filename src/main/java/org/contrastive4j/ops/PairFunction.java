package org.contrastive4j.ops;

/** The functions of a shifted logit z that are summed over pairs or weight the gradients of pairs. */
public enum PairFunction {
    /** 1. */
    ONE,
    /** z. */
    IDENTITY,
    /** e^z. */
    EXP,
    /** 1 / (1 + e^-z). */
    SIGMOID,
    /** ln(1 + e^z). */
    SOFTPLUS,
    /** max(z, 0). */
    HINGE,
    /** 1 when z &gt; 0, else 0. */
    STEP,
    /** 1 when z = 0, else 0. */
    EQUAL;

    /**
     * Returns f(z) in f64.
     *
     * @param z the shifted logit
     * @return the value
     */
    public double of(double z) {
        return switch (this) {
            case ONE -> 1;
            case IDENTITY -> z;
            case EXP -> Math.exp(z);
            case SIGMOID -> z >= 0 ? 1 / (1 + Math.exp(-z)) : Math.exp(z) / (1 + Math.exp(z));
            case SOFTPLUS -> Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
            case HINGE -> Math.max(z, 0);
            case STEP -> z > 0 ? 1 : 0;
            case EQUAL -> z == 0 ? 1 : 0;
        };
    }
}
