package org.contrastive4j.pretrained;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.stream.Stream;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.data.BatchMaker;
import org.contrastive4j.data.BatchMaker.CaptionEncoder;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.data.Preprocessing;
import org.contrastive4j.internal.batch.Representations;
import org.contrastive4j.internal.files.FileErrors;
import org.contrastive4j.loss.ContrastiveLoss;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.loss.Losses;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.contrastive4j.train.Embedder;

/**
 * A CLIP or SigLIP model from a folder that Hugging Face transformers or open_clip wrote.
 *
 * <p>Memory: the weights once, in the type of parameters of the backend, or matrices in 16 bits on request.
 */
public final class PretrainedModel implements AutoCloseable {
    /**
     * How to open a checkpoint.
     *
     * @param matrices type of the matrices of dense layers; F16 and BF16 are for weights that stay frozen
     * @param imageSize side of pictures in pixels; 0 for that of the checkpoint. For another one position embeddings
     *     are interpolated as open_clip does: bicubic with a = -0.5, with antialiasing
     */
    public record Options(DType matrices, int imageSize) {}

    private final Ops ops;
    private final Path source;
    private final PretrainedConfig config;
    private final DualEncoder encoder;
    private final Tensor logitScale;
    private final Tensor logitBias;
    private final String fingerprint;

    private PretrainedModel(
            Ops ops,
            Path source,
            PretrainedConfig config,
            DualEncoder encoder,
            Tensor logitScale,
            Tensor logitBias,
            String fingerprint) {
        this.ops = ops;
        this.source = source;
        this.config = config;
        this.encoder = encoder;
        this.logitScale = logitScale;
        this.logitBias = logitBias;
        this.fingerprint = fingerprint;
    }

    /**
     * Opens a checkpoint with weights of the type of parameters.
     *
     * @param ops backend that the model runs on
     * @param folder with configuration and weights, or one weights file of such a folder
     * @return the model, to be closed
     * @throws PretrainedException when something is missing, damaged or of another family
     */
    public static PretrainedModel open(Ops ops, Path folder) {
        return open(ops, folder, new Options(ops.parameterDtype(), 0));
    }

    /**
     * Opens a checkpoint.
     *
     * @param ops backend that the model runs on
     * @param folder with configuration and weights, or one weights file of such a folder
     * @param options type of matrices
     * @return the model, to be closed
     * @throws PretrainedException when something is missing, damaged or of another family
     */
    public static PretrainedModel open(Ops ops, Path folder, Options options) {
        try (CheckpointFiles files = CheckpointFiles.open(folder)) {
            PretrainedConfig stored = files.config();
            PretrainedConfig config = options.imageSize() == 0 ? stored : stored.withImageSize(options.imageSize());
            Map<String, Slot> slots =
                    TensorNames.of(stored, TensorNames.Layout.of(files.entries().keySet()));
            new WeightReader(files, slots, Map.of()).check();
            DualEncoder encoder = DualEncoder.undefined(ops, config.encoder(), options.matrices());
            PretrainedModel model = null;
            try {
                model = new PretrainedModel(
                        ops,
                        folder,
                        config,
                        encoder,
                        ops.parameterTensor(Shape.of(1), config.initialLogitScale()),
                        ops.parameterTensor(Shape.of(1), config.initialLogitBias()),
                        files.fingerprint());
                new WeightReader(files, slots, model.tensors()).read();
                return model;
            } catch (RuntimeException failed) {
                if (model == null) {
                    encoder.close();
                } else {
                    model.close();
                }
                throw failed;
            }
        }
    }

    private Map<String, Tensor> tensors() {
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        encoder.parameters().forEach(parameter -> tensors.put(parameter.name(), parameter.value()));
        tensors.put(TensorNames.LOGIT_SCALE, logitScale);
        tensors.put(TensorNames.LOGIT_BIAS, logitBias);
        return tensors;
    }

    /**
     * Returns what the configuration file says.
     *
     * @return as given or read
     */
    public PretrainedConfig config() {
        return config;
    }

    /**
     * Returns both towers; their parameters can be trained.
     *
     * @return towers of this model
     */
    public DualEncoder encoder() {
        return encoder;
    }

    /**
     * Returns the folder or file that the model was opened from.
     *
     * @return as given to {@link #open}
     */
    public Path source() {
        return source;
    }

    /**
     * Returns the natural logarithm of the factor of cosines.
     *
     * @return a finite number
     */
    public double logitScale() {
        return logitScale.toDoubles()[0];
    }

    /**
     * Returns what is added to scaled cosines; 0 in CLIP.
     *
     * @return a finite number
     */
    public double logitBias() {
        return logitBias.toDoubles()[0];
    }

    /**
     * Makes the loss that the family is trained with, at the scale and bias of this model: InfoNCE for CLIP, the
     * sigmoid loss for SigLIP. The caller closes it.
     *
     * @return a loss of this family, to be closed
     */
    public ContrastiveLoss loss() {
        boolean clip = config.family() == PretrainedConfig.Family.CLIP;
        ContrastiveLoss loss = Losses.named(ops, clip ? "infonce" : "siglip");
        copyScale(loss);
        return loss;
    }

    /** Sets scale and bias of a loss to those of this model. */
    void copyScale(ContrastiveLoss loss) {
        ops.pointwise().copy(logitScale, loss.logScale().value());
        if (config.family() == PretrainedConfig.Family.SIGLIP) {
            ops.pointwise().copy(logitBias, Objects.requireNonNull(loss.bias()).value());
        }
    }

    /**
     * Returns a checksum of the configuration, and of names, types, shapes and both ends of the weights.
     *
     * @return hexadecimal digits
     */
    String fingerprint() {
        return fingerprint;
    }

    /**
     * Returns how pictures are prepared, as the files of the folder say.
     *
     * @return for pictures of this model
     */
    public Preprocessing preprocessing() {
        try (CheckpointFiles files = CheckpointFiles.open(source)) {
            return PreprocessingFile.read(folder(), files.config()).withSize(config.imageSize());
        }
    }

    /**
     * Opens the tokenizer of the folder. The caller closes it.
     *
     * @return to be closed
     * @throws PretrainedException when there is none, or one with other ids than the model has
     */
    public TextTokenizer tokenizer() {
        try (CheckpointFiles files = CheckpointFiles.open(source)) {
            return Tokenizers.open(folder(), config, files.isOpenClip());
        }
    }

    /**
     * Returns a tokenizer's ids as the text tower takes them: padded to the context where the pooled token is the last
     * one, padding included.
     *
     * @param tokenizer of this model; stays the caller's
     * @return ids as the text tower takes them
     */
    public CaptionEncoder captions(TextTokenizer tokenizer) {
        if (config.endOfText() != PretrainedConfig.EndOfText.LAST) {
            return tokenizer;
        }
        int padding = tokenizer.paddingId().orElse(config.paddingId());
        return (caption, maxTokens) -> {
            int[] ids = tokenizer.encode(caption, maxTokens);
            int[] padded = Arrays.copyOf(ids, maxTokens);
            Arrays.fill(padded, ids.length, maxTokens, padding);
            return padded;
        };
    }

    /**
     * Returns an embedder of the pairs of a data set, prepared as this model's files say.
     *
     * @param data pairs
     * @param tokenizer of this model; stays the caller's
     * @return for pictures and captions of the pairs
     */
    public Embedder embedder(PairDataset data, TextTokenizer tokenizer) {
        return new Embedder(
                ops,
                encoder,
                data,
                new BatchMaker(data, captions(tokenizer), preprocessing(), config.contextLength(), 0));
    }

    /**
     * Computes unit representations of pictures.
     *
     * @param pictures decoded; prepared as the model's files say
     * @return [pictures, d]; the caller closes the tensor
     */
    public Tensor embedPictures(List<BufferedImage> pictures) {
        return Representations.ofPictures(ops, encoder, preprocessing(), pictures);
    }

    /**
     * Computes unit representations of texts.
     *
     * @param tokenizer of this model; stays the caller's
     * @param texts not empty
     * @return [texts, d]; the caller closes the tensor
     */
    public Tensor embedTexts(TextTokenizer tokenizer, List<String> texts) {
        return Representations.ofTexts(ops, encoder, captions(tokenizer), texts);
    }

    private Path folder() {
        return CheckpointFiles.folder(source);
    }

    /** Widths of the input and the output of an adaptable layer. */
    int[] layerWidths(String layer) {
        return encoder.widths(layer);
    }

    /**
     * Moves the weights towards those of another model of the same configuration: (1 - alpha) own + alpha other, as
     * WiSE-FT does between a fine-tuned model and its start.
     *
     * @param alpha 0 keeps the own weights, 1 takes the others
     * @param other the other one
     */
    public void interpolate(PretrainedModel other, double alpha) {
        if (!config.equals(other.config)) {
            throw new PretrainedException("the models in " + source + " and " + other.source
                    + " have different configurations; weights are interpolated between equal ones");
        }
        if (!(alpha >= 0 && alpha <= 1)) {
            throw new IllegalArgumentException("alpha is " + alpha + ", expected 0 to 1");
        }
        Map<String, Tensor> from = other.tensors();
        tensors().forEach((name, tensor) -> {
            ops.pointwise().scale(1 - alpha, tensor, tensor);
            Tensor theirs = Objects.requireNonNull(from.get(name), "models of one configuration have the same weights");
            ops.pointwise().axpy(alpha, theirs, tensor);
        });
    }

    /**
     * Takes over the scale and bias of a loss, for {@link #save}.
     *
     * @param loss whose scale and bias are taken
     * @throws LossOptionException when this family has a bias and the loss has none
     */
    public void adoptScale(ContrastiveLoss loss) {
        ops.pointwise().copy(loss.logScale().value(), logitScale);
        if (config.family() == PretrainedConfig.Family.SIGLIP) {
            Parameter bias = loss.bias();
            if (bias == null) {
                throw new LossOptionException("expected a loss with a bias, as SigLIP has, got one without");
            }
            ops.pointwise().copy(bias.value(), logitBias);
        }
    }

    /**
     * Writes the model in the layout, order and types of its source, with the other files of the source folder. The
     * bytes of an untouched model are those of its source. For another picture size the position embeddings and the
     * size in the configuration files are changed.
     *
     * @param folder created where it does not exist; must not be the source
     * @throws PretrainedException when a file cannot be written, or the source is gone
     */
    public void save(Path folder) {
        if (encoder.parameters().stream().map(Parameter::name).anyMatch(name -> name.contains(".lora_"))) {
            throw new PretrainedException("the model has LoRA adapters; merge them before it is saved as a whole");
        }
        try (CheckpointFiles files = CheckpointFiles.open(source)) {
            Files.createDirectories(folder);
            if (Files.isSameFile(folder, files.folder())) {
                throw new PretrainedException(folder + " is the folder that the model was read from; choose another");
            }
            Map<String, Slot> slots =
                    TensorNames.of(config, TensorNames.Layout.of(files.entries().keySet()));
            new WeightWriter(files, slots, tensors()).write(folder);
            boolean resized = !files.config().equals(config);
            try (Stream<Path> others = Files.list(files.folder())) {
                for (Path other : others.filter(PretrainedModel::isSmall).toList()) {
                    Path target = folder.resolve(other.getFileName().toString());
                    byte[] changed = resized ? PictureSize.change(other, config.imageSize()) : null;
                    if (changed != null) {
                        Files.write(target, changed);
                    } else {
                        Files.copy(other, target, StandardCopyOption.REPLACE_EXISTING);
                    }
                }
            }
        } catch (IOException e) {
            throw new PretrainedException("cannot write " + folder + ": " + FileErrors.reason(e), e);
        }
    }

    /** Configuration, vocabulary and notes; no weights. */
    private static boolean isSmall(Path file) {
        return Files.isRegularFile(file)
                && List.of(".json", ".txt", ".md", ".model", ".gz").stream()
                        .anyMatch(end -> file.getFileName().toString().endsWith(end));
    }

    @Override
    public void close() {
        encoder.close();
        logitScale.close();
        logitBias.close();
    }

    /** Turns a caption into token ids as a model's text tower expects them. */
    public interface TextTokenizer extends CaptionEncoder, AutoCloseable {
        /**
         * Returns the ids of a caption with its start and end tokens, without padding.
         *
         * @param text any caption
         * @param contextLength largest number of ids; longer captions are cut and keep their end token
         * @return the ids
         */
        @Override
        int[] encode(String text, int contextLength);

        /**
         * Returns the number of ids that the tokenizer knows.
         *
         * @return at least 1
         */
        int size();

        /**
         * Returns the id that fills captions up to the context, for models that read the padding.
         *
         * @return empty for the id in the configuration of the model
         */
        default OptionalInt paddingId() {
            return OptionalInt.empty();
        }

        /** Frees native memory where there is some. */
        @Override
        default void close() {}
    }

    /**
     * A checkpoint folder, adapter or tokenizer cannot be used; the message says what was found and what was expected.
     */
    public static final class PretrainedException extends RuntimeException {
        /**
         * Creates an exception.
         *
         * @param message what was found, what was expected, and what to do
         */
        PretrainedException(String message) {
            super(message);
        }

        /**
         * Creates an exception with a cause.
         *
         * @param message what was found, what was expected, and what to do
         * @param cause of the failure
         */
        PretrainedException(String message, Throwable cause) {
            super(message, cause);
        }
    }
}
