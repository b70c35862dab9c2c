package org.contrastive4j.internal.cpu;

import java.util.List;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.UpdateOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/**
 * Optimiser updates and reductions, one block at a time.
 *
 * <p>Tested by {@code OptimTest} and {@code BackendAgreementTest}.
 */
final class CpuUpdateOps extends UpdateOps {
    private static final int REDUCED = Rows.BLOCK_ELEMENTS;

    CpuUpdateOps() {
        super(DType.F32);
    }

    @Override
    protected void adamWUnchecked(AdamW settings, Tensor parameter, Tensor gradient, Tensor m, Tensor v) {
        float scale = (float) settings.gradientScale();
        float keep1 = (float) settings.beta1();
        float keep2 = (float) settings.beta2();
        float take1 = (float) (1 - settings.beta1());
        float take2 = (float) (1 - settings.beta2());
        float decay = (float) (1 - settings.learningRate() * settings.weightDecay());
        float rate = (float) (settings.learningRate() / (1 - Math.pow(settings.beta1(), settings.step())));
        float correction = (float) (1 / Math.sqrt(1 - Math.pow(settings.beta2(), settings.step())));
        float epsilon = (float) settings.epsilon();
        Rows.elements(parameter.size(), (at, count) -> {
            float[] p = Rows.load(parameter, at, count, 0);
            float[] g = Rows.load(gradient, at, count, 1);
            float[] first = Rows.load(m, at, count, 2);
            float[] second = Rows.load(v, at, count, 3);
            for (int i = 0; i < count; i++) {
                g[i] *= scale;
                first[i] = keep1 * first[i] + take1 * g[i];
                second[i] = keep2 * second[i] + take2 * g[i] * g[i];
            }
            roots(second, g, count);
            for (int i = 0; i < count; i++) {
                p[i] = decay * p[i] - rate * first[i] / (g[i] * correction + epsilon);
            }
            Rows.store(parameter, at, count, p);
            Rows.store(m, at, count, first);
            Rows.store(v, at, count, second);
        });
    }

    private static void roots(float[] x, float[] y, int count) {
        for (int i = 0; i < count; i++) {
            y[i] = (float) Math.sqrt(x[i]);
        }
    }

    @Override
    protected Deferred<double[]> sumsOfSquaresUnchecked(List<Tensor> xs) {
        return Deferred.of(xs.stream().mapToDouble(CpuUpdateOps::squaresOf).toArray());
    }

    private static double squaresOf(Tensor x) {
        double[] partial = new double[Math.toIntExact((x.size() + REDUCED - 1) / REDUCED)];
        Rows.elements(x.size(), (at, count) -> {
            partial[(int) (at / REDUCED)] = Sums.sumOfSquares(Rows.load(x, at, count, 0), 0, count);
        });
        double sum = 0;
        for (double part : partial) {
            sum += part;
        }
        return sum;
    }

    @Override
    protected Deferred<Long> firstNonFiniteUnchecked(Tensor x) {
        return Deferred.of(firstNonFiniteOf(x));
    }

    private static long firstNonFiniteOf(Tensor x) {
        long[] found = new long[Math.toIntExact((x.size() + REDUCED - 1) / REDUCED)];
        Rows.elements(x.size(), (at, count) -> {
            float[] block = Rows.load(x, at, count, 0);
            found[(int) (at / REDUCED)] = allFinite(block, count) ? -1 : at + first(block);
        });
        for (long index : found) {
            if (index >= 0) {
                return index;
            }
        }
        return -1;
    }

    /** Uses that x - x is 0 for finite x and NaN otherwise, and that a sum keeps NaN. */
    private static boolean allFinite(float[] x, int count) {
        float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
        int i = 0;
        for (; i + 4 <= count; i += 4) {
            s0 += x[i] - x[i];
            s1 += x[i + 1] - x[i + 1];
            s2 += x[i + 2] - x[i + 2];
            s3 += x[i + 3] - x[i + 3];
        }
        for (; i < count; i++) {
            s0 += x[i] - x[i];
        }
        return s0 + s1 + s2 + s3 == 0;
    }

    private static int first(float[] x) {
        int i = 0;
        while (Float.isFinite(x[i])) {
            i++;
        }
        return i;
    }
}
