package org.contrastive4j.nn;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.contrastive4j.autograd.Functions;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.Tape;
import org.contrastive4j.autograd.Variable;
import org.contrastive4j.nn.DualEncoder.Randomness;
import org.contrastive4j.nn.TransformerConfig.Pooling;
import org.contrastive4j.nn.TransformerConfig.Projection;
import org.contrastive4j.ops.SequenceOps;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.jspecify.annotations.Nullable;

/**
 * Encodes pictures [b, size, size, 3] into representations [b, d]: patches, linear embedding, positions, transformer,
 * pooling, projection. Representations are not normalised.
 *
 * <p>Source: Dosovitskiy et al., An image is worth 16x16 words, ICLR 2021; patches may overlap.
 *
 * <p>Tested by {@code DualEncoderTest}.
 */
public final class VisionTransformer implements Module {
    private static final int CHANNELS = 3;

    /**
     * The sizes of the encoder.
     *
     * @param imageSize height and width of a picture
     * @param kernel height and width of a patch
     * @param stride distance of patches; a kernel larger than the stride makes patches overlap
     * @param padding zeros around the picture
     * @param transformer blocks
     * @param pooling any but LAST
     * @param embedding d, width of a representation
     * @param variant differences from the standard encoder; null stands for {@link Variant#STANDARD}
     */
    public record Config(
            int imageSize,
            int kernel,
            int stride,
            int padding,
            TransformerConfig transformer,
            Pooling pooling,
            int embedding,
            @Nullable Variant variant) {
        /**
         * Checks the sizes.
         *
         * @param imageSize height and width of a picture
         * @param kernel height and width of a patch
         * @param stride distance of patches
         * @param padding zeros around the picture
         * @param transformer blocks
         * @param pooling any but LAST
         * @param embedding d, width of a representation
         * @param variant differences from the standard encoder; null stands for {@link Variant#STANDARD}
         * @throws IllegalArgumentException when a size is not positive, no patch fits, or the pooling is LAST
         */
        public Config {
            variant = variant == null ? Variant.STANDARD : variant;
            if (imageSize < 1
                    || kernel < 1
                    || stride < 1
                    || padding < 0
                    || imageSize + 2 * padding < kernel
                    || embedding < 1) {
                throw new IllegalArgumentException("pictures of " + imageSize + " with patches of " + kernel
                        + ", stride " + stride + ", padding " + padding + ", embedding " + embedding
                        + ": expected positive sizes and at least one patch");
            }
            if (pooling == Pooling.LAST) {
                throw new IllegalArgumentException(
                        "a picture has no last token: pooling is MEAN, CLASS, FLATTEN or ATTENTION");
            }
        }

        /**
         * Creates the sizes of the standard variant.
         *
         * @param imageSize height and width of a picture
         * @param kernel height and width of a patch
         * @param stride distance of patches
         * @param padding zeros around the picture
         * @param transformer blocks
         * @param pooling any but LAST
         * @param embedding d, width of a representation
         */
        public Config(
                int imageSize,
                int kernel,
                int stride,
                int padding,
                TransformerConfig transformer,
                Pooling pooling,
                int embedding) {
            this(imageSize, kernel, stride, padding, transformer, pooling, embedding, Variant.STANDARD);
        }

        int patches() {
            int side = SequenceOps.patches(imageSize, kernel, stride, padding);
            return side * side;
        }
    }

    /**
     * Where published vision transformers differ.
     *
     * @param patchBias whether the linear embedding of patches has a bias
     * @param preNorm whether tokens pass a layer norm before the first block
     * @param projection of the pooled token; with NONE the embedding is as wide as a token
     */
    public record Variant(boolean patchBias, boolean preNorm, Projection projection) {
        /** Dosovitskiy et al. with a projection. */
        public static final Variant STANDARD = new Variant(true, false, Projection.BIASED);
        /** CLIP. */
        public static final Variant CLIP = new Variant(false, true, Projection.PLAIN);
        /** SigLIP. */
        public static final Variant SIGLIP = new Variant(true, false, Projection.NONE);
    }

    private final Config config;
    private final Dense embed;
    private final @Nullable Parameter classToken;
    private final Parameter positions;
    private final @Nullable Norm preNorm;
    private final Transformer transformer;
    private final @Nullable AttentionPooling attention;
    private final @Nullable Dense project;

    /**
     * Creates the encoder.
     *
     * @param init creates the parameters
     * @param name prefix of their names
     * @param firstRandomLayer number of its first random layer
     * @param config sizes
     */
    public VisionTransformer(Initializer init, String name, int firstRandomLayer, Config config) {
        this.config = config;
        int width = config.transformer().width();
        int patch = config.kernel() * config.kernel() * CHANNELS;
        Variant variant = Objects.requireNonNull(config.variant(), "Config stores the standard variant for null");
        boolean withClass = config.pooling() == Pooling.CLASS;
        embed = new Dense(init, name + ".embed", patch, width, 1 / Math.sqrt(patch), variant.patchBias());
        classToken = withClass ? init.normal(name + ".class_token", 0.02, width) : null;
        positions = init.normal(name + ".positions", 0.02, config.patches() + (withClass ? 1 : 0), width);
        double epsilon = config.transformer().epsilon();
        preNorm = variant.preNorm() ? new Norm(init, name + ".pre_norm", width, epsilon) : null;
        transformer = new Transformer(init, name, firstRandomLayer, config.transformer(), false);
        attention = config.pooling() == Pooling.ATTENTION
                ? new AttentionPooling(init, name + ".head", config.transformer())
                : null;
        int pooled = config.pooling() == Pooling.FLATTEN ? config.patches() * width : width;
        Projection projection = variant.projection();
        if (projection == Projection.NONE && pooled != config.embedding()) {
            throw new IllegalArgumentException("without a projection the embedding is " + pooled
                    + " wide, as the pooled token is; got " + config.embedding());
        }
        project = projection == Projection.NONE
                ? null
                : new Dense(
                        init,
                        name + ".project",
                        pooled,
                        config.embedding(),
                        1 / Math.sqrt(pooled),
                        projection == Projection.BIASED);
    }

    /**
     * Encodes a batch of pictures.
     *
     * @param tape records the operations
     * @param pictures [b, size, size, 3] of the type of activations or of parameters
     * @param randomness null for evaluation
     * @return representations [b, d] of the type of parameters
     */
    public Variable forward(Tape tape, Variable pictures, @Nullable Randomness randomness) {
        int size = config.imageSize();
        if (!pictures.shape().equals(Shape.of(pictures.shape().dim(0), size, size, CHANNELS))) {
            throw new ShapeException(
                    "pictures are " + pictures.shape() + ", expected [b, " + size + ", " + size + ", 3]");
        }
        Variable embedded = tape.scope("embed", () -> {
            Variable patches = Functions.patchify(tape, pictures, config.kernel(), config.stride(), config.padding());
            Variable tokens = embed.forward(tape, patches, randomness);
            Variable sequence = classToken == null ? tokens : Functions.prependToken(tape, tokens, classToken);
            Variable placed = Functions.addPositions(tape, sequence, positions);
            return preNorm == null ? placed : preNorm.forward(tape, placed);
        });
        Variable tokens = transformer.forward(tape, embedded, null, randomness);
        Variable pooled =
                switch (config.pooling()) {
                    case MEAN, LAST -> Functions.meanPool(tape, tokens, null);
                    case CLASS -> Functions.selectToken(tape, tokens, null);
                    case FLATTEN -> Functions.flatten(tape, tokens);
                    case ATTENTION ->
                        Objects.requireNonNull(attention, "attention pooling has its layer")
                                .forward(tape, tokens, randomness);
                };
        return project == null ? pooled : project.representations(tape, pooled, randomness);
    }

    List<AdaptablePart> adaptable() {
        List<AdaptablePart> all = new ArrayList<>(transformer.adaptable());
        if (attention != null) {
            all.addAll(attention.adaptable());
        }
        return all;
    }

    @Override
    public void close() {
        if (attention != null) {
            attention.close();
        }
        Module.super.close();
    }

    @Override
    public List<Parameter> parameters() {
        List<Parameter> all = new ArrayList<>(embed.parameters());
        if (classToken != null) {
            all.add(classToken);
        }
        all.add(positions);
        if (preNorm != null) {
            all.addAll(preNorm.parameters());
        }
        all.addAll(transformer.parameters());
        if (attention != null) {
            all.addAll(attention.parameters());
        }
        if (project != null) {
            all.addAll(project.parameters());
        }
        return all;
    }
}
