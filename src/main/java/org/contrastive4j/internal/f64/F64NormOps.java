package org.contrastive4j.internal.f64;

import java.util.Arrays;
import org.contrastive4j.ops.NormOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Normalisations, row by row.
 *
 * <p>Tested by {@code F64GradientsTest}.
 */
final class F64NormOps extends NormOps {
    F64NormOps() {
        super(DType.F64);
    }

    @Override
    protected void layerNormUnchecked(
            int rows,
            int width,
            Tensor x,
            Tensor gamma,
            Tensor beta,
            double epsilon,
            Tensor y,
            Tensor mean,
            Tensor rstd) {
        double[] in = Doubles.load(x);
        double[] g = Doubles.load(gamma);
        double[] b = Doubles.load(beta);
        double[] out = new double[in.length];
        double[] means = new double[rows];
        double[] rstds = new double[rows];
        for (int r = 0; r < rows; r++) {
            int at = r * width;
            for (int c = 0; c < width; c++) {
                means[r] += in[at + c] / width;
            }
            double variance = 0;
            for (int c = 0; c < width; c++) {
                double centred = in[at + c] - means[r];
                variance += centred * centred / width;
            }
            rstds[r] = 1 / Math.sqrt(variance + epsilon);
            for (int c = 0; c < width; c++) {
                out[at + c] = g[c] * (in[at + c] - means[r]) * rstds[r] + b[c];
            }
        }
        Doubles.store(out, y);
        Doubles.store(means, mean);
        Doubles.store(rstds, rstd);
    }

    @Override
    protected void layerNormBackwardUnchecked(
            int rows,
            int width,
            Tensor x,
            Tensor gamma,
            Tensor mean,
            Tensor rstd,
            Tensor dy,
            Tensor dx,
            @Nullable Tensor dGamma,
            @Nullable Tensor dBeta) {
        double[] in = Doubles.load(x);
        double[] scale = Doubles.load(gamma);
        double[] means = Doubles.load(mean);
        double[] rstds = Doubles.load(rstd);
        double[] dOut = Doubles.load(dy);
        double[] dIn = new double[in.length];
        double[] sumGamma = new double[width];
        double[] sumBeta = new double[width];
        double[] h = new double[width];
        double[] g = new double[width];
        for (int r = 0; r < rows; r++) {
            int at = r * width;
            for (int c = 0; c < width; c++) {
                h[c] = (in[at + c] - means[r]) * rstds[r];
                g[c] = scale[c] * dOut[at + c];
                sumGamma[c] += dOut[at + c] * h[c];
                sumBeta[c] += dOut[at + c];
            }
            double averageG = 0;
            for (int c = 0; c < width; c++) {
                averageG += g[c] / width;
            }
            double averageGh = Doubles.dot(g, 0, h, 0, width) / width;
            for (int c = 0; c < width; c++) {
                dIn[at + c] = rstds[r] * (g[c] - averageG - h[c] * averageGh);
            }
        }
        Doubles.store(dIn, dx);
        accumulate(sumGamma, dGamma);
        accumulate(sumBeta, dBeta);
    }

    private static void accumulate(double[] sum, @Nullable Tensor target) {
        if (target != null) {
            double[] result = Doubles.load(target);
            Doubles.axpy(1, sum, 0, result, 0, sum.length);
            Doubles.store(result, target);
        }
    }

    @Override
    protected void l2NormalizeUnchecked(int rows, int width, Tensor x, Tensor y, Tensor inverseNorm) {
        double[] values = Doubles.load(x);
        double[] inverse = new double[rows];
        for (int r = 0; r < rows; r++) {
            int at = r * width;
            double largest = 0;
            for (int c = 0; c < width; c++) {
                largest = Math.max(largest, Math.abs(values[at + c]));
            }
            if (largest == 0) {
                continue; // a row of zeros stays as it is
            }
            double squares = 0;
            for (int c = 0; c < width; c++) {
                values[at + c] /= largest;
                squares += values[at + c] * values[at + c];
            }
            double root = Math.sqrt(squares);
            if (largest * root < Double.MIN_NORMAL) { // the reciprocal would not be finite
                Arrays.fill(values, at, at + width, 0);
                continue;
            }
            for (int c = 0; c < width; c++) {
                values[at + c] /= root;
            }
            inverse[r] = 1 / (largest * root);
        }
        Doubles.store(values, y);
        Doubles.store(inverse, inverseNorm);
    }

    @Override
    protected void l2NormalizeBackwardUnchecked(
            int rows, int width, Tensor y, Tensor inverseNorm, Tensor dy, Tensor dx) {
        double[] unit = Doubles.load(y);
        double[] inverse = Doubles.load(inverseNorm);
        double[] dOut = Doubles.load(dy);
        double[] dIn = new double[dOut.length];
        for (int r = 0; r < rows; r++) {
            int at = r * width;
            double along = Doubles.dot(unit, at, dOut, at, width);
            for (int c = 0; c < width; c++) {
                dIn[at + c] = inverse[r] * (dOut[at + c] - unit[at + c] * along);
            }
        }
        Doubles.store(dIn, dx);
    }
}
