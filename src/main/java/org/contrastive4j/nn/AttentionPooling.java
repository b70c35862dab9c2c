package org.contrastive4j.nn;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.contrastive4j.autograd.Functions;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.Tape;
import org.contrastive4j.autograd.Variable;
import org.contrastive4j.nn.DualEncoder.Randomness;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Tokens [b, t, w] to [b, w]: p = attention of one learnt query over the tokens, then p + mlp(norm(p)).
 *
 * <p>The query is appended as a last token that no query may attend to, so the operations of self-attention compute it
 * on every backend. Cost: that of one more block, of which one row of attention is used.
 *
 * <p>Source: the MAP head of Zhai et al., Scaling vision transformers, CVPR 2022.
 */
final class AttentionPooling implements Module {
    private final Ops ops;
    private final int heads;
    private final PointwiseOps.Gelu gelu;
    private final Parameter probe;
    private final Dense qkv;
    private final Dense out;
    private final Norm norm;
    private final Dense up;
    private final Dense down;
    private final Map<Shape, Tensor> lengths = new HashMap<>(); // of (samples, length); constants of captured steps

    AttentionPooling(Initializer init, String name, TransformerConfig config) {
        ops = init.ops();
        heads = config.heads();
        gelu = config.gelu();
        int width = config.width();
        double in = 1 / Math.sqrt(width);
        probe = init.normal(name + ".probe", 0.02, 1, width);
        qkv = new Dense(init, name + ".attention.qkv", width, 3 * width, in);
        out = new Dense(init, name + ".attention.out", width, width, in);
        norm = new Norm(init, name + ".norm", width, config.epsilon());
        up = new Dense(init, name + ".mlp.up", width, config.mlpWidth(), in);
        down = new Dense(init, name + ".mlp.down", config.mlpWidth(), width, 1 / Math.sqrt(config.mlpWidth()));
    }

    Variable forward(Tape tape, Variable tokens, @Nullable Randomness randomness) {
        int samples = tokens.shape().dim(0);
        int count = tokens.shape().dim(1);
        return tape.scope("head", () -> {
            Tensor keys = lengths(samples, count);
            Tensor all = lengths(samples, count + 1);
            Variable pooled = tape.scope("attention", () -> {
                Variable sequence = Functions.appendToken(tape, tokens, probe, all);
                Variable attended =
                        Functions.attention(tape, qkv.forward(tape, sequence, randomness), heads, false, keys);
                return out.forward(tape, Functions.selectToken(tape, attended, all), randomness);
            });
            Variable hidden = up.gelu(tape, gelu, norm.forward(tape, pooled), randomness);
            return Functions.add(tape, pooled, down.forward(tape, hidden, randomness));
        });
    }

    private Tensor lengths(int samples, int length) {
        return lengths.computeIfAbsent(Shape.of(samples, length), key -> {
            int[] values = new int[samples];
            Arrays.fill(values, length);
            return ops.ints(Shape.of(samples), values);
        });
    }

    /** The perceptron; PyTorch's attention module does not call its projections, so adapters cannot target them. */
    List<AdaptablePart> adaptable() {
        return List.of(AdaptablePart.whole(up, 1), AdaptablePart.whole(down, 2));
    }

    @Override
    public List<Parameter> parameters() {
        List<Parameter> all = new ArrayList<>(List.of(probe));
        List.of(qkv, out, norm, up, down).forEach(module -> all.addAll(module.parameters()));
        return all;
    }

    @Override
    public void close() {
        lengths.values().forEach(Tensor::close);
        lengths.clear();
        Module.super.close();
    }
}
