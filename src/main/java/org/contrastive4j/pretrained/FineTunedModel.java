package org.contrastive4j.pretrained;

import com.fasterxml.jackson.core.type.TypeReference;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.data.BatchMaker.CaptionEncoder;
import org.contrastive4j.data.Preprocessing;
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
    public Preprocessing preprocessing() {
        return model.preprocessing();
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
}
