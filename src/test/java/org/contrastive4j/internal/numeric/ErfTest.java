package org.contrastive4j.internal.numeric;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class ErfTest {
    @Test
    void erf_agreesWithSeries() {
        for (double x = -5.5; x <= 5.5; x += 1.0 / 512) {
            double truth = Math.abs(x) < 2.5 ? series(x) : Math.copySign(1 - continuedFraction(Math.abs(x)), x);
            assertEquals(truth, Erf.erf(x), 4e-16 + 1e-15 * Math.abs(truth), "erf(" + x + ")");
        }
    }

    @Test
    void erfc_tail_keepsRelativeAccuracy() {
        for (double x = 2.5; x <= 26; x += 1.0 / 64) {
            double truth = continuedFraction(x);
            assertEquals(truth, Erf.erfc(x), 1e-14 * truth, "erfc(" + x + ")");
            assertEquals(2 - truth, Erf.erfc(-x), 4e-16, "erfc(-" + x + ")");
        }
        for (double x = -2.5; x < 2; x += 1.0 / 512) {
            assertEquals(1 - series(x), Erf.erfc(x), 1e-15, "erfc(" + x + ")");
        }
    }

    @Test
    void erf_extremes_areDefined() {
        assertEquals(0.0, Erf.erf(0));
        assertEquals(-0.0, Erf.erf(-0.0));
        assertEquals(1.0, Erf.erf(Double.POSITIVE_INFINITY));
        assertEquals(-1.0, Erf.erf(Double.NEGATIVE_INFINITY));
        assertEquals(0.0, Erf.erfc(Double.POSITIVE_INFINITY));
        assertEquals(2.0, Erf.erfc(Double.NEGATIVE_INFINITY));
        assertTrue(Double.isNaN(Erf.erf(Double.NaN)) && Double.isNaN(Erf.erfc(Double.NaN)));
        assertTrue(Erf.erf(1e-300) > 0);
    }

    @Test
    void normal_isIntegralOfDensity() {
        assertEquals(0.5, Erf.normal(0));
        assertEquals(0.8413447460685429, Erf.normal(1), 1e-15);
        assertEquals(6.220960574271785e-16, Erf.normal(-8), 1e-29);
        double h = 1e-5;
        for (double x = -6; x <= 6; x += 0.25) {
            double slope = (Erf.normal(x + h) - Erf.normal(x - h)) / (2 * h);
            assertEquals(slope, Erf.normalDensity(x), 1e-10, "density at " + x);
        }
    }

    /** 2 / sqrt(pi) exp(-x^2) sum of 2^k x^(2k+1) / (2k+1)!!, all terms of one sign. */
    private static double series(double x) {
        double term = x;
        double sum = x;
        for (int k = 1; Math.abs(term) > 1e-18 * Math.abs(sum); k++) {
            term *= 2 * x * x / (2 * k + 1);
            sum += term;
        }
        return 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * sum;
    }

    /** erfc(x) = exp(-x^2) / sqrt(pi) / (x + (1/2)/(x + 1/(x + (3/2)/(x + ...)))), for x from 2.5. */
    private static double continuedFraction(double x) {
        double rest = x;
        for (int k = 200; k >= 1; k--) {
            rest = x + k / 2.0 / rest;
        }
        double head = (float) x; // its square is exact in f64
        return Math.exp(-head * head) * Math.exp(-(x - head) * (x + head)) / Math.sqrt(Math.PI) / rest;
    }
}
