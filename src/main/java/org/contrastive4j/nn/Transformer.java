package org.contrastive4j.nn;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.Tape;
import org.contrastive4j.autograd.Variable;
import org.contrastive4j.nn.DualEncoder.Randomness;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** Blocks one after the other, then a norm: tokens [b, t, width] to tokens [b, t, width]. */
final class Transformer implements Module {
    private final List<TransformerBlock> blocks = new ArrayList<>();
    private final Norm norm;

    Transformer(Initializer init, String encoder, int firstRandomLayer, TransformerConfig config, boolean causal) {
        for (int k = 0; k < config.layers(); k++) {
            blocks.add(new TransformerBlock(init, encoder, k, firstRandomLayer, config, causal));
        }
        norm = new Norm(init, encoder + ".norm", config.width(), config.epsilon());
    }

    /** @param lengths [b] I32, tokens beyond are not attended to; null for all */
    Variable forward(Tape tape, Variable x, @Nullable Tensor lengths, @Nullable Randomness randomness) {
        Variable tokens = x;
        for (TransformerBlock block : blocks) {
            tokens = block.forward(tape, tokens, lengths, randomness);
        }
        return norm.forward(tape, tokens);
    }

    List<AdaptablePart> adaptable() {
        return blocks.stream().flatMap(block -> block.adaptable().stream()).toList();
    }

    @Override
    public List<Parameter> parameters() {
        List<Parameter> all = new ArrayList<>();
        blocks.forEach(block -> all.addAll(block.parameters()));
        all.addAll(norm.parameters());
        return all;
    }
}
