package org.contrastive4j.pretrained;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.nn.DualEncoder;

/**
 * Which parameters of a model are trained, and how fast.
 *
 * @param lockImage freezes the picture tower
 * @param lockText freezes the text tower
 * @param unlockBlocks number of blocks of a locked tower, counted from the last, that are trained all the same, with
 *     everything after them
 * @param layerDecay factor of the learning rate from each layer to the one below; 1 for one rate everywhere
 */
public record FineTuning(boolean lockImage, boolean lockText, int unlockBlocks, double layerDecay) {
    /** Trains everything at one rate. */
    public static final FineTuning WHOLE = new FineTuning(false, false, 0, 1);

    /**
     * Checks the settings.
     *
     * @param lockImage freezes the picture tower
     * @param lockText freezes the text tower
     * @param unlockBlocks last blocks of a locked tower that are trained
     * @param layerDecay factor from each layer to the one below
     */
    public FineTuning {
        if (unlockBlocks < 0) {
            throw new IllegalArgumentException("blocks to unlock are " + unlockBlocks + ", expected 0 or more");
        }
        if (!(layerDecay > 0 && layerDecay <= 1)) {
            throw new IllegalArgumentException(
                    "layer-wise decay is " + layerDecay + ", expected above 0 and at most 1");
        }
    }

    /**
     * Freezes the parameters of locked towers and unfreezes all others.
     *
     * @param encoder both towers
     */
    public void apply(DualEncoder encoder) {
        lock(
                encoder.image().parameters(),
                encoder.config().image().transformer().layers(),
                lockImage);
        lock(encoder.text().parameters(), encoder.config().text().transformer().layers(), lockText);
    }

    private void lock(List<Parameter> parameters, int layers, boolean locked) {
        for (Parameter parameter : parameters) {
            int depth = depth(parameter.name(), layers);
            parameter.freeze(locked && (unlockBlocks == 0 || depth < layers + 1 - unlockBlocks));
        }
    }

    /** 0 for embeddings, 1 + k for block k, layers + 1 for what follows the blocks. */
    static int depth(String name, int layers) {
        String part = name.split("\\.")[1];
        if (part.startsWith("block")) {
            return 1 + Integer.parseInt(part.substring("block".length()));
        }
        return List.of("norm", "project", "head").contains(part) ? layers + 1 : 0;
    }

    /**
     * Returns the trained parameters by the factor of their learning rate.
     *
     * @param encoder both towers
     * @return parameters by factor
     */
    public Map<Double, List<Parameter>> groups(DualEncoder encoder) {
        Map<Double, List<Parameter>> groups = new TreeMap<>();
        group(
                encoder.image().parameters(),
                encoder.config().image().transformer().layers(),
                groups);
        group(encoder.text().parameters(), encoder.config().text().transformer().layers(), groups);
        return groups;
    }

    private void group(List<Parameter> parameters, int layers, Map<Double, List<Parameter>> groups) {
        for (Parameter parameter : parameters) {
            if (!parameter.isFrozen()) {
                double factor = Math.pow(layerDecay, layers + 1 - depth(parameter.name(), layers));
                groups.computeIfAbsent(factor, key -> new ArrayList<>()).add(parameter);
            }
        }
    }
}
