package org.contrastive4j.nn;

import java.util.List;
import org.contrastive4j.autograd.Linear;
import org.contrastive4j.autograd.LinearGelu;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.Tape;
import org.contrastive4j.autograd.Variable;
import org.contrastive4j.ops.PointwiseOps;

/** y = x w + b with w [in, out]. */
final class Dense implements Module {
    private final Parameter weight;
    private final Parameter bias;

    Dense(Initializer init, String name, int in, int out, double deviation) {
        weight = init.normal(name + ".weight", deviation, in, out);
        bias = init.constant(name + ".bias", 0, out);
    }

    Variable forward(Tape tape, Variable x) {
        return tape.apply(new Linear(true), x, weight, bias);
    }

    /** y = gelu(x w + b). */
    Variable gelu(Tape tape, PointwiseOps.Gelu kind, Variable x) {
        return tape.apply(new LinearGelu(kind), x, weight, bias);
    }

    /** y = x w + b as representations, of the type of parameters. */
    Variable representations(Tape tape, Variable x) {
        return tape.apply(new Linear(true, true), x, weight, bias);
    }

    @Override
    public List<Parameter> parameters() {
        return List.of(weight, bias);
    }
}
