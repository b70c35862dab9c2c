package org.contrastive4j.autograd;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.function.Supplier;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;

/**
 * Records functions as they are applied and runs them backward in reverse order, once.
 *
 * <p>Scopes name the nodes and bound the lifetime of tensors. When {@link #scope} returns, every tensor created in it
 * is freed, except the result of the scope and the tensors that recorded functions saved for backward.
 *
 * <p>A tape is confined to one thread. {@link #close} frees all remaining tensors, also after a failure.
 */
public final class Tape implements AutoCloseable {
    private final Ops ops;
    private final List<Function.Node> nodes = new ArrayList<>();
    private final Deque<List<Variable>> scopes = new ArrayDeque<>();
    private final Deque<String> path = new ArrayDeque<>();
    private final List<Tensor> held = new ArrayList<>();
    private boolean recording;
    private boolean closed;
    private BiConsumer<String, Tensor> observer = (name, output) -> {};

    private Tape(Ops ops, boolean recording) {
        this.ops = ops;
        this.recording = recording;
        scopes.push(new ArrayList<>());
    }

    /**
     * Creates a tape that records, for a forward pass followed by {@link #backward(Variable, Tensor)}.
     *
     * @param ops backend to compute on
     * @return the tape; the caller closes it
     */
    public static Tape recording(Ops ops) {
        return new Tape(ops, true);
    }

    /**
     * Creates a tape in inference mode: it computes values and records nothing. Memory: that of the largest scope.
     *
     * @param ops backend to compute on
     * @return the tape; the caller closes it
     */
    public static Tape inference(Ops ops) {
        return new Tape(ops, false);
    }

    /**
     * Returns the backend.
     *
     * @return operations that this tape computes with
     */
    public Ops ops() {
        return ops;
    }

    /**
     * Whether functions are recorded for backward.
     *
     * @return false in inference mode and within {@link #noGradient}
     */
    public boolean isRecording() {
        return recording;
    }

    /**
     * Registers an observer of the outputs of all functions applied from now on. It replaces the previous one.
     *
     * @param newObserver called with path and value of each output; must not retain the tensor
     */
    public void observe(BiConsumer<String, Tensor> newObserver) {
        observer = newObserver;
    }

    /**
     * Creates a leaf without a gradient from a tensor that the caller keeps.
     *
     * @param name of the variable
     * @param value owned by the caller; must stay open until backward is done
     * @return the variable
     */
    public Variable constant(String name, Tensor value) {
        checkOpen();
        value.checkOpen();
        return new Variable(name, value, false, false);
    }

    /**
     * Creates a leaf without a gradient from a tensor and takes ownership of the tensor. It is freed with the current
     * scope.
     *
     * @param name of the variable
     * @param value owned by the tape from now on
     * @return the variable
     */
    public Variable adopt(String name, Tensor value) {
        checkOpen();
        Variable variable = new Variable(qualified(name), value, true, false);
        variable.hold();
        scopes.peek().add(variable);
        return variable;
    }

    /**
     * Takes ownership of a tensor that functions read in addition to their inputs, such as ids. It is freed when the
     * tape is closed.
     *
     * @param tensor owned by the tape from now on
     * @return the same tensor
     */
    public Tensor hold(Tensor tensor) {
        checkOpen();
        held.add(tensor);
        return tensor;
    }

    /**
     * Runs {@code body} in a named scope. Tensors created in the scope are freed at its end, except its result and the
     * tensors that recorded functions saved for backward.
     *
     * @param name of the scope, a part of the paths of its nodes
     * @param body computes the result
     * @return the result of the body
     */
    public Variable scope(String name, Supplier<Variable> body) {
        checkOpen();
        scopes.push(new ArrayList<>());
        path.addLast(name);
        Variable result = null;
        try {
            result = body.get();
            return result;
        } finally {
            path.removeLast();
            List<Variable> made = scopes.pop();
            if (result != null && made.contains(result)) {
                result.hold();
                scopes.peek().add(result);
            }
            made.forEach(Variable::drop);
        }
    }

    /**
     * Runs {@code body} without recording, so that no gradient flows through its result.
     *
     * @param body computes the result
     * @return the result of the body
     */
    public Variable noGradient(Supplier<Variable> body) {
        boolean before = recording;
        recording = false;
        try {
            return body.get();
        } finally {
            recording = before;
        }
    }

    /**
     * Applies a function with a single output.
     *
     * @param function not applied before
     * @param inputs of the function
     * @return its output
     * @throws AutogradException when the forward pass fails
     */
    public Variable apply(Function function, Variable... inputs) {
        return applyMany(function, inputs).get(0);
    }

    /**
     * Applies a function and returns all its outputs.
     *
     * @param function not applied before
     * @param inputs of the function
     * @return its outputs
     * @throws AutogradException when the forward pass fails; names the node. The tensors that it allocated are freed.
     */
    public List<Variable> applyMany(Function function, Variable... inputs) {
        checkOpen();
        String name = qualified(function.name());
        List<Variable> in = List.of(inputs);
        boolean record = recording && in.stream().anyMatch(Variable::requiresGradient);
        Function.Forward frame = new Function.Forward(ops, in, record);
        Tensor[] values;
        try {
            values = function.forward(frame);
        } catch (RuntimeException failure) {
            frame.allocated.forEach(Tensor::close);
            throw new AutogradException(name, "forward", failure);
        }
        List<Variable> outputs = new ArrayList<>(values.length);
        for (Tensor value : values) {
            Variable output = new Variable(name, value, true, record);
            output.hold();
            scopes.peek().add(output);
            outputs.add(output);
            frame.allocated.removeIf(tensor -> tensor == value);
        }
        if (record) {
            frame.allocated.removeIf(tensor -> frame.kept.stream().anyMatch(kept -> kept == tensor));
            Function.Node node =
                    new Function.Node(function, name, in, outputs, frame.savedInputs, frame.savedOutputs, frame.kept);
            node.hold();
            nodes.add(node);
        }
        frame.allocated.forEach(Tensor::close);
        outputs.forEach(output -> observer.accept(name, output.value()));
        return outputs;
    }

    /**
     * Accumulates the gradient of sum(output * seed) into the parameters; see {@link #backward(List, List)}.
     *
     * @param output of a recorded function, or a parameter
     * @param seed of the shape and type of the output; read
     */
    public void backward(Variable output, Tensor seed) {
        backward(List.of(output), List.of(seed));
    }

    /**
     * Accumulates the gradient of sum_k &lt;outputs[k], seeds[k]&gt; into the parameters that the outputs depend on.
     * Functions run backward in the reverse order of recording, which makes the order of sums deterministic. The
     * recording is cleared.
     *
     * @param outputs of recorded functions, or parameters
     * @param seeds gradients of the outputs, of their shapes and types; read
     * @throws AutogradException when a backward pass fails; names the node
     * @throws ShapeException when a seed has another shape or type than its output
     * @throws IllegalStateException when an output does not depend on a parameter that is trained
     */
    public void backward(List<Variable> outputs, List<Tensor> seeds) {
        checkOpen();
        for (int k = 0; k < outputs.size(); k++) {
            seed(outputs.get(k), seeds.get(k));
        }
        for (int k = nodes.size() - 1; k >= 0; k--) {
            Function.Node node = nodes.remove(k);
            try {
                if (node.outputs().stream().anyMatch(output -> output.gradient != null)) {
                    run(node);
                }
            } finally {
                node.outputs().forEach(Tape::freeGradient);
                node.release();
            }
        }
    }

    private void seed(Variable output, Tensor seed) {
        if (!output.shape().equals(seed.shape()) || seed.dtype() != output.dtype()) {
            throw new ShapeException(
                    "backward: expected a gradient of the shape and type of " + output + ", got " + seed);
        }
        if (!output.requiresGradient()) {
            throw new IllegalStateException(
                    output.name() + " was not recorded: it depends on no parameter that needs a gradient");
        }
        if (output instanceof Parameter parameter) {
            ops.pointwise().axpy(1, seed, parameter.gradient());
        } else if (output.gradient == null) {
            output.gradient = seed;
            output.gradientBorrowed = true;
        } else {
            Tensor sum = Tensor.allocate(ops.memory(), seed.dtype(), seed.shape());
            ops.pointwise().add(output.gradient, seed, sum);
            freeGradient(output);
            output.gradient = sum;
            output.gradientBorrowed = false;
        }
    }

    private void run(Function.Node node) {
        Function.Backward frame = new Function.Backward(ops, node);
        try {
            node.function().backward(frame);
            frame.finish();
        } catch (RuntimeException failure) {
            throw new AutogradException(node.path(), "backward", failure);
        } finally {
            frame.allocated.forEach(Tensor::close);
        }
    }

    private static void freeGradient(Variable variable) {
        if (variable.gradient != null && !variable.gradientBorrowed) {
            variable.gradient.close();
        }
        variable.gradient = null;
        variable.gradientBorrowed = false;
    }

    private String qualified(String name) {
        return path.isEmpty() ? name : String.join("/", path) + "/" + name;
    }

    private void checkOpen() {
        if (closed) {
            throw new IllegalStateException("the tape is closed");
        }
    }

    /** Frees all remaining tensors; idempotent. */
    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        for (Function.Node node : nodes) {
            node.outputs().forEach(Tape::freeGradient);
            node.release();
        }
        nodes.clear();
        scopes.forEach(made -> made.forEach(Variable::drop));
        scopes.clear();
        held.forEach(Tensor::close);
    }

    /** Thrown when the forward or backward pass of a function fails. The message names the node and the pass. */
    public static final class AutogradException extends RuntimeException {
        /** Path of the node that failed. */
        private final String node;

        /**
         * Creates an exception.
         *
         * @param node path of the node
         * @param pass "forward" or "backward"
         * @param cause the failure of the function
         */
        public AutogradException(String node, String pass, Throwable cause) {
            super(pass + " of " + node + ": " + cause.getMessage(), cause);
            this.node = node;
        }

        /**
         * Returns the path of the node that failed, e.g. {@code image/block2/layer_norm}.
         *
         * @return the path
         */
        public String node() {
            return node;
        }
    }
}
