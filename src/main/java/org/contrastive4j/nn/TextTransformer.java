package org.contrastive4j.nn;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.autograd.AddPositions;
import org.contrastive4j.autograd.Embedding;
import org.contrastive4j.autograd.MeanPool;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.SelectToken;
import org.contrastive4j.autograd.Tape;
import org.contrastive4j.autograd.Variable;
import org.contrastive4j.tensor.Tensor;

/**
 * Token ids [b, t] with lengths [b] to raw representations [b, d]: embedding, positions, transformer,
 * pooling, projection.
 */
public final class TextTransformer implements Module {
    /**
     * Sizes of the encoder.
     *
     * @param vocabulary number of token ids
     * @param maxTokens longest sequence
     * @param causal whether a token sees only those before it
     * @param embedding d, width of a representation
     */
    public record Config(
            int vocabulary,
            int maxTokens,
            TransformerConfig transformer,
            boolean causal,
            Pooling pooling,
            int embedding) {
        public Config {
            if (vocabulary < 1 || maxTokens < 1 || embedding < 1) {
                throw new IllegalArgumentException("text of " + vocabulary + " token ids, at most " + maxTokens
                        + " tokens, embedding " + embedding + ": wanted positive sizes");
            }
            if (pooling == Pooling.FLATTEN) {
                throw new IllegalArgumentException("captions differ in length: pooling is MEAN, CLASS or LAST");
            }
        }

        /** The same with another vocabulary: the tokenizer decides its size. */
        public Config withVocabulary(int size) {
            return new Config(size, maxTokens, transformer, causal, pooling, embedding);
        }
    }

    private final Config config;
    private final Parameter table;
    private final Parameter positions;
    private final Transformer transformer;
    private final Dense project;

    public TextTransformer(Initializer init, String name, int firstRandomLayer, Config config) {
        this.config = config;
        int width = config.transformer().width();
        table = init.normal(name + ".embed", 1 / Math.sqrt(width), config.vocabulary(), width);
        positions = init.normal(name + ".positions", 0.02, config.maxTokens(), width);
        transformer = new Transformer(init, name, firstRandomLayer, config.transformer(), config.causal());
        project = new Dense(init, name + ".project", width, config.embedding(), 1 / Math.sqrt(width));
    }

    /**
     * @param ids [b, t] I32, t at most maxTokens; open until backward is done
     * @param lengths [b] I32, valid tokens, at least 1; open until backward is done
     * @param randomness null for evaluation
     */
    public Variable forward(Tape tape, Tensor ids, Tensor lengths, Randomness randomness) {
        Variable embedded = tape.scope(
                "embed", () -> tape.apply(new AddPositions(), tape.apply(new Embedding(ids), table), positions));
        Variable tokens = transformer.forward(tape, embedded, lengths, randomness);
        Variable pooled =
                switch (config.pooling()) {
                    case MEAN, FLATTEN -> tape.apply(new MeanPool(lengths), tokens);
                    case CLASS -> tape.apply(new SelectToken(null), tokens);
                    case LAST -> tape.apply(new SelectToken(lengths), tokens);
                };
        return project.representations(tape, pooled);
    }

    @Override
    public List<Parameter> parameters() {
        List<Parameter> all = new ArrayList<>(List.of(table, positions));
        all.addAll(transformer.parameters());
        all.addAll(project.parameters());
        return all;
    }
}
