package org.contrastive4j.internal.f64;

import org.contrastive4j.internal.memory.HostStorage;
import org.contrastive4j.tensor.Tensor;

/** Copies whole tensors to arrays and back. */
final class Doubles {
    private Doubles() {}

    static double[] load(Tensor tensor) {
        double[] values = new double[Math.toIntExact(tensor.size())];
        ((HostStorage) tensor.storage()).load(tensor.offset(), values, 0, values.length);
        return values;
    }

    /** Returns an array of zeros of the size of a tensor. */
    static double[] zerosLike(Tensor tensor) {
        return new double[Math.toIntExact(tensor.size())];
    }

    static void store(double[] values, Tensor tensor) {
        ((HostStorage) tensor.storage()).store(tensor.offset(), values, 0, values.length);
    }

    static double dot(double[] a, int atA, double[] b, int atB, int count) {
        double sum = 0;
        for (int i = 0; i < count; i++) {
            sum += a[atA + i] * b[atB + i];
        }
        return sum;
    }

    /** Computes y[atY ...] += alpha x[atX ...]. */
    static void axpy(double alpha, double[] x, int atX, double[] y, int atY, int count) {
        for (int i = 0; i < count; i++) {
            y[atY + i] += alpha * x[atX + i];
        }
    }
}
