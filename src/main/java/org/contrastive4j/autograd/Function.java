package org.contrastive4j.autograd;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * One differentiable operation, used once: {@link Tape#apply} calls {@link #forward} now and {@link #backward} later.
 *
 * <p>Forward says what backward will read ({@link Forward#save}, {@link Forward#saveOutput}, {@link Forward#keep});
 * whatever else it allocates is freed when it returns.
 */
public abstract class Function {
    private final String name;

    protected Function(String name) {
        this.name = name;
    }

    /** Last part of the node's path in errors. */
    public final String name() {
        return name;
    }

    /** Computes the outputs, allocated through {@code f}. */
    protected abstract Tensor[] forward(Forward f);

    /** Gives a gradient to every input that {@link Backward#wants} one. */
    protected abstract void backward(Backward b);

    /** What a forward pass may touch. */
    public static final class Forward {
        private final Ops ops;
        private final List<Variable> inputs;
        final List<Tensor> allocated = new ArrayList<>();
        final List<Tensor> kept = new ArrayList<>();
        final List<Integer> savedInputs = new ArrayList<>();
        final List<Integer> savedOutputs = new ArrayList<>();

        private final boolean recorded;

        Forward(Ops ops, List<Variable> inputs, boolean recorded) {
            this.ops = ops;
            this.inputs = inputs;
            this.recorded = recorded;
        }

        /** Whether {@link Function#backward} may follow. */
        public boolean isRecorded() {
            return recorded;
        }

        public boolean wants(int i) {
            return recorded && inputs.get(i).requiresGradient();
        }

        public Ops ops() {
            return ops;
        }

        public Tensor input(int i) {
            return inputs.get(i).value();
        }

        /** A new tensor of the type of activations: an output, kept, or freed when forward returns. */
        public Tensor allocate(Shape shape) {
            return allocate(ops.dtype(), shape);
        }

        /** A new tensor of the type of activations: an output, kept, or freed when forward returns. */
        public Tensor allocate(int... dims) {
            return allocate(Shape.of(dims));
        }

        /** The same of the type of parameters: statistics, representations, what a loss computes. */
        public Tensor allocateParameter(Shape shape) {
            return allocate(ops.parameterDtype(), shape);
        }

        /** The same of the shape and type of input i. */
        public Tensor allocateLike(int i) {
            return allocate(input(i).dtype(), input(i).shape());
        }

        Tensor allocate(DType dtype, Shape shape) {
            Tensor tensor = Tensor.allocate(ops.memory(), dtype, shape);
            allocated.add(tensor);
            return tensor;
        }

        /** Backward will read these inputs. */
        public void save(int... indices) {
            for (int i : indices) {
                savedInputs.add(i);
            }
        }

        /** Backward will read this output. */
        public void saveOutput(int index) {
            savedOutputs.add(index);
        }

        /** Backward will read this tensor, allocated here. */
        public Tensor keep(Tensor tensor) {
            kept.add(tensor);
            return tensor;
        }
    }

    /** What a backward pass may touch. */
    public static final class Backward {
        private final Ops ops;
        private final Node node;
        final List<Tensor> allocated = new ArrayList<>();

        Backward(Ops ops, Node node) {
            this.ops = ops;
            this.node = node;
        }

        public Ops ops() {
            return ops;
        }

        /** An input that forward saved. */
        public Tensor input(int i) {
            if (!node.savedInputs().contains(i)) {
                throw new IllegalStateException("input " + i + " was not saved by forward");
            }
            return node.inputs().get(i).value();
        }

        /** An output that forward saved. */
        public Tensor output(int i) {
            if (!node.savedOutputs().contains(i)) {
                throw new IllegalStateException("output " + i + " was not saved by forward");
            }
            return node.outputs().get(i).value();
        }

        public Shape inputShape(int i) {
            return node.inputs().get(i).shape();
        }

        /** Gradient of an output; null when nothing depends on that output. Freed after backward. */
        public Tensor outputGradient(int i) {
            return node.outputs().get(i).gradient;
        }

        /** The same, to be written over: nobody else's. */
        public Tensor ownOutputGradient(int i) {
            Variable output = node.outputs().get(i);
            makeOwned(output);
            return output.gradient;
        }

        /** Whether input i needs a gradient. */
        public boolean wants(int i) {
            return node.inputs().get(i).requiresGradient();
        }

        /** A new tensor of the type of activations: given to an input, or freed when backward returns. */
        public Tensor allocate(Shape shape) {
            return allocate(ops.dtype(), shape);
        }

        /** The same of the shape and type of input i, which are those of its gradient. */
        public Tensor allocateLike(int i) {
            return allocate(node.inputs().get(i).dtype(), inputShape(i));
        }

        /** {@link #allocateLike}, filled with zeros. */
        public Tensor zerosLike(int i) {
            Tensor zeros = allocateLike(i);
            ops.pointwise().fill(zeros, 0);
            return zeros;
        }

        Tensor allocate(DType dtype, Shape shape) {
            Tensor tensor = Tensor.allocate(ops.memory(), dtype, shape);
            allocated.add(tensor);
            return tensor;
        }

        /**
         * Adds a tensor allocated here, of the shape and type of input i, to its gradient; the tape
         * owns it from now on.
         */
        public void give(int i, Tensor gradient) {
            if (!allocated.removeIf(mine -> mine == gradient)) {
                throw new IllegalStateException("give() takes a tensor that this backward allocated");
            }
            Variable input = node.inputs().get(i);
            if (!input.requiresGradient()) {
                gradient.close();
            } else if (input instanceof Parameter parameter) {
                ops.pointwise().axpy(1, gradient, parameter.gradient());
                gradient.close();
            } else if (input.gradient == null) {
                input.gradient = gradient;
                input.gradientBorrowed = false;
            } else {
                makeOwned(input);
                ops.pointwise().axpy(1, gradient, input.gradient);
                gradient.close();
            }
        }

        /** Adds a tensor of the shape and type of input i, which stays the caller's, to its gradient. */
        public void add(int i, Tensor gradient) {
            Variable input = node.inputs().get(i);
            if (!input.requiresGradient()) {
                return;
            }
            if (input instanceof Parameter parameter) {
                ops.pointwise().axpy(1, gradient, parameter.gradient());
            } else if (input.gradient == null) {
                input.gradient = Tensor.allocate(ops.memory(), gradient.dtype(), gradient.shape());
                input.gradientBorrowed = false;
                ops.pointwise().copy(gradient, input.gradient);
            } else {
                makeOwned(input);
                ops.pointwise().axpy(1, gradient, input.gradient);
            }
        }

        /** Hands the gradient of output o on to input i without a copy where possible; call it last for that output. */
        public void pass(int o, int i) {
            Variable output = node.outputs().get(o);
            Variable input = node.inputs().get(i);
            if (input instanceof Parameter
                    || !input.requiresGradient()
                    || input.gradient != null
                    || output.gradientBorrowed) {
                add(i, output.gradient);
            } else {
                input.gradient = output.gradient;
                input.gradientBorrowed = false;
                output.gradient = null;
            }
        }

        /**
         * A tensor for operations that accumulate: a parameter's own gradient, else zeros that
         * {@link #deliver} hands over.
         */
        public Tensor accumulator(int i) {
            if (node.inputs().get(i) instanceof Parameter parameter) {
                return parameter.gradient();
            }
            return zerosLike(i);
        }

        /** Ends the use of an {@link #accumulator} of input i. */
        public void deliver(int i, Tensor accumulator) {
            if (!(node.inputs().get(i) instanceof Parameter)) {
                give(i, accumulator);
            }
        }

        private void makeOwned(Variable variable) {
            if (variable.gradientBorrowed) {
                Tensor copy = Tensor.allocate(ops.memory(), variable.gradient.dtype(), variable.gradient.shape());
                ops.pointwise().copy(variable.gradient, copy);
                variable.gradient = copy;
                variable.gradientBorrowed = false;
            }
        }
    }

    /** One application of a function, remembered for backward. */
    record Node(
            Function function,
            String path,
            List<Variable> inputs,
            List<Variable> outputs,
            List<Integer> savedInputs,
            List<Integer> savedOutputs,
            List<Tensor> kept) {
        void hold() {
            savedInputs.forEach(i -> inputs.get(i).hold());
            savedOutputs.forEach(i -> outputs.get(i).hold());
        }

        void release() {
            savedInputs.forEach(i -> inputs.get(i).drop());
            savedOutputs.forEach(i -> outputs.get(i).drop());
            kept.forEach(Tensor::close);
        }
    }
}
