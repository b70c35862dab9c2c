package org.contrastive4j.loss;

import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Tensor;

/** Raw representations divided by their norms, and the way back through that. */
final class UnitRows implements AutoCloseable {
    private final Ops ops;
    private final String side;
    private final Deferred<Long> bad;
    private final Tensor unit;
    private final Tensor inverseNorm;

    /** @throws NonFiniteException naming the side and the row; waits for that */
    UnitRows(Ops ops, String side, Tensor raw) {
        this(ops, side, raw, true);
    }

    private UnitRows(Ops ops, String side, Tensor raw, boolean checked) {
        this.ops = ops;
        this.side = side;
        bad = ops.update().firstNonFinite(raw);
        if (checked) {
            requireFinite(raw.dim(-1));
        }
        unit = ops.allocateParameter(raw.shape());
        try {
            inverseNorm = ops.allocateParameter(raw.dim(0));
        } catch (RuntimeException noMemory) {
            unit.close();
            throw noMemory;
        }
        ops.norm().l2Normalize(raw, unit, inverseNorm);
    }

    /** Without waiting; what is not finite is found by {@link #requireFinite()}. */
    static UnitRows unchecked(Ops ops, String side, Tensor raw) {
        return new UnitRows(ops, side, raw, false);
    }

    /** @throws NonFiniteException naming the side and the row; also after {@link #close} */
    void requireFinite() {
        requireFinite(unit.dim(-1));
    }

    private void requireFinite(int width) {
        long first = bad.get();
        if (first >= 0) {
            int row = (int) (first / width);
            throw new NonFiniteException(
                    "representation " + row + " of " + side + " is not finite (element " + first % width + ")", row);
        }
    }

    Tensor unit() {
        return unit;
    }

    /** gradient of the unit rows becomes that of the raw ones; nothing when null. */
    void back(Tensor gradient) {
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
