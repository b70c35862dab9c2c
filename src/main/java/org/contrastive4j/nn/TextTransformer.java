package org.contrastive4j.nn;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.autograd.Functions;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.Tape;
import org.contrastive4j.autograd.Variable;
import org.contrastive4j.nn.DualEncoder.Randomness;
import org.contrastive4j.nn.TransformerConfig.Pooling;
import org.contrastive4j.nn.TransformerConfig.Projection;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Encodes token ids [b, t] with lengths [b] into representations [b, d]: embedding, positions, transformer, pooling,
 * projection. Representations are not normalised.
 *
 * <p>Tested by {@code DualEncoderTest}.
 */
public final class TextTransformer implements Module {
    /**
     * The sizes of the encoder.
     *
     * @param vocabulary number of token ids
     * @param maxTokens longest sequence
     * @param transformer blocks
     * @param causal whether a token attends only to earlier ones
     * @param pooling MEAN, CLASS or LAST
     * @param embedding d, width of a representation
     * @param projection of the pooled token; null stands for BIASED
     */
    public record Config(
            int vocabulary,
            int maxTokens,
            TransformerConfig transformer,
            boolean causal,
            Pooling pooling,
            int embedding,
            @Nullable Projection projection) {
        /**
         * Checks the sizes.
         *
         * @param vocabulary number of token ids
         * @param maxTokens longest sequence
         * @param transformer blocks
         * @param causal whether a token attends only to earlier ones
         * @param pooling MEAN, CLASS or LAST
         * @param embedding d, width of a representation
         * @param projection of the pooled token; null stands for BIASED
         * @throws IllegalArgumentException when a size is not positive, or pooling or projection do not fit
         */
        public Config {
            projection = projection == null ? Projection.BIASED : projection;
            if (vocabulary < 1 || maxTokens < 1 || embedding < 1) {
                throw new IllegalArgumentException("text of " + vocabulary + " token ids, at most " + maxTokens
                        + " tokens, embedding " + embedding + ": expected positive sizes");
            }
            if (projection == Projection.NONE && embedding != transformer.width()) {
                throw new IllegalArgumentException("without a projection the embedding is " + transformer.width()
                        + " wide, as a token is; got " + embedding);
            }
            if (pooling == Pooling.FLATTEN || pooling == Pooling.ATTENTION) {
                throw new IllegalArgumentException("captions differ in length: pooling is MEAN, CLASS or LAST");
            }
        }

        /**
         * Creates the sizes of an encoder whose projection has a bias.
         *
         * @param vocabulary number of token ids
         * @param maxTokens longest sequence
         * @param transformer blocks
         * @param causal whether a token attends only to earlier ones
         * @param pooling MEAN, CLASS or LAST
         * @param embedding d, width of a representation
         */
        public Config(
                int vocabulary,
                int maxTokens,
                TransformerConfig transformer,
                boolean causal,
                Pooling pooling,
                int embedding) {
            this(vocabulary, maxTokens, transformer, causal, pooling, embedding, Projection.BIASED);
        }

        /**
         * Returns these sizes with another vocabulary: the tokenizer decides its size.
         *
         * @param size number of token ids
         * @return the new sizes
         */
        public Config withVocabulary(int size) {
            return new Config(size, maxTokens, transformer, causal, pooling, embedding, projection);
        }
    }

    private final Config config;
    private final Parameter table;
    private final Parameter positions;
    private final Transformer transformer;
    private final @Nullable Dense project;

    /**
     * Creates the encoder.
     *
     * @param init creates the parameters
     * @param name prefix of their names
     * @param firstRandomLayer number of its first random layer
     * @param config sizes
     */
    public TextTransformer(Initializer init, String name, int firstRandomLayer, Config config) {
        this.config = config;
        int width = config.transformer().width();
        table = init.normal(name + ".embed", 1 / Math.sqrt(width), config.vocabulary(), width);
        positions = init.normal(name + ".positions", 0.02, config.maxTokens(), width);
        transformer = new Transformer(init, name, firstRandomLayer, config.transformer(), config.causal());
        project = config.projection() == Projection.NONE
                ? null
                : new Dense(
                        init,
                        name + ".project",
                        width,
                        config.embedding(),
                        1 / Math.sqrt(width),
                        config.projection() == Projection.BIASED);
    }

    /**
     * Encodes token ids.
     *
     * <p>Cost of a block of width w and t tokens: 24 b t w w flops with a feed-forward layer of width 4 w, and 4 b t
     * t w of attention.
     *
     * @param tape that records the operations
     * @param ids [b, t] I32, t at most maxTokens; open until backward is done
     * @param lengths [b] I32, valid tokens, at least 1; open until backward is done
     * @param randomness null for evaluation
     * @return representations [b, d], not normalised
     */
    public Variable forward(Tape tape, Tensor ids, Tensor lengths, @Nullable Randomness randomness) {
        Variable embedded = tape.scope(
                "embed", () -> Functions.addPositions(tape, Functions.embedding(tape, table, ids), positions));
        Variable tokens = transformer.forward(tape, embedded, lengths, randomness);
        Variable pooled =
                switch (config.pooling()) {
                    case MEAN, FLATTEN, ATTENTION -> Functions.meanPool(tape, tokens, lengths);
                    case CLASS -> Functions.selectToken(tape, tokens, null);
                    case LAST -> Functions.selectToken(tape, tokens, lengths);
                };
        return project == null ? pooled : project.representations(tape, pooled, randomness);
    }

    List<AdaptablePart> adaptable() {
        return transformer.adaptable();
    }

    @Override
    public List<Parameter> parameters() {
        List<Parameter> all = new ArrayList<>(List.of(table, positions));
        all.addAll(transformer.parameters());
        if (project != null) {
            all.addAll(project.parameters());
        }
        return all;
    }
}
