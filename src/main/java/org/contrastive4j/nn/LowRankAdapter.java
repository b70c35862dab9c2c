package org.contrastive4j.nn;

import java.util.List;
import org.contrastive4j.autograd.Functions;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.nn.DualEncoder.LowRankConfig;
import org.contrastive4j.nn.DualEncoder.Randomness;
import org.jspecify.annotations.Nullable;

/** The matrices A and B that adapt a range of the output columns of one {@link Dense}. */
final class LowRankAdapter {
    private final Parameter a;
    private final Parameter b;
    private final Functions.AdapterRange range;
    private final LowRankConfig config;
    private final int layer;

    /**
     * Allocates the matrices.
     *
     * @param name of the adapted part, e.g. {@code text.block0.attention.q}
     * @param in width of the input
     * @param layer number of the random layer that dropout uses
     */
    LowRankAdapter(
            Initializer init, String name, int in, int firstColumn, int columns, LowRankConfig config, int layer) {
        if (config.rank() > Math.min(in, columns)) {
            throw new IllegalArgumentException("LoRA rank " + config.rank() + " exceeds the width of " + name + ", "
                    + in + " to " + columns + "; choose a rank of at most " + Math.min(in, columns));
        }
        this.config = config;
        this.layer = layer;
        range = new Functions.AdapterRange(firstColumn, columns, config.rank());
        a = init.normal(name + ".lora_A", 1 / Math.sqrt(3.0 * in), config.rank(), in);
        b = init.zeros(name + ".lora_B", columns, config.rank());
    }

    Functions.AdapterRange range() {
        return range;
    }

    double scale() {
        return config.scale();
    }

    /** Null where nothing is dropped. */
    Functions.@Nullable AdapterDropout dropout(@Nullable Randomness randomness) {
        return config.dropout() == 0 || randomness == null
                ? null
                : new Functions.AdapterDropout(config.dropout(), randomness.sampleIds(), randomness.key(layer));
    }

    Parameter a() {
        return a;
    }

    Parameter b() {
        return b;
    }

    List<Parameter> parameters() {
        return List.of(a, b);
    }
}
