package org.contrastive4j.internal.f64;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.function.DoubleUnaryOperator;
import org.contrastive4j.internal.numeric.Erf;
import org.contrastive4j.internal.numeric.Philox;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.ops.PointwiseOps.RandomKey;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/**
 * Elementwise operations.
 *
 * <p>Tested by {@code F64GradientsTest}.
 */
final class F64PointwiseOps extends PointwiseOps {
    private static final double QUICK_SLOPE = 1.702;
    private static final double TANH_FACTOR = Math.sqrt(2 / Math.PI);
    private static final double TANH_CUBIC = 0.044715;

    F64PointwiseOps() {
        super(DType.F64);
    }

    @Override
    protected void fillUnchecked(Tensor y, double value) {
        double[] values = Doubles.zerosLike(y);
        Arrays.fill(values, value);
        Doubles.store(values, y);
    }

    @Override
    protected void copyUnchecked(Tensor x, Tensor y) {
        int size = x.dtype().bytes();
        ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(x.bytes())).order(ByteOrder.nativeOrder());
        x.storage().download(x.offset() * size, bytes);
        y.storage().upload(y.offset() * size, bytes.flip());
    }

    @Override
    protected void castUnchecked(Tensor x, Tensor y) {
        y.set(x.toDoubles());
    }

    @Override
    protected void addUnchecked(Tensor a, Tensor b, Tensor y) {
        double[] sum = Doubles.load(a);
        Doubles.axpy(1, Doubles.load(b), 0, sum, 0, sum.length);
        Doubles.store(sum, y);
    }

    @Override
    protected void axpyUnchecked(double alpha, Tensor x, Tensor y) {
        double[] sum = Doubles.load(y);
        Doubles.axpy(alpha, Doubles.load(x), 0, sum, 0, sum.length);
        Doubles.store(sum, y);
    }

    @Override
    protected void scaleUnchecked(double alpha, Tensor x, Tensor y) {
        map(x, y, value -> alpha * value);
    }

    @Override
    protected void geluUnchecked(Gelu kind, Tensor x, Tensor y) {
        map(
                x,
                y,
                switch (kind) {
                    case EXACT -> value -> value * Erf.normal(value);
                    case QUICK -> value -> value * sigmoid(QUICK_SLOPE * value);
                    case TANH -> value -> value * 0.5 * (1 + Math.tanh(inner(value)));
                });
    }

    private static void map(Tensor x, Tensor y, DoubleUnaryOperator function) {
        double[] values = Doubles.load(x);
        Arrays.setAll(values, i -> function.applyAsDouble(values[i]));
        Doubles.store(values, y);
    }

    @Override
    protected void geluBackwardUnchecked(Gelu kind, Tensor x, Tensor dy, Tensor dx) {
        double[] values = Doubles.load(x);
        double[] gradient = Doubles.load(dy);
        for (int i = 0; i < values.length; i++) {
            gradient[i] *= slope(kind, values[i]);
        }
        Doubles.store(gradient, dx);
    }

    private static double inner(double x) {
        return TANH_FACTOR * (x + TANH_CUBIC * x * x * x);
    }

    private static double slope(Gelu kind, double x) {
        if (kind == Gelu.EXACT) {
            return Erf.normal(x) + x * Erf.normalDensity(x);
        }
        if (kind == Gelu.TANH) {
            double tanh = Math.tanh(inner(x));
            double slope = TANH_FACTOR * (1 + 3 * TANH_CUBIC * x * x);
            return 0.5 * (1 + tanh) + (tanh * tanh == 1 ? 0 : 0.5 * x * (1 - tanh * tanh) * slope);
        }
        double s = sigmoid(QUICK_SLOPE * x);
        return s + QUICK_SLOPE * x * s * (1 - s);
    }

    private static double sigmoid(double x) {
        return 1 / (1 + Math.exp(-x));
    }

    @Override
    protected void dropoutUnchecked(Tensor x, Tensor sampleIds, double p, RandomKey key, Tensor y) {
        double[] values = Doubles.load(x);
        int[] ids = sampleIds.toInts();
        int elements = values.length / ids.length;
        int[] words = new int[4];
        for (int i = 0; i < values.length; i++) {
            int element = i % elements;
            Philox.block(
                    element / 4,
                    ids[i / elements],
                    key.layer(),
                    key.step(),
                    (int) key.seed(),
                    (int) (key.seed() >>> 32),
                    words);
            boolean kept = Integer.toUnsignedLong(words[element % 4]) >= Philox.keepThreshold(p);
            values[i] = kept ? values[i] / (1 - p) : 0;
        }
        Doubles.store(values, y);
    }
}
