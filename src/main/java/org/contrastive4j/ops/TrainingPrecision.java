package org.contrastive4j.ops;

import java.util.Locale;
import org.contrastive4j.tensor.DType;

/**
 * What a training step computes in. Parameters, their gradients, the optimiser and representations are f32 in all of
 * them but {@link #F64}; sums of products and the statistics of the loss are f32 too. Operands of the products of
 * InfoNCE on a device are of this precision, those of all other losses f32.
 */
public enum TrainingPrecision {
    /** Activations of f32, exact products. */
    F32(DType.F32),
    /** Activations of f32, operands of their products rounded to tf32, 10 bits of mantissa, for tensor cores. */
    TF32(DType.F32),
    /** Activations of bf16: the range of f32, 7 bits of mantissa. */
    BF16(DType.BF16),
    /** Activations of f16: 10 bits of mantissa, at most 65504; wants loss scaling. */
    F16(DType.F16),
    /** Everything in f64. */
    F64(DType.F64);

    private final DType activations;

    TrainingPrecision(DType activations) {
        this.activations = activations;
    }

    /** Type of activations and their gradients. */
    public DType activations() {
        return activations;
    }

    /** As on the command line: {@code f32}, {@code tf32} and so on. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
