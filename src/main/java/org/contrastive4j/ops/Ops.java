package org.contrastive4j.ops;

import org.contrastive4j.memory.Memory;
import org.contrastive4j.memory.Memory.Storage;
import org.contrastive4j.ops.PointwiseOps.RandomKey;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * All operations of one backend, by family, and the memory they work in.
 *
 * <p>Each family has public checked methods and unchecked counterparts that a backend implements; shape errors are
 * raised in the public methods and only there. Activations and their gradients are of the type {@link #dtype()},
 * parameters and everything of the loss of {@link #parameterDtype()}; ids, lengths and targets are I32. Every operation
 * gives the same bits from run to run and for any number of threads.
 *
 * <p>Tested by {@code BackendAgreementTest}.
 */
public abstract class Ops implements AutoCloseable {
    /**
     * Returns the name of the backend.
     *
     * @return such as {@code cpu}
     */
    public abstract String name();

    /**
     * Returns the type of activations and their gradients.
     *
     * @return F16, BF16, F32 or F64
     */
    public abstract DType dtype();

    /**
     * Returns the type of parameters, their gradients and optimiser state, of statistics of norms and softmaxes, and of
     * representations and everything of the loss.
     *
     * @return F64 where activations are F64, F32 otherwise
     */
    public final DType parameterDtype() {
        return parameterDtype(dtype());
    }

    /** The same for activations of a given type. */
    static DType parameterDtype(DType activations) {
        return activations == DType.F64 ? DType.F64 : DType.F32;
    }

    /**
     * Returns what a training step computes in.
     *
     * @return the precision of {@link #dtype()}
     */
    public Precision precision() {
        return Precision.of(dtype());
    }

    /**
     * Returns the memory that tensors are allocated in.
     *
     * @return the memory
     */
    public abstract Memory memory();

    /**
     * The operations of one backend by family.
     *
     * @param matrix matrix products
     * @param pointwise elementwise operations and casts
     * @param norm normalisations
     * @param attention softmax attention
     * @param sequence operations on token sequences
     * @param pairwise the InfoNCE loss
     * @param pairTiles the tiled engine of the other losses
     * @param update optimiser updates and reductions of gradients
     */
    public record Families(
            MatrixOps matrix,
            PointwiseOps pointwise,
            NormOps norm,
            AttentionOps attention,
            SequenceOps sequence,
            PairwiseOps pairwise,
            PairTileOps pairTiles,
            UpdateOps update) {}

    /**
     * Returns all families of operations.
     *
     * @return all families of this backend
     */
    public abstract Families families();

    /**
     * Returns the matrix products.
     *
     * @return the family of this backend
     */
    public MatrixOps matrix() {
        return families().matrix();
    }

    /**
     * Returns the elementwise operations and casts.
     *
     * @return the family of this backend
     */
    public PointwiseOps pointwise() {
        return families().pointwise();
    }

    /**
     * Returns the normalisations.
     *
     * @return the family of this backend
     */
    public NormOps norm() {
        return families().norm();
    }

    /**
     * Returns the attention.
     *
     * @return the family of this backend
     */
    public AttentionOps attention() {
        return families().attention();
    }

    /**
     * Returns the operations on token sequences.
     *
     * @return the family of this backend
     */
    public SequenceOps sequence() {
        return families().sequence();
    }

    /**
     * Returns the InfoNCE loss.
     *
     * @return the family of this backend
     */
    public PairwiseOps pairwise() {
        return families().pairwise();
    }

    /**
     * Returns the tiled engine that the losses other than plain InfoNCE run on.
     *
     * @return the family of this backend
     */
    public PairTileOps pairTiles() {
        return families().pairTiles();
    }

    /**
     * Returns the optimiser steps and reductions of gradients.
     *
     * @return the family of this backend
     */
    public UpdateOps update() {
        return families().update();
    }

    /**
     * Allocates a tensor of {@link #dtype()} with undefined contents.
     *
     * @param shape of the tensor
     * @return the tensor; the caller closes it
     */
    public final Tensor allocate(Shape shape) {
        return Tensor.allocate(memory(), dtype(), shape);
    }

    /**
     * Allocates a tensor of {@link #dtype()} with undefined contents.
     *
     * @param dims of the tensor
     * @return the tensor; the caller closes it
     */
    public final Tensor allocate(int... dims) {
        return allocate(Shape.of(dims));
    }

    /**
     * Allocates a tensor of {@link #parameterDtype()} with undefined contents.
     *
     * @param shape of the tensor
     * @return the tensor; the caller closes it
     */
    public final Tensor allocateParameter(Shape shape) {
        return Tensor.allocate(memory(), parameterDtype(), shape);
    }

    /**
     * Allocates a tensor of {@link #parameterDtype()} with undefined contents.
     *
     * @param dims of the tensor
     * @return the tensor; the caller closes it
     */
    public final Tensor allocateParameter(int... dims) {
        return allocateParameter(Shape.of(dims));
    }

    /**
     * Allocates a tensor of zeros of {@link #dtype()}.
     *
     * @param shape of the tensor
     * @return the tensor; the caller closes it
     */
    public final Tensor zeros(Shape shape) {
        return zeroed(allocate(shape));
    }

    /**
     * Allocates a tensor of zeros of {@link #parameterDtype()}.
     *
     * @param shape of the tensor
     * @return the tensor; the caller closes it
     */
    public final Tensor zeroParameter(Shape shape) {
        return zeroed(allocateParameter(shape));
    }

    private Tensor zeroed(Tensor tensor) {
        pointwise().fill(tensor, 0);
        return tensor;
    }

    /**
     * Allocates a tensor of {@link #dtype()} and copies values to it.
     *
     * @param shape of the tensor
     * @param values as many as it has
     * @return the tensor; the caller closes it
     */
    public final Tensor tensor(Shape shape, double... values) {
        return Tensor.of(memory(), dtype(), shape, values);
    }

    /**
     * Allocates a tensor of {@link #parameterDtype()} and copies values to it.
     *
     * @param shape of the tensor
     * @param values as many as it has
     * @return the tensor; the caller closes it
     */
    public final Tensor parameterTensor(Shape shape, double... values) {
        return Tensor.of(memory(), parameterDtype(), shape, values);
    }

    /**
     * Allocates an I32 tensor and copies values to it.
     *
     * @param shape of the tensor
     * @param values as many as it has
     * @return the tensor; the caller closes it
     */
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
     * Copies values to a tensor, in stream order: operations issued later read them. The host may change the array once
     * this has returned; a backend with a queue does not synchronise.
     *
     * @param values as many as the tensor has
     * @param target I32; written
     */
    public void send(int[] values, Tensor target) {
        target.set(values);
    }

    /**
     * Copies values to a tensor of f32, or of f64 on a backend that has it; as {@link #send(int[], Tensor)}.
     *
     * @param values as many as the tensor has
     * @param target written
     */
    public void send(float[] values, Tensor target) {
        target.set(values);
    }

    /** Copies to the device on a second stream, see {@link #prefetchStream}. */
    @FunctionalInterface
    public interface PrefetchStream {
        /**
         * Copies after the work that was issued before {@link #prefetchStream}, and concurrently with what was issued
         * since where the backend can do both. To be called once, also when {@code sends} throws: then the tensors may
         * have some of the values, and work issued later comes after those copies.
         *
         * @param sends calls {@link Ops#send} on tensors that were allocated before {@link #prefetchStream} and that no
         *     work issued since uses, and does nothing else
         * @return makes the main stream wait for the copies; to be called once before the first operation that reads
         *     those tensors. The host does not wait
         */
        Runnable send(Runnable sends);
    }

    /**
     * Marks the present point of the main stream: copies on the returned stream come after it, and need not wait for
     * work that is issued later.
     *
     * @return the stream, for one use
     */
    public PrefetchStream prefetchStream() {
        return sends -> {
            sends.run();
            return () -> {};
        };
    }

    /**
     * Returns the values of a small tensor of parameters, in stream order.
     *
     * @param x of the type of parameters; read
     * @return its values
     */
    public Deferred<double[]> values(Tensor x) {
        return Deferred.of(x.toDoubles());
    }

    /**
     * Whether this backend has a queue: its results are {@link Deferred}, and {@link #capture} captures its operations.
     *
     * @return false for a backend whose operations are complete when they return
     */
    public boolean canCapture() {
        return false;
    }

    /**
     * Captures the operations that {@code work} issues as a graph, without running them.
     *
     * <p>The work must neither synchronise nor send values, and what it does on the host happens once, now. Scalar
     * arguments of operations become constants of the graph; those that change are read from tensors ({@link
     * RandomKey#clock}, {@link UpdateOps.AdamW#scalars}). The work must have run eagerly once before, so that its
     * kernels are loaded.
     *
     * @param work issues operations to this backend
     * @param arena memory of this backend in which the tensors of the work lie, and which nothing else uses while the
     *     graph runs; null when the work allocates none
     * @return the graph; the caller closes it
     * @throws org.contrastive4j.memory.Memory.OutOfBudgetException when the arena is too small; nothing was done
     * @throws UnsupportedOperationException on a backend without a queue
     */
    public CapturedGraph capture(Runnable work, @Nullable Storage arena) {
        throw new UnsupportedOperationException(
                "backend " + name() + " completes each operation at once and captures no graphs");
    }

    /** Waits until all work issued so far is done; does nothing on a backend without a queue. */
    public void synchronize() {}

    /** Frees all memory, tensors that are still open included; {@link Memory#close()} reports them as leaks. */
    @Override
    public void close() {
        memory().close();
    }

    /**
     * Operations captured as a CUDA graph. Each launch runs them on the same tensors, with the values these have then,
     * and with the same scalar arguments. The tensors must stay open.
     */
    public interface CapturedGraph extends AutoCloseable {
        /** Launches the graph in stream order; does not synchronise. */
        void run();

        /**
         * Returns the size of the graph.
         *
         * @return number of nodes: kernels, copies and fills
         */
        int operations();

        /** Frees the graph. */
        @Override
        void close();
    }
}
