package org.contrastive4j.autograd;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * A differentiable operation with its forward and backward pass. An instance is applied once: {@link Tape#apply} calls
 * {@link #forward}, and {@link Tape#backward(Variable, Tensor)} calls {@link #backward}.
 *
 * <p>Forward declares which tensors backward reads, with {@link Forward#save}, {@link Forward#saveOutput} and {@link
 * Forward#keep}. All other tensors that it allocates, except its outputs, are freed when it returns.
 *
 * <p>Tested by {@code FunctionsTest}.
 */
public abstract class Function {
    private final String name;

    /**
     * Creates a function.
     *
     * @param name of the operation, such as {@code layer_norm}
     */
    protected Function(String name) {
        this.name = name;
    }

    /**
     * Returns the name of the operation, the last part of the path of its node.
     *
     * @return the name
     */
    public final String name() {
        return name;
    }

    /**
     * Computes the outputs.
     *
     * @param f inputs, and the allocator of the outputs
     * @return the outputs, allocated by {@code f}
     */
    protected abstract Tensor[] forward(Forward f);

    /**
     * Accumulates a gradient into every input that {@link Backward#wants} one.
     *
     * @param b gradients of the outputs, saved tensors, and the gradients of the inputs to accumulate into
     */
    protected abstract void backward(Backward b);

    /** Inputs and allocator of a forward pass. */
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

        /**
         * Whether the tape records this function, so that {@link Function#backward} may follow.
         *
         * @return true if recorded
         */
        public boolean isRecorded() {
            return recorded;
        }

        /**
         * Whether an input needs a gradient.
         *
         * @param i index of the input
         * @return true if backward must accumulate a gradient for it
         */
        public boolean wants(int i) {
            return recorded && inputs.get(i).requiresGradient();
        }

        /**
         * Returns the backend.
         *
         * @return operations to compute with
         */
        public Ops ops() {
            return ops;
        }

        /**
         * Returns the value of an input.
         *
         * @param i index of the input
         * @return its tensor; read only
         */
        public Tensor input(int i) {
            return inputs.get(i).value();
        }

        /**
         * Allocates a tensor of the activation type. It is freed when forward returns, unless it is an output or kept.
         *
         * @param shape of the tensor
         * @return the tensor; its contents are undefined
         */
        public Tensor allocate(Shape shape) {
            return allocate(ops.dtype(), shape);
        }

        /**
         * Allocates a tensor of the activation type; see {@link #allocate(Shape)}.
         *
         * @param dims of the tensor
         * @return the tensor; its contents are undefined
         */
        public Tensor allocate(int... dims) {
            return allocate(Shape.of(dims));
        }

        /**
         * Allocates a tensor of the parameter type, which statistics, representations and losses have; see {@link
         * #allocate(Shape)}.
         *
         * @param shape of the tensor
         * @return the tensor; its contents are undefined
         */
        public Tensor allocateParameter(Shape shape) {
            return allocate(ops.parameterDtype(), shape);
        }

        /**
         * Allocates a tensor of the shape and type of an input; see {@link #allocate(Shape)}.
         *
         * @param i index of the input
         * @return the tensor; its contents are undefined
         */
        public Tensor allocateLike(int i) {
            return allocate(input(i).dtype(), input(i).shape());
        }

        Tensor allocate(DType dtype, Shape shape) {
            Tensor tensor = Tensor.allocate(ops.memory(), dtype, shape);
            allocated.add(tensor);
            return tensor;
        }

        /**
         * Saves inputs for backward.
         *
         * @param indices of the inputs that backward reads
         */
        public void save(int... indices) {
            for (int i : indices) {
                savedInputs.add(i);
            }
        }

        /**
         * Saves an output for backward.
         *
         * @param index of the output that backward reads
         */
        public void saveOutput(int index) {
            savedOutputs.add(index);
        }

        /**
         * Keeps a tensor for backward.
         *
         * @param tensor allocated by this forward pass; freed after backward
         * @return the same tensor
         */
        public Tensor keep(Tensor tensor) {
            kept.add(tensor);
            return tensor;
        }
    }

    /** Saved tensors, gradients and allocator of a backward pass. */
    public static final class Backward {
        private final Ops ops;
        private final Node node;
        private final List<HandOver> handOvers = new ArrayList<>();
        final List<Tensor> allocated = new ArrayList<>();

        /** A gradient of an output that is moved or added to the gradient of an input when backward has returned. */
        private record HandOver(int output, int input) {}

        Backward(Ops ops, Node node) {
            this.ops = ops;
            this.node = node;
        }

        /**
         * Returns the backend.
         *
         * @return operations to compute with
         */
        public Ops ops() {
            return ops;
        }

        /**
         * Returns the value of an input that forward saved.
         *
         * @param i index of the input
         * @return its tensor; read only
         * @throws IllegalStateException when forward did not save it
         */
        public Tensor input(int i) {
            if (!node.savedInputs().contains(i)) {
                throw new IllegalStateException("input " + i + " was not saved by forward");
            }
            return node.inputs().get(i).value();
        }

        /**
         * Returns the value of an output that forward saved.
         *
         * @param i index of the output
         * @return its tensor; read only
         * @throws IllegalStateException when forward did not save it
         */
        public Tensor output(int i) {
            if (!node.savedOutputs().contains(i)) {
                throw new IllegalStateException("output " + i + " was not saved by forward");
            }
            return node.outputs().get(i).value();
        }

        /**
         * Returns the shape of an input, saved or not.
         *
         * @param i index of the input
         * @return its shape
         */
        public Shape inputShape(int i) {
            return node.inputs().get(i).shape();
        }

        /**
         * Returns the gradient of an output, which must not be written. The tape frees it after backward.
         *
         * @param i index of the output; the output of a function with a single output always has a gradient
         * @return the gradient
         * @throws IllegalStateException when no gradient reached the output; see {@link #hasOutputGradient}
         */
        public Tensor outputGradient(int i) {
            return gradientOf(node.outputs().get(i));
        }

        /**
         * Whether a gradient reached an output. A function with several outputs must check this.
         *
         * @param i index of the output
         * @return false when nothing depends on the output
         */
        public boolean hasOutputGradient(int i) {
            return node.outputs().get(i).gradient != null;
        }

        private static Tensor gradientOf(Variable variable) {
            Tensor gradient = variable.gradient;
            if (gradient == null) {
                throw new IllegalStateException(variable.name() + " has no gradient: nothing depends on it");
            }
            return gradient;
        }

        /**
         * Returns the gradient of an output as a tensor that this backward pass may overwrite; a gradient that the
         * caller of {@link Tape#backward(Variable, Tensor)} owns is copied first.
         *
         * @param i index of the output
         * @return the gradient
         */
        public Tensor ownOutputGradient(int i) {
            Variable output = node.outputs().get(i);
            makeOwned(output);
            return gradientOf(output);
        }

        /**
         * Whether an input needs a gradient.
         *
         * @param i index of the input
         * @return true if a gradient must be accumulated for it
         */
        public boolean wants(int i) {
            return node.inputs().get(i).requiresGradient();
        }

        /**
         * Allocates a tensor of the activation type. It is freed when backward returns, unless it is passed to {@link
         * #accumulate}.
         *
         * @param shape of the tensor
         * @return the tensor; its contents are undefined
         */
        public Tensor allocate(Shape shape) {
            return allocate(ops.dtype(), shape);
        }

        /**
         * Allocates a tensor of the shape and type of an input, which its gradient also has; see {@link #allocate}.
         *
         * @param i index of the input
         * @return the tensor; its contents are undefined
         */
        public Tensor allocateLike(int i) {
            return allocate(node.inputs().get(i).dtype(), inputShape(i));
        }

        /**
         * Allocates a tensor as {@link #allocateLike} does and fills it with zeros.
         *
         * @param i index of the input
         * @return the tensor
         */
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
         * Returns a tensor for kernels that add to a gradient: the gradient of a parameter itself, zeros for any other
         * input. Pass it to {@link #accumulate} afterwards, as any other gradient.
         *
         * @param i index of the input
         * @return a tensor of the shape and type of the input
         */
        public Tensor accumulator(int i) {
            return node.inputs().get(i) instanceof Parameter parameter ? parameter.gradient() : zerosLike(i);
        }

        /**
         * Adds a tensor to the gradient of an input, without a copy where possible. The tape takes ownership of a
         * tensor that this backward pass allocated. An {@link #outputGradient} may become the gradient of the input
         * once backward has returned. An {@link #accumulator} of a parameter already is its gradient. Any other tensor
         * is read.
         *
         * @param i index of the input; an input that needs no gradient is ignored
         * @param gradient of the shape and type of the input; must not be written by this backward pass afterwards
         */
        public void accumulate(int i, Tensor gradient) {
            Variable input = node.inputs().get(i);
            boolean own = allocated.removeIf(mine -> mine == gradient);
            int output = own ? -1 : outputOf(gradient);
            if (output >= 0) {
                handOvers.add(new HandOver(output, i));
            } else if (own && input.requiresGradient() && !(input instanceof Parameter) && input.gradient == null) {
                input.gradient = gradient;
                input.gradientBorrowed = false;
            } else {
                add(input, gradient);
                if (own) {
                    gradient.close();
                }
            }
        }

        /**
         * Returns the output that has this gradient; -1 if none has, or if the caller of the tape owns the gradient.
         */
        private int outputOf(Tensor gradient) {
            for (int o = 0; o < node.outputs().size(); o++) {
                Variable output = node.outputs().get(o);
                if (output.gradient == gradient && !output.gradientBorrowed) {
                    return o;
                }
            }
            return -1;
        }

        /** Moves or adds gradients of outputs to gradients of inputs, after backward has returned. */
        void finish() {
            for (int k = 0; k < handOvers.size(); k++) {
                HandOver now = handOvers.get(k);
                boolean last = handOvers.subList(k + 1, handOvers.size()).stream()
                        .noneMatch(later -> later.output == now.output);
                Variable output = node.outputs().get(now.output);
                Variable input = node.inputs().get(now.input);
                if (last && input.requiresGradient() && !(input instanceof Parameter) && input.gradient == null) {
                    input.gradient = output.gradient;
                    input.gradientBorrowed = false;
                    output.gradient = null;
                } else {
                    add(input, gradientOf(output));
                }
            }
        }

        private void add(Variable input, Tensor gradient) {
            if (!input.requiresGradient()) {
                return;
            }
            if (input instanceof Parameter parameter) {
                if (gradient != parameter.gradient()) {
                    ops.pointwise().axpy(1, gradient, parameter.gradient());
                }
            } else if (input.gradient == null) {
                input.gradient = Tensor.allocate(ops.memory(), gradient.dtype(), gradient.shape());
                input.gradientBorrowed = false;
                ops.pointwise().copy(gradient, input.gradient);
            } else {
                makeOwned(input);
                ops.pointwise().axpy(1, gradient, input.gradient);
            }
        }

        private void makeOwned(Variable variable) {
            if (variable.gradientBorrowed) {
                Tensor borrowed = gradientOf(variable);
                Tensor copy = Tensor.allocate(ops.memory(), borrowed.dtype(), borrowed.shape());
                ops.pointwise().copy(borrowed, copy);
                variable.gradient = copy;
                variable.gradientBorrowed = false;
            }
        }
    }

    /** A recorded application of a function. */
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
