package org.contrastive4j.gradcache;

import java.util.List;
import java.util.function.BiConsumer;
import java.util.function.ToIntFunction;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.Tape;
import org.contrastive4j.autograd.Variable;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * An encoder written on the tape: a function from the samples [from, to) of a batch to a variable of shape [to - from,
 * d].
 *
 * <p>A model with more than one output takes part through a function that extracts the representation, which may be of
 * the type of activations or of that of parameters.
 */
public final class TapeEncoder<B> implements ChunkEncoder<B> {
    /**
     * Encodes samples [from, to) on a tape; input tensors it makes are handed to {@link Tape#adopt} or outlive the
     * step.
     */
    @FunctionalInterface
    public interface Body<B> {
        Variable encode(Tape tape, B batch, int from, int to);
    }

    private final Ops ops;
    private final String name;
    private final int width;
    private final ToIntFunction<B> samples;
    private final List<Parameter> parameters;
    private final Body<B> body;
    private BiConsumer<String, Tensor> observer;

    /** @param parameters all that the body uses: the encoder is trainable while one of them is not frozen */
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
    public void observe(BiConsumer<String, Tensor> newObserver) {
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
            throw new ShapeException("encoder " + name + " gave " + representations + " for samples [" + from + ", "
                    + to + "), expected " + Shape.of(to - from, width));
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
