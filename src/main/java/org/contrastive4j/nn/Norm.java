package org.contrastive4j.nn;

import java.util.List;
import org.contrastive4j.autograd.Functions;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.Tape;
import org.contrastive4j.autograd.Variable;

/** A layer norm with gain and shift. */
final class Norm implements Module {
    private final Parameter gamma;
    private final Parameter beta;
    private final double epsilon;

    Norm(Initializer init, String name, int width, double epsilon) {
        this.epsilon = epsilon;
        gamma = init.constant(name + ".gamma", 1, width);
        beta = init.constant(name + ".beta", 0, width);
    }

    Variable forward(Tape tape, Variable x) {
        return Functions.layerNorm(tape, x, gamma, beta, epsilon);
    }

    @Override
    public List<Parameter> parameters() {
        return List.of(gamma, beta);
    }
}
