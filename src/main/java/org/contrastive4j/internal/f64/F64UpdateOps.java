package org.contrastive4j.internal.f64;

import java.util.List;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.UpdateOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/** Optimiser updates and reductions, one element at a time. */
final class F64UpdateOps extends UpdateOps {
    F64UpdateOps() {
        super(DType.F64);
    }

    @Override
    protected void adamWUnchecked(AdamW settings, Tensor parameter, Tensor gradient, Tensor m, Tensor v) {
        double[] p = Doubles.load(parameter);
        double[] g = Doubles.load(gradient);
        double[] first = Doubles.load(m);
        double[] second = Doubles.load(v);
        double beta1 = settings.beta1();
        double beta2 = settings.beta2();
        double correction1 = 1 - Math.pow(beta1, settings.step());
        double correction2 = 1 - Math.pow(beta2, settings.step());
        for (int i = 0; i < p.length; i++) {
            double scaled = settings.gradientScale() * g[i];
            first[i] = beta1 * first[i] + (1 - beta1) * scaled;
            second[i] = beta2 * second[i] + (1 - beta2) * scaled * scaled;
            double step = first[i] / correction1 / (Math.sqrt(second[i] / correction2) + settings.epsilon());
            p[i] = (1 - settings.learningRate() * settings.weightDecay()) * p[i] - settings.learningRate() * step;
        }
        Doubles.store(p, parameter);
        Doubles.store(first, m);
        Doubles.store(second, v);
    }

    @Override
    protected Deferred<double[]> sumsOfSquaresUnchecked(List<Tensor> xs) {
        return Deferred.of(xs.stream().mapToDouble(F64UpdateOps::squaresOf).toArray());
    }

    private static double squaresOf(Tensor x) {
        double[] values = Doubles.load(x);
        return Doubles.dot(values, 0, values, 0, values.length);
    }

    @Override
    protected Deferred<Long> firstNonFiniteUnchecked(Tensor x) {
        return Deferred.of(firstNonFiniteOf(x));
    }

    private static long firstNonFiniteOf(Tensor x) {
        double[] values = Doubles.load(x);
        for (int i = 0; i < values.length; i++) {
            if (!Double.isFinite(values[i])) {
                return i;
            }
        }
        return -1;
    }
}
