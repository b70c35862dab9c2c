package org.contrastive4j.ops.cpu;

import java.util.Arrays;
import org.contrastive4j.ops.NormOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/** Normalisations, a block of rows at a time. */
final class CpuNormOps extends NormOps {
    CpuNormOps() {
        super(DType.F32);
    }

    @Override
    protected void layerNormUnchecked(int rows, int width, Tensor x, Tensor gamma, Tensor beta, double epsilon,
            Tensor y, Tensor mean, Tensor rstd) {
        float[] g = Rows.all(gamma);
        float[] b = Rows.all(beta);
        Rows.run(rows, width, (from, to) -> {
            int count = to - from;
            float[] block = Rows.load(x, (long) from * width, count * width, 0);
            float[] means = Scratch.floats(1, count);
            float[] rstds = Scratch.floats(2, count);
            for (int r = 0; r < count; r++) {
                int at = r * width;
                float m = Sums.sum(block, at, width) / width;
                Sums.shift(block, at, width, -m);
                float s = (float) (1 / Math.sqrt(Sums.dot(block, at, block, at, width) / width + epsilon));
                means[r] = m;
                rstds[r] = s;
                for (int j = 0; j < width; j++) {
                    block[at + j] = Math.fma(block[at + j] * s, g[j], b[j]);
                }
            }
            Rows.store(y, (long) from * width, count * width, block);
            Rows.store(mean, from, count, means);
            Rows.store(rstd, from, count, rstds);
        });
    }

    @Override
    protected void layerNormBackwardUnchecked(int rows, int width, Tensor x, Tensor gamma, Tensor mean, Tensor rstd,
            Tensor dy, Tensor dx, Tensor dGamma, Tensor dBeta) {
        float[] g = Rows.all(gamma);
        float[] sums = Rows.sum(rows, width, 2 * width, (from, to, partial) -> {
            int count = to - from;
            float[] h = Rows.load(x, (long) from * width, count * width, 0);
            float[] d = Rows.load(dy, (long) from * width, count * width, 1);
            float[] means = Rows.load(mean, from, count, 2);
            float[] rstds = Rows.load(rstd, from, count, 3);
            for (int r = 0; r < count; r++) {
                backwardRow(h, d, r * width, width, means[r], rstds[r], g, partial);
            }
            Rows.store(dx, (long) from * width, count * width, d);
        });
        if (dGamma != null) {
            Rows.accumulate(dGamma, sums);
        }
        if (dBeta != null) {
            Rows.accumulate(dBeta, Arrays.copyOfRange(sums, width, 2 * width));
        }
    }

    /** d = rstd (g dy - avg(g dy) - h avg(g dy h)); partial += (dy h, dy). */
    private static void backwardRow(
            float[] x, float[] d, int at, int width, float mean, float rstd, float[] g, float[] partial) {
        for (int j = 0; j < width; j++) {
            x[at + j] = (x[at + j] - mean) * rstd;
        }
        for (int j = 0; j < width; j++) {
            partial[j] = Math.fma(d[at + j], x[at + j], partial[j]);
        }
        addTo(partial, width, d, at, width);
        for (int j = 0; j < width; j++) {
            d[at + j] *= g[j];
        }
        float average = Sums.sum(d, at, width) / width;
        float along = Sums.dot(d, at, x, at, width) / width;
        for (int j = 0; j < width; j++) {
            d[at + j] = rstd * (d[at + j] - average - x[at + j] * along);
        }
    }

    private static void addTo(float[] sums, int start, float[] values, int at, int width) {
        for (int j = 0; j < width; j++) {
            sums[start + j] += values[at + j];
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
            for (int r = 0; r < count; r++) {
                int at = r * width;
                float along = Sums.dot(unit, at, d, at, width);
                float factor = inverse[r];
                for (int j = 0; j < width; j++) {
                    d[at + j] = factor * (d[at + j] - unit[at + j] * along);
                }
            }
            Rows.store(dx, (long) from * width, count * width, d);
        });
    }
}
