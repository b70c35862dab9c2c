package org.contrastive4j.loss;

import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Tensor;

/** Raw representations divided by their norms, and the way back through that. */
final class UnitRows implements AutoCloseable {
    private final Ops ops;
    private final Tensor unit;
    private final Tensor inverseNorm;

    /** @throws NonFiniteException naming the side and the row */
    UnitRows(Ops ops, String side, Tensor raw) {
        long bad = ops.update().firstNonFinite(raw);
        if (bad >= 0) {
            int row = (int) (bad / raw.dim(-1));
            throw new NonFiniteException("representation " + row + " of " + side + " is not finite (element "
                    + bad % raw.dim(-1) + ")", row);
        }
        this.ops = ops;
        unit = ops.allocateParameter(raw.shape());
        try {
            inverseNorm = ops.allocateParameter(raw.dim(0));
        } catch (RuntimeException noMemory) {
            unit.close();
            throw noMemory;
        }
        ops.norm().l2Normalize(raw, unit, inverseNorm);
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
