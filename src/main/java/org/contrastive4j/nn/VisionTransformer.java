package org.contrastive4j.nn;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.autograd.AddPositions;
import org.contrastive4j.autograd.Flatten;
import org.contrastive4j.autograd.Function;
import org.contrastive4j.autograd.MeanPool;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.Patchify;
import org.contrastive4j.autograd.PrependToken;
import org.contrastive4j.autograd.SelectToken;
import org.contrastive4j.autograd.Tape;
import org.contrastive4j.autograd.Variable;
import org.contrastive4j.ops.SequenceOps;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.tensor.Shape;

/**
 * Pictures [b, size, size, 3] to raw representations [b, d]: patches, linear embedding, positions, transformer,
 * pooling, projection.
 *
 * <p>Source: Dosovitskiy et al., An image is worth 16x16 words, ICLR 2021; patches may overlap.
 */
public final class VisionTransformer implements Module {
    private static final int CHANNELS = 3;

    /**
     * Sizes of the encoder.
     *
     * @param imageSize height and width of a picture
     * @param kernel height and width of a patch
     * @param stride from patch to patch; kernel larger than stride makes patches overlap
     * @param padding of zeros around the picture
     * @param pooling MEAN, CLASS or FLATTEN
     * @param embedding d, width of a representation
     */
    public record Config(
            int imageSize,
            int kernel,
            int stride,
            int padding,
            TransformerConfig transformer,
            Pooling pooling,
            int embedding) {
        public Config {
            if (imageSize < 1
                    || kernel < 1
                    || stride < 1
                    || padding < 0
                    || imageSize + 2 * padding < kernel
                    || embedding < 1) {
                throw new IllegalArgumentException("pictures of " + imageSize + " with patches of " + kernel
                        + ", stride " + stride + ", padding " + padding + ", embedding " + embedding
                        + ": wanted positive sizes and at least one patch");
            }
            if (pooling == Pooling.LAST) {
                throw new IllegalArgumentException("a picture has no last token: pooling is MEAN, CLASS or FLATTEN");
            }
        }

        int patches() {
            int side = SequenceOps.patches(imageSize, kernel, stride, padding);
            return side * side;
        }
    }

    private final Config config;
    private final Dense embed;
    private final Parameter classToken;
    private final Parameter positions;
    private final Transformer transformer;
    private final Dense project;

    public VisionTransformer(Initializer init, String name, int firstRandomLayer, Config config) {
        this.config = config;
        int width = config.transformer().width();
        int patch = config.kernel() * config.kernel() * CHANNELS;
        boolean withClass = config.pooling() == Pooling.CLASS;
        embed = new Dense(init, name + ".embed", patch, width, 1 / Math.sqrt(patch));
        classToken = withClass ? init.normal(name + ".class_token", 0.02, width) : null;
        positions = init.normal(name + ".positions", 0.02, config.patches() + (withClass ? 1 : 0), width);
        transformer = new Transformer(init, name, firstRandomLayer, config.transformer(), false);
        int pooled = config.pooling() == Pooling.FLATTEN ? config.patches() * width : width;
        project = new Dense(init, name + ".project", pooled, config.embedding(), 1 / Math.sqrt(pooled));
    }

    /**
     * @param pictures [b, size, size, 3] of the type of activations or of parameters
     * @param randomness null for evaluation
     */
    public Variable forward(Tape tape, Variable pictures, Randomness randomness) {
        int size = config.imageSize();
        if (!pictures.shape().equals(Shape.of(pictures.shape().dim(0), size, size, CHANNELS))) {
            throw new ShapeException(
                    "pictures are " + pictures.shape() + ", wanted [b, " + size + ", " + size + ", 3]");
        }
        Variable embedded = tape.scope("embed", () -> {
            Variable patches = tape.apply(new Patchify(config.kernel(), config.stride(), config.padding()), pictures);
            Variable tokens = embed.forward(tape, patches);
            Variable sequence = classToken == null ? tokens : tape.apply(new PrependToken(), tokens, classToken);
            return tape.apply(new AddPositions(), sequence, positions);
        });
        Variable tokens = transformer.forward(tape, embedded, null, randomness);
        Function pooling =
                switch (config.pooling()) {
                    case MEAN, LAST -> new MeanPool(null);
                    case CLASS -> new SelectToken(null);
                    case FLATTEN -> new Flatten();
                };
        return project.representations(tape, tape.apply(pooling, tokens));
    }

    @Override
    public List<Parameter> parameters() {
        List<Parameter> all = new ArrayList<>(embed.parameters());
        if (classToken != null) {
            all.add(classToken);
        }
        all.add(positions);
        all.addAll(transformer.parameters());
        all.addAll(project.parameters());
        return all;
    }
}
