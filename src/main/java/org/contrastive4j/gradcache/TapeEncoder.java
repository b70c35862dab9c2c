package org.contrastive4j.gradcache;

import java.util.List;
import java.util.function.BiConsumer;
import java.util.function.ToIntFunction;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.Tape;
import org.contrastive4j.autograd.Variable;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A {@link ChunkEncoder} whose forward pass is a function on a {@link Tape}: from samples [from, to) of a batch to a
 * variable of shape [to - from, d].
 *
 * <p>The variable may have the activation type or the parameter type. For a model with several outputs, the function
 * returns the one that is the representation.
 *
 * <p>Tested by {@code LossOverEncodersTest}.
 *
 * @param <B> the batch
 */
public final class TapeEncoder<B> implements ChunkEncoder<B> {
    /**
     * The forward pass of an encoder.
     *
     * @param <B> the batch
     */
    @FunctionalInterface
    public interface Body<B> {
        /**
         * Encodes samples [from, to). Input tensors that it creates must be passed to {@link Tape#adopt} or {@link
         * Tape#hold}; all others must stay open until the step is done.
         *
         * @param tape to apply functions on
         * @param batch that holds the samples
         * @param from first sample
         * @param to one past the last sample
         * @return representations, [to - from, d]
         */
        Variable encode(Tape tape, B batch, int from, int to);
    }

    private final Ops ops;
    private final String name;
    private final int width;
    private final ToIntFunction<B> samples;
    private final List<Parameter> parameters;
    private final Body<B> body;
    private @Nullable BiConsumer<String, Tensor> observer;

    /**
     * Creates an encoder.
     *
     * @param ops backend
     * @param name of the scope of its nodes
     * @param width d of the representations
     * @param samples number of samples in a batch
     * @param parameters all parameters of the body; the encoder is trainable while one of them is not frozen
     * @param body forward pass
     */
    public TapeEncoder(
            Ops ops, String name, int width, ToIntFunction<B> samples, List<Parameter> parameters, Body<B> body) {
        this.ops = ops;
        this.name = name;
        this.width = width;
        this.samples = samples;
        this.parameters = List.copyOf(parameters);
        this.body = body;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public int samples(B batch) {
        return samples.applyAsInt(batch);
    }

    @Override
    public int width() {
        return width;
    }

    @Override
    public boolean isTrainable() {
        return parameters.stream().anyMatch(parameter -> !parameter.isFrozen());
    }

    @Override
    public void observe(@Nullable BiConsumer<String, Tensor> newObserver) {
        observer = newObserver;
    }

    @Override
    public void encode(B batch, int from, int to, Tensor into) {
        try (Tape tape = Tape.inference(ops)) {
            run(tape, batch, from, to, into);
        }
    }

    @Override
    public Pass encodeForBackward(B batch, int from, int to, Tensor into) {
        Tape tape = Tape.recording(ops);
        try {
            Variable representations = run(tape, batch, from, to, into);
            return new TapePass(ops, tape, representations);
        } catch (RuntimeException failure) {
            tape.close();
            throw failure;
        }
    }

    private Variable run(Tape tape, B batch, int from, int to, Tensor into) {
        if (observer != null) {
            tape.observe(observer);
        }
        Variable representations = tape.scope(name, () -> body.encode(tape, batch, from, to));
        if (!representations.shape().equals(Shape.of(to - from, width))) {
            throw new ShapeException("expected representations of shape " + Shape.of(to - from, width)
                    + " from encoder " + name + " for samples [" + from + ", " + to + "), got " + representations);
        }
        ops.pointwise().cast(representations.value(), into);
        return representations;
    }

    private record TapePass(Ops ops, Tape tape, Variable representations) implements Pass {
        @Override
        public void backward(Tensor gradient) {
            if (representations.requiresGradient()) {
                backwardIn(representations.dtype(), gradient);
            }
            tape.close();
        }

        private void backwardIn(DType dtype, Tensor gradient) {
            if (gradient.dtype() == dtype) {
                tape.backward(representations, gradient);
                return;
            }
            try (Tensor cast = Tensor.allocate(ops.memory(), dtype, gradient.shape())) {
                ops.pointwise().cast(gradient, cast);
                tape.backward(representations, cast);
            }
        }

        @Override
        public void close() {
            tape.close();
        }
    }
}
