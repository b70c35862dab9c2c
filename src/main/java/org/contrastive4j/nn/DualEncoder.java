package org.contrastive4j.nn;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.ops.Ops;

/** A picture encoder and a text encoder into one space; a loss compares them and is no part of it. */
public final class DualEncoder implements Module {
    /** Random layers of the text encoder are numbered from here. */
    private static final int TEXT_RANDOM_LAYERS = 1 << 16;

    /** Both encoders; their embeddings are equally wide. */
    public record Config(VisionTransformer.Config image, TextTransformer.Config text) {
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

    /** @param seed of the initial values */
    public DualEncoder(Ops ops, Config config, long seed) {
        this.config = config;
        Initializer init = new Initializer(ops, seed);
        try {
            image = new VisionTransformer(init, "image", 0, config.image());
            text = new TextTransformer(init, "text", TEXT_RANDOM_LAYERS, config.text());
        } catch (RuntimeException noMemory) {
            init.discard();
            throw noMemory;
        }
    }

    public Config config() {
        return config;
    }

    public VisionTransformer image() {
        return image;
    }

    public TextTransformer text() {
        return text;
    }

    @Override
    public List<Parameter> parameters() {
        List<Parameter> all = new ArrayList<>(image.parameters());
        all.addAll(text.parameters());
        return all;
    }
}
