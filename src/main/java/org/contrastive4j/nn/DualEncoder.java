package org.contrastive4j.nn;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PointwiseOps.RandomKey;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** A picture encoder and a text encoder that embed into one space. The loss that compares their outputs is separate. */
public final class DualEncoder implements Module {
    /** Random layers of the text encoder are numbered from here. */
    private static final int TEXT_RANDOM_LAYERS = 1 << 16;

    /**
     * The configuration of both encoders, whose embeddings have equal width.
     *
     * @param image picture encoder
     * @param text text encoder
     */
    public record Config(VisionTransformer.Config image, TextTransformer.Config text) {
        /**
         * Checks that the widths are equal.
         *
         * @param image sizes of the picture encoder
         * @param text sizes of the text encoder
         */
        public Config {
            if (image.embedding() != text.embedding()) {
                throw new IllegalArgumentException(
                        "embedding widths differ: pictures " + image.embedding() + ", text " + text.embedding());
            }
        }
    }

    private final Config config;
    private final VisionTransformer image;
    private final TextTransformer text;

    /**
     * Allocates the parameters and fills them with random initial values.
     *
     * @param ops backend of the parameters
     * @param config configuration
     * @param seed of the initial values
     */
    public DualEncoder(Ops ops, Config config, long seed) {
        this(config, new Initializer(ops, seed));
    }

    private DualEncoder(Config config, Initializer init) {
        this.config = config;
        try {
            image = new VisionTransformer(init, "image", 0, config.image());
            text = new TextTransformer(init, "text", TEXT_RANDOM_LAYERS, config.text());
        } catch (RuntimeException noMemory) {
            init.discard();
            throw noMemory;
        }
    }

    /**
     * Allocates the parameters without values, for a caller that writes all of them.
     *
     * @param ops backend of the parameters
     * @param config configuration
     * @param matrices type of the matrices of dense layers: that of parameters, or F16 or BF16 for weights that stay
     *     frozen
     * @return the encoders
     */
    public static DualEncoder undefined(Ops ops, Config config, DType matrices) {
        return new DualEncoder(config, Initializer.undefined(ops, matrices));
    }

    /**
     * Returns the names of all layers that {@link #adapt} accepts, e.g. {@code text.block0.attention.q}.
     *
     * @return a new list
     */
    public List<String> adaptable() {
        return parts().map(AdaptablePart::name).toList();
    }

    /**
     * Returns the widths of the input and the output of an adaptable layer.
     *
     * @param layer name as in {@link #adaptable}
     * @return two numbers
     * @throws IllegalArgumentException when there is no layer of that name
     */
    public int[] widths(String layer) {
        return parts().filter(part -> part.name().equals(layer))
                .map(part -> new int[] {part.dense().in(), part.columns()})
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("no layer " + layer + "; choose among " + adaptable()));
    }

    private Stream<AdaptablePart> parts() {
        return Stream.concat(image.adaptable().stream(), text.adaptable().stream());
    }

    /**
     * Adds a low-rank adapter to every selected layer. The output does not change until B is trained.
     *
     * @param ops backend of the parameters
     * @param lowRank settings
     * @param selects which of the names of {@link #adaptable} are adapted
     * @param seed of the initial values of A
     * @return the new parameters, {@code name.lora_A} [rank, in] and {@code name.lora_B} [out, rank] of each layer
     * @throws IllegalArgumentException if no layer is selected, or the rank exceeds the width of a layer
     */
    public List<Parameter> adapt(Ops ops, LowRankConfig lowRank, Predicate<String> selects, long seed) {
        Initializer init = new Initializer(ops, seed);
        List<Parameter> made = new ArrayList<>();
        List<AdaptablePart> selected =
                parts().filter(part -> selects.test(part.name())).toList();
        if (selected.isEmpty()) {
            throw new IllegalArgumentException("no layer is selected for LoRA; choose among " + adaptable());
        }
        List<LowRankAdapter> adapters = new ArrayList<>();
        try {
            for (AdaptablePart part : selected) {
                adapters.add(new LowRankAdapter(
                        init,
                        part.name(),
                        part.dense().in(),
                        part.firstColumn(),
                        part.columns(),
                        lowRank,
                        part.layer()));
            }
        } catch (RuntimeException refused) {
            init.discard();
            throw refused;
        }
        for (int k = 0; k < adapters.size(); k++) {
            selected.get(k).dense().add(adapters.get(k));
            made.addAll(adapters.get(k).parameters());
        }
        return made;
    }

    /**
     * Adds scale B A to the weight of every adapted layer and removes the adapters. The output stays equal up to
     * rounding.
     *
     * @param ops backend of the parameters
     */
    public void merge(Ops ops) {
        parts().map(AdaptablePart::dense).distinct().forEach(dense -> dense.merge(ops));
    }

    /**
     * Returns the configuration.
     *
     * @return as given or read
     */
    public Config config() {
        return config;
    }

    /**
     * Returns the picture encoder.
     *
     * @return the picture encoder
     */
    public VisionTransformer image() {
        return image;
    }

    /**
     * Returns the text encoder.
     *
     * @return the text encoder
     */
    public TextTransformer text() {
        return text;
    }

    @Override
    public void close() {
        image.close();
        text.close();
    }

    @Override
    public List<Parameter> parameters() {
        List<Parameter> all = new ArrayList<>(image.parameters());
        all.addAll(text.parameters());
        return all;
    }

    /**
     * Settings of low-rank adapters: y = W x + scale B A x with A [rank, in] random and B [out, rank] zero at first.
     *
     * <p>Source: Hu et al., LoRA: low-rank adaptation of large language models, ICLR 2022.
     *
     * @param rank of A and B
     * @param alpha numerator of the scale
     * @param dropout probability on the input of A, in [0, 1)
     * @param rankStabilized whether the scale is alpha / sqrt(rank) instead of alpha / rank
     */
    public record LowRankConfig(int rank, double alpha, double dropout, boolean rankStabilized) {
        /**
         * Checks the settings.
         *
         * @param rank of A and B
         * @param alpha numerator of the scale
         * @param dropout probability
         * @param rankStabilized whether the scale is alpha / sqrt(rank)
         */
        public LowRankConfig {
            if (rank < 1) {
                throw new IllegalArgumentException("LoRA rank is " + rank + ", expected 1 or more");
            }
            if (!(alpha > 0 && Double.isFinite(alpha))) {
                throw new IllegalArgumentException("LoRA alpha is " + alpha + ", expected a positive number");
            }
            if (!(dropout >= 0 && dropout < 1)) {
                throw new IllegalArgumentException("LoRA dropout is " + dropout + ", expected 0 <= p < 1");
            }
        }

        /**
         * Returns the factor of B A x.
         *
         * @return the factor
         */
        public double scale() {
            return alpha / (rankStabilized ? Math.sqrt(rank) : rank);
        }
    }

    /**
     * The identity of the random numbers of a forward pass, for dropout. Evaluation passes null and drops nothing.
     *
     * @param seed of the run
     * @param step of the optimiser
     * @param sampleIds [samples] I32, one for each row of the chunk
     * @param clock [1] I32 holding the step, or null; see {@link RandomKey}
     */
    public record Randomness(
            long seed, int step, Tensor sampleIds, @Nullable Tensor clock) {
        /**
         * Creates an identity whose step is passed by value.
         *
         * @param seed of the run
         * @param step of the optimiser
         * @param sampleIds [samples] I32, one for each row of the chunk
         */
        public Randomness(long seed, int step, Tensor sampleIds) {
            this(seed, step, sampleIds, null);
        }

        RandomKey key(int layer) {
            return new RandomKey(seed, step, layer, clock);
        }
    }
}
