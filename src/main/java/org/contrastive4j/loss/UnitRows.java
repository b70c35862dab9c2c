package org.contrastive4j.loss;

import org.contrastive4j.loss.Losses.NonFiniteException;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** L2-normalised copies of raw representations, and the gradient through that normalisation. */
final class UnitRows implements AutoCloseable {
    private final Ops ops;
    private final Deferred<Long> finite;
    private final Tensor unit;
    private final Tensor inverseNorm;

    /**
     * @param side named in errors
     * @throws NonFiniteException naming the side and the row, on a backend whose results are complete at once; others
     *     report it in {@link #requireFinite}
     */
    UnitRows(Ops ops, String side, Tensor raw) {
        this.ops = ops;
        int width = raw.dim(-1);
        finite = ops.update().firstNonFinite(raw).map(first -> requireFinite(side, first, width));
        unit = ops.allocateParameter(raw.shape());
        try {
            inverseNorm = ops.allocateParameter(raw.dim(0));
        } catch (RuntimeException noMemory) {
            unit.close();
            throw noMemory;
        }
        ops.norm().l2Normalize(raw, unit, inverseNorm);
    }

    private static long requireFinite(String side, long first, int width) {
        if (first >= 0) {
            int row = (int) (first / width);
            throw new NonFiniteException(
                    "representation " + row + " of " + side + " is not finite (element " + first % width + ")", row);
        }
        return first;
    }

    /** Waits until it is known that all rows are finite, else throws {@link NonFiniteException}; also after close. */
    void requireFinite() {
        finite.get();
    }

    /** Returns a result that throws as {@link #requireFinite} does, unless all rows are finite; also after close. */
    <T> Deferred<T> ifFinite(Deferred<T> result) {
        return finite.map(none -> result.get());
    }

    Tensor unit() {
        return unit;
    }

    /** Turns a gradient by the unit rows into one by the raw rows, in place; does nothing for null. */
    void backward(@Nullable Tensor gradient) {
        if (gradient != null) {
            ops.norm().l2NormalizeBackward(unit, inverseNorm, gradient, gradient);
        }
    }

    @Override
    public void close() {
        unit.close();
        inverseNorm.close();
    }
}
