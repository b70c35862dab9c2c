package org.contrastive4j.pretrained;

import com.fasterxml.jackson.core.type.TypeReference;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.data.BatchMaker.CaptionEncoder;
import org.contrastive4j.loss.ContrastiveLoss;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.nn.DualEncoder.LowRankConfig;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.pretrained.PretrainedModel.PretrainedException;
import org.contrastive4j.pretrained.PretrainedModel.TextTokenizer;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.train.TrainableModel;
import org.jspecify.annotations.Nullable;

/**
 * A {@link PretrainedModel} for a {@link org.contrastive4j.train.Trainer}: all of it, some layers, or low-rank adapters
 * are trained.
 *
 * <p>Memory: frozen weights have no gradients and no optimiser state, and the encoders keep no activations that only
 * frozen weights need. A model with adapters keeps its logit scale and bias, as with PEFT.
 *
 * <p>Tested by {@code LoraAdapterTest}.
 */
public final class FineTunedModel implements TrainableModel {
    private static final double LARGEST_SIGLIP_SCALE = Math.log(Float.MAX_VALUE);
    private static final String SETTINGS = "settings";
    private static final String FINGERPRINT = "fingerprint";

    /**
     * What is trained.
     *
     * @param tuning locked encoders and rates of layers
     * @param adapters rank, scale and dropout of low-rank adapters; null to train the weights themselves
     * @param targets layers with adapters, see {@link LoraAdapter#add}
     * @param baseWeights type of the matrices: F16 and BF16 are for matrices that stay frozen, below adapters
     * @param imageSize side of pictures in pixels; 0 for that of the checkpoint
     */
    public record Settings(
            FineTuning tuning,
            @Nullable LowRankConfig adapters,
            List<String> targets,
            DType baseWeights,
            int imageSize) {
        /** Trains all weights. */
        public static final Settings WHOLE = new Settings(FineTuning.WHOLE, null, List.of(), DType.F32, 0);
    }

    private final PretrainedModel model;
    private final TextTokenizer tokenizer;
    private final Settings settings;
    private final @Nullable LoraAdapter adapter;
    private final List<Parameter> trained = new ArrayList<>();
    private final Map<Parameter, Double> rateFactors = new HashMap<>();
    private @Nullable ContrastiveLoss loss;

    private FineTunedModel(
            PretrainedModel model, TextTokenizer tokenizer, Settings settings, @Nullable LoraAdapter adapter) {
        this.model = model;
        this.tokenizer = tokenizer;
        this.settings = settings;
        this.adapter = adapter;
        settings.tuning().groups(model.encoder()).forEach((factor, parameters) -> {
            trained.addAll(parameters);
            parameters.forEach(parameter -> rateFactors.put(parameter, factor));
        });
        if (trained.isEmpty()) {
            throw new PretrainedException("every parameter of both encoders is frozen: nothing is left to train");
        }
    }

    /**
     * Opens a model and freezes what is not trained.
     *
     * @param ops backend that the model runs on
     * @param from folder of a CLIP or SigLIP model
     * @param settings what is trained
     * @param seed of the initial values of adapters
     * @return the model, to be closed
     * @throws PretrainedException when the model cannot be opened, or nothing is left to train
     * @throws IllegalArgumentException when the rank of adapters exceeds the width of a layer
     */
    public static FineTunedModel open(Ops ops, Path from, Settings settings, long seed) {
        DType matrices = settings.baseWeights() == DType.F32 ? ops.parameterDtype() : settings.baseWeights();
        PretrainedModel model =
                PretrainedModel.open(ops, from, new PretrainedModel.Options(matrices, settings.imageSize()));
        TextTokenizer tokenizer = null;
        try {
            tokenizer = model.tokenizer();
            return new FineTunedModel(model, tokenizer, settings, freeze(ops, model, settings, seed));
        } catch (RuntimeException refused) {
            if (tokenizer != null) {
                tokenizer.close();
            }
            model.close();
            throw refused;
        }
    }

    private static @Nullable LoraAdapter freeze(Ops ops, PretrainedModel model, Settings settings, long seed) {
        FineTuning tuning = settings.tuning();
        if (settings.adapters() == null) {
            tuning.apply(model.encoder());
            return null;
        }
        LoraAdapter adapter = LoraAdapter.add(ops, model, settings.adapters(), settings.targets(), seed);
        adapter.parameters()
                .forEach(parameter -> parameter.freeze(
                        parameter.name().startsWith("image.") ? tuning.lockImage() : tuning.lockText()));
        return adapter;
    }

    /**
     * Returns the settings that {@link #origin} contains.
     *
     * @param origin of a model of this class
     * @return the settings
     */
    public static Settings settings(Map<String, Object> origin) {
        return Json.MAPPER.convertValue(origin.get(SETTINGS), Settings.class);
    }

    /**
     * Returns the pretrained model.
     *
     * @return owned by this model
     */
    public PretrainedModel pretrained() {
        return model;
    }

    /**
     * Returns whether low-rank adapters are trained, and all other weights are frozen.
     *
     * @return true for adapters
     */
    public boolean adapts() {
        return adapter != null;
    }

    /**
     * Writes the adapters, in PEFT's layout, to the subfolder {@code adapter}, or the whole model, in the layout of its
     * source, to the subfolder {@code model}.
     *
     * @param folder created where it does not exist
     * @return the subfolder
     * @throws PretrainedException when it cannot be written
     */
    public Path save(Path folder) {
        if (adapter != null) {
            Path target = folder.resolve("adapter");
            adapter.save(target, source());
            return target;
        }
        if (loss != null) {
            model.adoptScale(loss);
        }
        Path target = folder.resolve("model");
        model.save(target);
        return target;
    }

    private String source() {
        return model.source().toAbsolutePath().normalize().toString();
    }

    @Override
    public DualEncoder encoder() {
        return model.encoder();
    }

    @Override
    public List<Parameter> trained() {
        return List.copyOf(trained);
    }

    @Override
    public double rateFactor(Parameter parameter) {
        return Objects.requireNonNull(rateFactors.get(parameter), parameter.name());
    }

    @Override
    public CaptionEncoder captions() {
        return model.captions(tokenizer);
    }

    @Override
    public void prepare(ContrastiveLoss own) {
        model.copyScale(own);
        if (adapter != null) {
            own.parameters().forEach(parameter -> parameter.freeze(true)); // adapter files do not contain them
        } else if (model.config().family() == PretrainedConfig.Family.SIGLIP) {
            own.boundLogScale(LARGEST_SIGLIP_SCALE); // published SigLIP models have scales above 100
        }
        loss = own;
    }

    /** Returns the folder, a fingerprint of its configuration and weights, and the settings. */
    @Override
    public Map<String, Object> origin() {
        Map<String, Object> origin = new LinkedHashMap<>();
        origin.put(LOCATION, source());
        origin.put(FINGERPRINT, model.fingerprint());
        origin.put(SETTINGS, Json.MAPPER.convertValue(settings, new TypeReference<Map<String, Object>>() {}));
        return origin;
    }

    @Override
    public void close() {
        tokenizer.close();
        model.close();
    }

    /**
     * Which parameters of a model are trained, and how fast.
     *
     * @param lockImage freezes the picture tower
     * @param lockText freezes the text tower
     * @param unlockBlocks number of blocks of a locked tower, counted from the last, that are trained all the same,
     *     with everything after them
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
            lock(
                    encoder.text().parameters(),
                    encoder.config().text().transformer().layers(),
                    lockText);
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
            group(
                    encoder.text().parameters(),
                    encoder.config().text().transformer().layers(),
                    groups);
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
}
