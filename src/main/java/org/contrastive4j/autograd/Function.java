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

    /**
     * Accumulates a gradient into every input that {@link Backward#wants} one.
     *
     * @param b what it may read and write
     */
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
        private final List<HandOver> handOvers = new ArrayList<>();
        final List<Tensor> allocated = new ArrayList<>();

        /** The gradient of an output that becomes, or is added to, that of an input. */
        private record HandOver(int output, int input) {}

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

        /**
         * Returns a new tensor of the type of activations: accumulated into an input, or freed when backward returns.
         */
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
         * Returns a tensor for kernels that add to a gradient: a parameter's own gradient, else zeros. It is handed
         * over by {@link #accumulate} like any other.
         *
         * @param i input
         * @return of the shape and type of input i
         */
        public Tensor accumulator(int i) {
            return node.inputs().get(i) instanceof Parameter parameter ? parameter.gradient() : zerosLike(i);
        }

        /**
         * Adds a tensor to the gradient of an input, without a copy where possible: a tensor that was allocated here
         * belongs to the tape from now on, an {@link #outputGradient} may become the input's gradient once backward has
         * returned, and an {@link #accumulator} of a parameter is that gradient already. Any other tensor is read.
         *
         * @param i input; nothing happens when it needs no gradient
         * @param gradient of the shape and type of input i; not written by this backward any more
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

        /** The output whose gradient a tensor is, -1 for none or one that is the caller's of backward. */
        private int outputOf(Tensor gradient) {
            for (int o = 0; o < node.outputs().size(); o++) {
                Variable output = node.outputs().get(o);
                if (output.gradient == gradient && !output.gradientBorrowed) {
                    return o;
                }
            }
            return -1;
        }

        /** Hands the gradients of outputs to inputs, once nothing reads them any more. */
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
                    add(input, output.gradient);
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
