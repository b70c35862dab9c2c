package org.contrastive4j.ops;

import org.contrastive4j.memory.Memory;
import org.contrastive4j.memory.Storage;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * All operations of one backend, by family, and the memory they work in.
 *
 * <p>Each family has public checked methods and unchecked twins that a backend implements; shape errors are raised in
 * the public methods and only there. Activations and their gradients are of the type {@link #dtype()}, parameters and
 * everything of the loss of {@link #parameterDtype()}; ids, lengths and targets are I32. Every operation gives the same
 * bits from run to run and for any number of threads.
 */
public abstract class Ops implements AutoCloseable {
    /** Short name of the backend, e.g. {@code cpu}. */
    public abstract String name();

    /** Type of activations and their gradients: F16, BF16, F32 or F64. */
    public abstract DType dtype();

    /**
     * Type of parameters, their gradients and optimiser state, of statistics of norms and softmaxes, and of
     * representations and everything of the loss: F64 where activations are, F32 where they are of any other type.
     */
    public final DType parameterDtype() {
        return parameterDtype(dtype());
    }

    /** The same for activations of a given type. */
    static DType parameterDtype(DType activations) {
        return activations == DType.F64 ? DType.F64 : DType.F32;
    }

    /** What a training step computes in. */
    public Precision precision() {
        return Precision.of(dtype());
    }

    public abstract Memory memory();

    /** The operations of one backend by family. */
    public record Families(
            MatrixOps matrix,
            PointwiseOps pointwise,
            NormOps norm,
            AttentionOps attention,
            SequenceOps sequence,
            PairwiseOps pairwise,
            PairTileOps pairTiles,
            UpdateOps update) {}

    /** Returns all families of operations. */
    public abstract Families families();

    /** Returns the matrix products. */
    public MatrixOps matrix() {
        return families().matrix();
    }

    /** Returns the elementwise operations and casts. */
    public PointwiseOps pointwise() {
        return families().pointwise();
    }

    /** Returns the normalisations. */
    public NormOps norm() {
        return families().norm();
    }

    /** Returns the attention. */
    public AttentionOps attention() {
        return families().attention();
    }

    /** Returns the operations on token sequences. */
    public SequenceOps sequence() {
        return families().sequence();
    }

    /** Returns the InfoNCE loss. */
    public PairwiseOps pairwise() {
        return families().pairwise();
    }

    /** Returns the tiled engine that the losses other than plain InfoNCE run on. */
    public PairTileOps pairTiles() {
        return families().pairTiles();
    }

    /** Returns the optimiser steps and reductions of gradients. */
    public UpdateOps update() {
        return families().update();
    }

    /** A new tensor of {@link #dtype()} with undefined contents. */
    public final Tensor allocate(Shape shape) {
        return Tensor.allocate(memory(), dtype(), shape);
    }

    /** A new tensor of {@link #dtype()} with undefined contents. */
    public final Tensor allocate(int... dims) {
        return allocate(Shape.of(dims));
    }

    /** A new tensor of {@link #parameterDtype()} with undefined contents. */
    public final Tensor allocateParameter(Shape shape) {
        return Tensor.allocate(memory(), parameterDtype(), shape);
    }

    /** A new tensor of {@link #parameterDtype()} with undefined contents. */
    public final Tensor allocateParameter(int... dims) {
        return allocateParameter(Shape.of(dims));
    }

    /** A new tensor of {@link #dtype()} of zeros. */
    public final Tensor zeros(Shape shape) {
        return zeroed(allocate(shape));
    }

    /** A new tensor of {@link #parameterDtype()} of zeros. */
    public final Tensor zeroParameter(Shape shape) {
        return zeroed(allocateParameter(shape));
    }

    private Tensor zeroed(Tensor tensor) {
        pointwise().fill(tensor, 0);
        return tensor;
    }

    /** A new tensor of {@link #dtype()} with these values. */
    public final Tensor tensor(Shape shape, double... values) {
        return Tensor.of(memory(), dtype(), shape, values);
    }

    /** A new tensor of {@link #parameterDtype()} with these values. */
    public final Tensor parameterTensor(Shape shape, double... values) {
        return Tensor.of(memory(), parameterDtype(), shape, values);
    }

    /** A new I32 tensor with these values. */
    public final Tensor ints(Shape shape, int... values) {
        Tensor tensor = Tensor.allocate(memory(), DType.I32, shape);
        try {
            send(values, tensor);
        } catch (RuntimeException wrong) {
            tensor.close();
            throw wrong;
        }
        return tensor;
    }

    /**
     * target = values; what is given to this backend later finds them there. The values are read before this returns,
     * and a backend with a queue does not wait for it.
     */
    public void send(int[] values, Tensor target) {
        target.set(values);
    }

    /** The same for a tensor of f32, or of f64 on a backend that has it. */
    public void send(float[] values, Tensor target) {
        target.set(values);
    }

    /** Sends that go beside work, see {@link #aside}. */
    @FunctionalInterface
    public interface Aside {
        /**
         * Sends after the work that was given before {@link #aside}, and beside what was given since, where the backend
         * can do both at once. Once, also when {@code sends} throws: then the tensors may have some of the values, and
         * what is given afterwards comes after those.
         *
         * @param sends sends values to tensors that were made before {@link #aside} and that work given since does not
         *     touch, and does nothing else
         * @return to be called once before the first operation that reads those tensors: what is given after that finds
         *     the values there, without the host waiting for them
         */
        Runnable send(Runnable sends);
    }

    /** A mark in the order of work: what is sent aside from here need not wait for what is given from now on. */
    public Aside aside() {
        return sends -> {
            sends.run();
            return () -> {};
        };
    }

    /**
     * The values of a small tensor of parameters, as they are in the order of work; a backend with a
     * queue does not wait.
     */
    public Deferred<double[]> values(Tensor x) {
        return Deferred.of(x.toDoubles());
    }

    /** Whether this backend has a queue, gives results {@link Deferred} and can {@link #capture} its operations. */
    public boolean canCapture() {
        return false;
    }

    /**
     * Notes the operations that {@code work} gives to this backend instead of doing them.
     *
     * <p>The work may neither wait for results nor send values, and whatever it does on the host is done once, now.
     * Numbers of operations stay as they are; those that must not are read from tensors ({@link RandomKey#clock},
     * {@link UpdateOps.AdamW#scalars}). It must have been run eagerly once before, so that everything is loaded.
     *
     * @param scratch memory of this backend that tensors made by the work are in, and that is used by nothing else
     *     while the recording runs; null when the work makes none
     * @throws org.contrastive4j.memory.OutOfBudgetException when the scratch is too small; nothing was done
     * @throws UnsupportedOperationException on a backend that does its operations at once
     */
    public CapturedGraph capture(Runnable work, Storage scratch) {
        throw new UnsupportedOperationException("backend " + name() + " does its operations at once and records none");
    }

    /** Waits until everything issued so far is done; does nothing on a backend without a queue. */
    public void synchronize() {}

    /** Frees everything, also what is still live; a leak is reported by {@link Memory#close()}. */
    @Override
    public void close() {
        memory().close();
    }
}
