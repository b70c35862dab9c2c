package org.contrastive4j.internal.numeric;

/** The error function and the normal distribution in f64, accurate to a few units in the last place. */
public final class Erf {
    private static final double INVERSE_SQRT_PI = 0.56418958354775628695;

    // Numerators and denominators, highest power first; the leading coefficient of each denominator is 1.
    private static final double[] SMALL_P = {
        1.85777706184603153e-1,
        3.16112374387056560e0,
        1.13864154151050156e2,
        3.77485237685302021e2,
        3.20937758913846947e3
    };
    private static final double[] SMALL_Q = {
        1, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3
    };
    private static final double[] MIDDLE_P = {
        2.15311535474403846e-8,
        5.64188496988670089e-1,
        8.88314979438837594e0,
        6.61191906371416295e1,
        2.98635138197400131e2,
        8.81952221241769090e2,
        1.71204761263407058e3,
        2.05107837782607147e3,
        1.23033935479799725e3
    };
    private static final double[] MIDDLE_Q = {
        1,
        1.57449261107098347e1,
        1.17693950891312499e2,
        5.37181101862009858e2,
        1.62138957456669019e3,
        3.29079923573345963e3,
        4.36261909014324716e3,
        3.43936767414372164e3,
        1.23033935480374942e3
    };
    private static final double[] LARGE_P = {
        1.63153871373020978e-2,
        3.05326634961232344e-1,
        3.60344899949804439e-1,
        1.25781726111229246e-1,
        1.60837851487422766e-2,
        6.58749161529837803e-4
    };
    private static final double[] LARGE_Q = {
        1,
        2.56852019228982242e0,
        1.87295284992346725e0,
        5.27905102951428412e-1,
        6.05183413124413191e-2,
        2.33520497626869185e-3
    };

    private Erf() {}

    /**
     * Returns 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x; NaN for NaN.
     *
     * <p>Source: W. J. Cody, Rational Chebyshev approximations for the error function, Mathematics of Computation 23,
     * 1969.
     *
     * @param x any number
     * @return erf(x)
     */
    public static double erf(double x) {
        double y = Math.abs(x);
        return y <= 0.46875 ? central(x) : Math.copySign(1 - tail(y), x);
    }

    /**
     * Returns 1 - erf(x) without cancellation for large x. The relative error is below 1e-14 while the result is
     * normal.
     *
     * @param x any number
     * @return erfc(x)
     */
    public static double erfc(double x) {
        double y = Math.abs(x);
        if (y <= 0.46875) {
            return 1 - central(x);
        }
        return x < 0 ? 2 - tail(y) : tail(y);
    }

    /**
     * Returns the distribution function of the standard normal: erfc(-x / sqrt(2)) / 2.
     *
     * @param x any number
     * @return the probability of at most x
     */
    public static double normal(double x) {
        return 0.5 * erfc(-x * Math.sqrt(0.5));
    }

    /**
     * Returns the density of the standard normal: exp(-x^2 / 2) / sqrt(2 pi).
     *
     * @param x any number
     * @return the density at x
     */
    public static double normalDensity(double x) {
        return Math.exp(-0.5 * x * x) * INVERSE_SQRT_PI * Math.sqrt(0.5);
    }

    private static double central(double x) {
        return x * ratio(SMALL_P, SMALL_Q, x * x);
    }

    /** erfc(y) for y > 0.46875. */
    private static double tail(double y) {
        if (y > 27) {
            return 0; // below the smallest double
        }
        double inverse = 1 / (y * y);
        double scaled = y <= 4
                ? ratio(MIDDLE_P, MIDDLE_Q, y)
                : (INVERSE_SQRT_PI - inverse * ratio(LARGE_P, LARGE_Q, inverse)) / y;
        // exp(-y^2) from a head whose square is exact and the small rest
        double head = Math.floor(y * 16) / 16;
        return Math.exp(-head * head) * Math.exp(-(y - head) * (y + head)) * scaled;
    }

    private static double ratio(double[] p, double[] q, double x) {
        double numerator = p[0];
        double denominator = q[0];
        for (int i = 1; i < p.length; i++) {
            numerator = numerator * x + p[i];
            denominator = denominator * x + q[i];
        }
        return numerator / denominator;
    }
}
