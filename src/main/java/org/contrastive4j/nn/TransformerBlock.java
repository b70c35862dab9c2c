package org.contrastive4j.nn;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.autograd.Functions;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.Tape;
import org.contrastive4j.autograd.Variable;
import org.contrastive4j.nn.DualEncoder.Randomness;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * x + attention(norm(x)), then x + mlp(norm(x)), with dropout on both branches.
 *
 * <p>Tested by {@code DualEncoderTest}.
 */
final class TransformerBlock implements Module {
    /** Random layers of adapters are numbered apart from those of blocks. */
    private static final int RANDOM_SHIFT = 8;

    private final String scope;
    private final int heads;
    private final boolean causal;
    private final PointwiseOps.Gelu gelu;
    private final double dropout;
    private final int layer;
    private final Norm norm1;
    private final Dense qkv;
    private final Dense out;
    private final Norm norm2;
    private final Dense up;
    private final Dense down;

    /** @param index of this block of {@code encoder}; random layers are numbered from it */
    TransformerBlock(
            Initializer init,
            String encoder,
            int index,
            int firstRandomLayer,
            TransformerConfig config,
            boolean causal) {
        scope = "block" + index;
        String name = encoder + "." + scope;
        int width = config.width();
        this.heads = config.heads();
        this.causal = causal;
        this.gelu = config.gelu();
        this.dropout = config.dropout();
        this.layer = firstRandomLayer + 2 * index;
        double in = 1 / Math.sqrt(width);
        double residual = in / Math.sqrt(2.0 * config.layers());
        norm1 = new Norm(init, name + ".norm1", width, config.epsilon());
        qkv = new Dense(init, name + ".attention.qkv", width, 3 * width, in);
        out = new Dense(init, name + ".attention.out", width, width, residual);
        norm2 = new Norm(init, name + ".norm2", width, config.epsilon());
        up = new Dense(init, name + ".mlp.up", width, config.mlpWidth(), in);
        down = new Dense(
                init,
                name + ".mlp.down",
                config.mlpWidth(),
                width,
                residual * Math.sqrt((double) width / config.mlpWidth()));
    }

    Variable forward(Tape tape, Variable x, @Nullable Tensor lengths, @Nullable Randomness randomness) {
        return tape.scope(scope, () -> {
            Variable attended = tape.scope(
                    "attention",
                    () -> dropped(
                            tape,
                            out.forward(
                                    tape,
                                    Functions.attention(
                                            tape,
                                            qkv.forward(tape, norm1.forward(tape, x), randomness),
                                            heads,
                                            causal,
                                            lengths),
                                    randomness),
                            randomness,
                            0));
            Variable middle = Functions.add(tape, x, attended);
            Variable mlp = tape.scope(
                    "mlp",
                    () -> dropped(
                            tape,
                            down.forward(
                                    tape, up.gelu(tape, gelu, norm2.forward(tape, middle), randomness), randomness),
                            randomness,
                            1));
            return Functions.add(tape, middle, mlp);
        });
    }

    /** The layers that low-rank adapters may be added to; query, key and value by their separate names. */
    List<AdaptablePart> adaptable() {
        String attention = qkv.name().substring(0, qkv.name().length() - ".qkv".length());
        int width = out.out();
        int random = layer << RANDOM_SHIFT;
        return List.of(
                new AdaptablePart(attention + ".q", qkv, 0, width, random + 2),
                new AdaptablePart(attention + ".k", qkv, width, width, random + 2),
                new AdaptablePart(attention + ".v", qkv, 2 * width, width, random + 2),
                AdaptablePart.whole(out, random + 3),
                AdaptablePart.whole(up, random + 4),
                AdaptablePart.whole(down, random + 5));
    }

    private Variable dropped(Tape tape, Variable x, @Nullable Randomness randomness, int which) {
        return dropout == 0 || randomness == null
                ? x
                : Functions.dropout(tape, x, dropout, randomness.sampleIds(), randomness.key(layer + which));
    }

    @Override
    public List<Parameter> parameters() {
        List<Parameter> all = new ArrayList<>();
        List.of(norm1, qkv, out, norm2, up, down).forEach(module -> all.addAll(module.parameters()));
        return all;
    }
}
