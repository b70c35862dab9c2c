package org.contrastive4j.internal.cpu;

import org.contrastive4j.ops.NormOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Normalisations, one block of rows at a time.
 *
 * <p>Tested by {@code ElementaryOpsTest} and {@code BackendAgreementTest}.
 */
final class CpuNormOps extends NormOps {
    CpuNormOps() {
        super(DType.F32);
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
        float[] g = Rows.all(gamma);
        float[] b = Rows.all(beta);
        Rows.run(rows, width, (from, to) -> {
            int count = to - from;
            float[] block = Rows.load(x, (long) from * width, count * width, 0);
            float[] means = Scratch.floats(1, count);
            float[] rstds = Scratch.floats(2, count);
            float[] row = Scratch.floats(3, width);
            for (int r = 0; r < count; r++) {
                System.arraycopy(block, r * width, row, 0, width);
                means[r] = Sums.sum(row, width) / width;
                shift(row, width, -means[r]);
                rstds[r] = (float) (1 / Math.sqrt(Sums.dot(row, row, width) / width + epsilon));
                affine(row, width, rstds[r], g, b);
                System.arraycopy(row, 0, block, r * width, width);
            }
            Rows.store(y, (long) from * width, count * width, block);
            Rows.store(mean, from, count, means);
            Rows.store(rstd, from, count, rstds);
        });
    }

    private static void shift(float[] row, int width, float by) {
        for (int j = 0; j < width; j++) {
            row[j] += by;
        }
    }

    private static void affine(float[] row, int width, float scale, float[] g, float[] b) {
        for (int j = 0; j < width; j++) {
            row[j] = Math.fma(row[j] * scale, g[j], b[j]);
        }
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
        float[] g = Rows.all(gamma);
        float[][] sums = Rows.sum(rows, width, 2, (from, to, partial) -> {
            int count = to - from;
            float[] h = Rows.load(x, (long) from * width, count * width, 0);
            float[] d = Rows.load(dy, (long) from * width, count * width, 1);
            float[] means = Rows.load(mean, from, count, 2);
            float[] rstds = Rows.load(rstd, from, count, 3);
            float[] hRow = Scratch.floats(4, width);
            float[] dRow = Scratch.floats(5, width);
            for (int r = 0; r < count; r++) {
                System.arraycopy(h, r * width, hRow, 0, width);
                System.arraycopy(d, r * width, dRow, 0, width);
                backwardRow(hRow, dRow, width, means[r], rstds[r], g, partial);
                System.arraycopy(dRow, 0, d, r * width, width);
            }
            Rows.store(dx, (long) from * width, count * width, d);
        });
        if (dGamma != null) {
            Rows.accumulate(dGamma, sums[0]);
        }
        if (dBeta != null) {
            Rows.accumulate(dBeta, sums[1]);
        }
    }

    /** d = rstd (g dy - avg(g dy) - h avg(g dy h)); sums += (dy h, dy). */
    private static void backwardRow(
            float[] h, float[] d, int width, float mean, float rstd, float[] g, float[][] sums) {
        float[] dGamma = sums[0];
        float[] dBeta = sums[1];
        for (int j = 0; j < width; j++) {
            h[j] = (h[j] - mean) * rstd;
        }
        for (int j = 0; j < width; j++) {
            dGamma[j] = Math.fma(d[j], h[j], dGamma[j]);
        }
        for (int j = 0; j < width; j++) {
            dBeta[j] += d[j];
        }
        for (int j = 0; j < width; j++) {
            d[j] *= g[j];
        }
        float average = Sums.sum(d, width) / width;
        float along = Sums.dot(d, h, width) / width;
        for (int j = 0; j < width; j++) {
            d[j] = rstd * (d[j] - average - h[j] * along);
        }
    }

    @Override
    protected void l2NormalizeUnchecked(int rows, int width, Tensor x, Tensor y, Tensor inverseNorm) {
        Rows.run(rows, width, (from, to) -> {
            int count = to - from;
            float[] block = Rows.load(x, (long) from * width, count * width, 0);
            float[] inverse = Scratch.floats(1, count);
            for (int r = 0; r < count; r++) {
                double factor = Sums.inverseNorm(block, r * width, width);
                inverse[r] = (float) factor;
                for (int j = r * width; j < (r + 1) * width; j++) {
                    block[j] = (float) (block[j] * factor);
                }
            }
            Rows.store(y, (long) from * width, count * width, block);
            Rows.store(inverseNorm, from, count, inverse);
        });
    }

    @Override
    protected void l2NormalizeBackwardUnchecked(
            int rows, int width, Tensor y, Tensor inverseNorm, Tensor dy, Tensor dx) {
        Rows.run(rows, width, (from, to) -> {
            int count = to - from;
            float[] unit = Rows.load(y, (long) from * width, count * width, 0);
            float[] d = Rows.load(dy, (long) from * width, count * width, 1);
            float[] inverse = Rows.load(inverseNorm, from, count, 2);
            float[] unitRow = Scratch.floats(3, width);
            float[] dRow = Scratch.floats(4, width);
            for (int r = 0; r < count; r++) {
                System.arraycopy(unit, r * width, unitRow, 0, width);
                System.arraycopy(d, r * width, dRow, 0, width);
                project(dRow, unitRow, width, Sums.dot(unitRow, dRow, width), inverse[r]);
                System.arraycopy(dRow, 0, d, r * width, width);
            }
            Rows.store(dx, (long) from * width, count * width, d);
        });
    }

    private static void project(float[] d, float[] unit, int width, float along, float factor) {
        for (int j = 0; j < width; j++) {
            d[j] = factor * (d[j] - unit[j] * along);
        }
    }
}
