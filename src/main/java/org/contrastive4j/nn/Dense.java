package org.contrastive4j.nn;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.autograd.Functions;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.Tape;
import org.contrastive4j.autograd.Variable;
import org.contrastive4j.nn.DualEncoder.Randomness;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Computes y = x w + b with w [in, out] and an optional bias. Low-rank adapters may be added to it.
 *
 * <p>Tested by {@code DualEncoderTest}.
 */
final class Dense implements Module {
    private final String name;
    private final Parameter weight;
    private final @Nullable Parameter bias;
    private final List<LowRankAdapter> adapters = new ArrayList<>();

    Dense(Initializer init, String name, int in, int out, double deviation) {
        this(init, name, in, out, deviation, true);
    }

    Dense(Initializer init, String name, int in, int out, double deviation, boolean biased) {
        this.name = name;
        weight = init.matrix(name + ".weight", deviation, in, out);
        bias = biased ? init.constant(name + ".bias", 0, out) : null;
    }

    String name() {
        return name;
    }

    int in() {
        return weight.shape().dim(0);
    }

    int out() {
        return weight.shape().dim(1);
    }

    Parameter weight() {
        return weight;
    }

    void add(LowRankAdapter adapter) {
        adapters.add(adapter);
    }

    List<LowRankAdapter> adapters() {
        return adapters;
    }

    Variable forward(Tape tape, Variable x, @Nullable Randomness randomness) {
        return forward(tape, x, randomness, false);
    }

    /** y = gelu(x w + b). */
    Variable gelu(Tape tape, PointwiseOps.Gelu kind, Variable x, @Nullable Randomness randomness) {
        return isPlain() && bias != null
                ? Functions.linearGelu(tape, x, weight, bias, kind)
                : Functions.gelu(tape, forward(tape, x, randomness), kind);
    }

    /** y = x w + b as representations, of the type of parameters. */
    Variable representations(Tape tape, Variable x, @Nullable Randomness randomness) {
        return forward(tape, x, randomness, true);
    }

    private Variable forward(Tape tape, Variable x, @Nullable Randomness randomness, boolean representations) {
        if (isPlain()) {
            return representations
                    ? Functions.linearRepresentations(tape, x, weight, bias)
                    : Functions.linear(tape, x, weight, bias);
        }
        List<Variable> factors = new ArrayList<>();
        List<Functions.AdapterRange> ranges = new ArrayList<>();
        double scale = 1;
        Functions.@Nullable AdapterDropout dropout = null;
        for (LowRankAdapter adapter : adapters) {
            ranges.add(adapter.range());
            factors.addAll(adapter.parameters());
            scale = adapter.scale();
            dropout = adapter.dropout(randomness);
        }
        return Functions.adaptedLinear(tape, x, weight, bias, factors, ranges, scale, dropout, representations);
    }

    /** Adds scale A^T B^T of every adapter to the weight and closes them. */
    void merge(Ops ops) {
        for (LowRankAdapter adapter : adapters) {
            Functions.AdapterRange range = adapter.range();
            try (Tensor ups = ops.zeroParameter(Shape.of(out(), range.rank()));
                    Tensor sum = ops.allocateParameter(weight.shape())) {
                ops.pointwise()
                        .copy(
                                adapter.b().value(),
                                ups.rows(range.firstColumn(), range.firstColumn() + range.columns()));
                ops.pointwise().cast(weight.value(), sum);
                ops.matrix().gemm(true, true, adapter.scale(), adapter.a().value(), ups, 1, sum);
                ops.pointwise().cast(sum, weight.value());
            }
            adapter.parameters().forEach(Parameter::close);
        }
        adapters.clear();
    }

    /** Whether there are no adapters and the weight is not kept in 16 bits. */
    private boolean isPlain() {
        DType dtype = weight.dtype();
        return adapters.isEmpty() && dtype != DType.F16 && dtype != DType.BF16;
    }

    @Override
    public List<Parameter> parameters() {
        List<Parameter> all = new ArrayList<>(List.of(weight));
        if (bias != null) {
            all.add(bias);
        }
        adapters.forEach(adapter -> all.addAll(adapter.parameters()));
        return all;
    }
}
