package org.contrastive4j.autograd;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.function.Supplier;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.tensor.Tensor;

/**
 * Applies functions, remembers them, and runs them backward once.
 *
 * <p>Scopes give nodes their names and tensors their lifetime: when {@link #scope} returns, everything made in it is
 * freed except its result and what a recorded function saved. A tape belongs to one thread; {@link #close} frees
 * whatever is left, also after a failure.
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

    /** A tape that records, for a forward pass followed by {@link #backward}. */
    public static Tape recording(Ops ops) {
        return new Tape(ops, true);
    }

    /** A tape that records nothing: values only, in the memory of the widest scope. */
    public static Tape inference(Ops ops) {
        return new Tape(ops, false);
    }

    public Ops ops() {
        return ops;
    }

    public boolean isRecording() {
        return recording;
    }

    /** Is called with the path and the value of every output from now on; it must not keep the tensor. */
    public void observe(BiConsumer<String, Tensor> newObserver) {
        observer = newObserver;
    }

    /** A variable over a tensor that stays the caller's and gets no gradient. */
    public Variable constant(String name, Tensor value) {
        checkOpen();
        value.checkOpen();
        return new Variable(name, value, false, false);
    }

    /**
     * A variable over a tensor that belongs to the tape from now on, freed with the current scope; gets no gradient.
     */
    public Variable adopt(String name, Tensor value) {
        checkOpen();
        Variable variable = new Variable(qualified(name), value, true, false);
        variable.hold();
        scopes.peek().add(variable);
        return variable;
    }

    /** A tensor that functions read besides their inputs, such as ids, freed when the tape is closed. */
    public Tensor hold(Tensor tensor) {
        checkOpen();
        held.add(tensor);
        return tensor;
    }

    /**
     * Runs {@code body} under a name; what it makes is freed at the end, except its result and what was
     * saved for backward.
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

    /** Runs {@code body} without recording: its result gets no gradient. */
    public Variable noGradient(Supplier<Variable> body) {
        boolean before = recording;
        recording = false;
        try {
            return body.get();
        } finally {
            recording = before;
        }
    }

    /** The single output of a function. */
    public Variable apply(Function function, Variable... inputs) {
        return applyMany(function, inputs).get(0);
    }

    /**
     * All outputs of a function.
     *
     * @throws AutogradException naming the node when its forward pass fails; what it had allocated is freed
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

    /** Accumulates d sum(output * seed) into every parameter; see {@link #backward(List, List)}. */
    public void backward(Variable output, Tensor seed) {
        backward(List.of(output), List.of(seed));
    }

    /**
     * Accumulates the gradient of sum_k &lt;outputs[k], seeds[k]&gt; into the parameters that led to the outputs, in
     * the fixed order of the reversed recording, and forgets everything recorded.
     *
     * @param seeds of the shapes and types of the outputs; read, not kept
     * @throws AutogradException naming the node when a backward pass fails
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
            throw new ShapeException("backward: gradient " + seed + " given for " + output);
        }
        if (!output.requiresGradient()) {
            throw new IllegalStateException(output.name() + " was not recorded: nothing in it needs a gradient");
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
            throw new IllegalStateException("tape was used after close");
        }
    }

    /** Frees everything that is still held; idempotent. */
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
}
