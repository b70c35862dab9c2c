package org.contrastive4j.tensor;

import java.util.Locale;

/**
 * The arithmetic of a backend, a training step or a kernel: how activations are stored and what a matrix product
 * multiplies. {@link DType} is the storage type of one tensor.
 *
 * <p>Parameters, their gradients, optimiser state and representations are stored as f32 in every precision except
 * {@link #F64}. Matrix products accumulate in f32, and so do the statistics of the loss. On a device, InfoNCE rounds
 * its f32 rows to this precision before it multiplies them; the other losses multiply f32.
 */
public enum Precision {
    /** Stores f32 and multiplies f32 with fused multiply-adds, without rounding the operands. */
    F32(DType.F32),
    /** Stores f32 and multiplies tf32 (8 exponent bits, 10 stored mantissa bits) on tensor cores. */
    TF32(DType.F32),
    /** Stores and multiplies bf16 (8 exponent bits, 7 stored mantissa bits) on tensor cores. */
    BF16(DType.BF16),
    /** Stores and multiplies f16 (largest value 65504, 10 stored mantissa bits) on tensor cores; needs loss scaling. */
    F16(DType.F16),
    /** Stores and multiplies f64; the reference for gradient checks. */
    F64(DType.F64);

    private final DType storage;

    Precision(DType storage) {
        this.storage = storage;
    }

    /**
     * Returns the storage type of activations and their gradients.
     *
     * @return a floating-point type
     */
    public DType storage() {
        return storage;
    }

    /**
     * Returns whether products round their operands and run on tensor cores.
     *
     * @return true for TF32, BF16 and F16
     */
    public boolean usesTensorCores() {
        return this != F32 && this != F64;
    }

    /**
     * Returns the precision that stores {@code storage} and multiplies it without further rounding.
     *
     * @param storage a floating-point type
     * @return the precision of the same name
     * @throws IllegalArgumentException if {@code storage} is an integer type
     */
    public static Precision of(DType storage) {
        return switch (storage) {
            case F32 -> F32;
            case BF16 -> BF16;
            case F16 -> F16;
            case F64 -> F64;
            case I32 -> throw new IllegalArgumentException("expected a floating-point type, got " + storage);
        };
    }

    /** Returns the lower-case name, as the command line and kernel names spell it: {@code f32}, {@code tf32}, .... */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** Signals that a backend does not compute in the requested precision; the message lists those it supports. */
    public static final class UnsupportedPrecisionException extends IllegalArgumentException {
        /**
         * Creates the exception.
         *
         * @param message names the backend and the supported precisions
         */
        public UnsupportedPrecisionException(String message) {
            super(message);
        }
    }
}
