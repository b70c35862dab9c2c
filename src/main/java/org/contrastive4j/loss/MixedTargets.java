package org.contrastive4j.loss;

import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.loss.SoftTargetContrast.SoftTargets;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;

/** share soft + (1 - share) hard, both of one size. */
record MixedTargets(double share, SoftTargets soft, SoftTargets hard) implements SoftTargets {
    MixedTargets {
        LossOptionException.require(
                share >= 0 && share <= 1, "expected a share of soft targets from 0 to 1, got " + share);
        if (soft.n() != hard.n() || soft.m() != hard.m()) {
            throw new ShapeException("soft targets of " + soft.n() + " x " + soft.m() + " and hard ones of " + hard.n()
                    + " x " + hard.m() + ", expected one size");
        }
    }

    @Override
    public int n() {
        return soft.n();
    }

    @Override
    public int m() {
        return soft.m();
    }

    @Override
    public void apply(Ops ops, Tensor y, Tensor out) {
        soft.apply(ops, y, out);
        try (Tensor other = ops.allocateParameter(out.shape())) {
            hard.apply(ops, y, other);
            mix(ops, other, out);
        }
    }

    @Override
    public void applyTransposed(Ops ops, Tensor x, Tensor out) {
        soft.applyTransposed(ops, x, out);
        try (Tensor other = ops.allocateParameter(out.shape())) {
            hard.applyTransposed(ops, x, other);
            mix(ops, other, out);
        }
    }

    @Override
    public void applyDifference(Ops ops, Tensor y, Tensor out) {
        soft.applyDifference(ops, y, out);
        try (Tensor other = ops.allocateParameter(out.shape())) {
            hard.applyDifference(ops, y, other);
            mix(ops, other, out);
        }
    }

    @Override
    public void applyDifferenceTransposed(Ops ops, Tensor x, Tensor out) {
        soft.applyDifferenceTransposed(ops, x, out);
        try (Tensor other = ops.allocateParameter(out.shape())) {
            hard.applyDifferenceTransposed(ops, x, other);
            mix(ops, other, out);
        }
    }

    private void mix(Ops ops, Tensor other, Tensor out) {
        ops.pointwise().scale(share, out, out);
        ops.pointwise().axpy(1 - share, other, out);
    }
}
