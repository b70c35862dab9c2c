package org.contrastive4j.train;

import com.fasterxml.jackson.annotation.JsonIgnore;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.data.BatchLoader;
import org.contrastive4j.data.BatchMaker;
import org.contrastive4j.data.BatchPlan;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.data.Splits;
import org.contrastive4j.data.Tokenizer;
import org.contrastive4j.gradcache.ChunkPlan;
import org.contrastive4j.gradcache.EquivalenceCheck;
import org.contrastive4j.loss.NonFiniteException;
import org.contrastive4j.loss.NotConvergedException;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.TrainingPrecision;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.optim.GlobalNorm;
import org.contrastive4j.optim.LossScale;
import org.contrastive4j.optim.WarmupCosine;
import org.contrastive4j.tensor.Tensor;

/**
 * Trains a {@link DualEncoder} on pairs with a contrastive loss over whole batches, encoded in chunks.
 *
 * <p>A step is a function of the configuration, the data and the weights before it: nothing else is random, so a run
 * that was stopped and resumed ends in the same bits as one that was not.
 */
public final class Trainer implements AutoCloseable {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int LOADER_THREADS = 1;
    private static final int BATCHES_AHEAD = 2;

    private static final int MEASURE_EVERY = 10; // steps between distributions of cosines

    /**
     * What one step measured.
     *
     * @param details what the loss says of itself, by name: its bias or margin, its controller, every tenth step mean
     *     and quantiles of the cosines of positives and negatives; where there is loss scaling the scale of this step
     *     and the steps skipped so far
     * @param gradientNorm not finite when the step was skipped: then nothing was updated
     * @param logitScale that the loss was computed with: of before the update, which nothing waits for
     */
    public record Step(
            int step,
            double loss,
            double rowAccuracy,
            double columnAccuracy,
            double meanPositive,
            double gradientNorm,
            double logitScale,
            double learningRate,
            @JsonIgnore Map<String, Double> details) {
        /** All numbers by name, details included. */
        public Map<String, Object> asMap() {
            Map<String, Object> all = JSON.convertValue(this, new TypeReference<LinkedHashMap<String, Object>>() {});
            all.putAll(details);
            if (!Double.isFinite(gradientNorm)) {
                all.remove("gradientNorm"); // no number of JSON
            }
            return all;
        }
    }

    /** Training cannot go on; the message names the step and the samples, checkpoints are untouched. */
    public static final class TrainingStoppedException extends RuntimeException {
        TrainingStoppedException(String message, Throwable cause) {
            super(message, cause);
        }
    }

    private final Ops ops;
    private final TrainConfig config;
    private final PairDataset data;
    private final Splits splits;
    private final Tokenizer tokenizer;
    private final DualEncoder model;
    private final Objective objective;
    private final AdamW optimizer;
    private final WarmupCosine schedule;
    private final BatchMaker maker;
    private final BatchPlan plan;
    private final TrainingSteps steps;
    private final LossScale lossScale;
    private BatchPrefetch feed;
    private int step;

    private Trainer(Ops ops, TrainConfig config, PairDataset data, Tokenizer tokenizer) {
        this.ops = ops;
        this.config = config.on(ops.precision());
        this.data = data;
        this.splits = Splits.of(data, config.heldOutGroup(), config.unseenShare(), config.seed());
        this.tokenizer = tokenizer != null
                ? tokenizer
                : Tokenizer.train(
                        splits.train().stream()
                                .map(id -> data.sample(id).caption())
                                .toList(),
                        config.vocabulary(),
                        2);
        this.plan = new BatchPlan(data, splits.train(), config.batch(), config.seed());
        DualEncoder.Config sizes = config.model();
        this.model = new DualEncoder(
                ops,
                new DualEncoder.Config(sizes.image(), sizes.text().withVocabulary(this.tokenizer.size())),
                config.seed());
        this.objective = objective();
        this.optimizer = optimizer();
        this.lossScale = LossScale.of(this.config.lossScale());
        this.schedule =
                new WarmupCosine(config.learningRate(), Math.min(config.warmup(), config.steps()), config.steps(), 0);
        this.maker = new BatchMaker(
                data, this.tokenizer, sizes.image().imageSize(), sizes.text().maxTokens(), config.seed());
        this.steps = new TrainingSteps(ops, this.config, objective, parameters(), optimizer);
    }

    private Objective objective() {
        Map<String, Integer> concepts = new HashMap<>();
        data.samples().forEach(sample -> concepts.putIfAbsent(sample.concept(), concepts.size()));
        try {
            Guide guide = config.loss().guide().isEmpty()
                    ? null
                    : new Guide(ops, Path.of(config.loss().guide()), data, splits.train());
            return Objective.of(
                    ops, config, model, id -> concepts.get(data.sample(id).concept()), guide);
        } catch (RuntimeException noMemory) {
            model.close();
            throw noMemory;
        }
    }

    private AdamW optimizer() {
        try {
            return new AdamW(ops, parameters(), config.optimizer());
        } catch (RuntimeException noMemory) {
            objective.close();
            model.close();
            throw noMemory;
        }
    }

    /** Of the encoders and the loss. */
    public List<Parameter> parameters() {
        return parameters(model, objective);
    }

    private static List<Parameter> parameters(DualEncoder model, Objective objective) {
        List<Parameter> all = new ArrayList<>(model.parameters());
        all.addAll(objective.parameters());
        return all;
    }

    /** A new run. */
    public static Trainer start(Ops ops, TrainConfig config, PairDataset data) {
        return new Trainer(ops, config, data, null);
    }

    /**
     * Continues from a checkpoint, with the configuration and the tokenizer in it.
     *
     * @throws CheckpointException when it is damaged or of another model
     */
    public static Trainer resume(Ops ops, PairDataset data, Path checkpoint) {
        JsonNode state = Checkpoint.state(checkpoint);
        Trainer trainer = new Trainer(ops, configOf(state, checkpoint), data, tokenizerOf(state, checkpoint));
        try {
            Checkpoint.restore(checkpoint, weights(trainer.model, trainer.objective), trainer.trainingState());
            trainer.objective.restore(state.path("loss").isObject() ? state.get("loss") : JSON.createObjectNode());
            trainer.restoreLossScale(state.get("lossScale"));
        } catch (IllegalArgumentException foreign) {
            trainer.close();
            throw new CheckpointException(
                    checkpoint + " has no usable state of the loss "
                            + trainer.config.loss().name() + ": " + foreign.getMessage(),
                    foreign);
        } catch (RuntimeException failure) {
            trainer.close();
            throw failure;
        }
        trainer.step = state.get("step").asInt();
        trainer.optimizer.restoreSteps(state.path("updates").asInt(trainer.step));
        return trainer;
    }

    private void restoreLossScale(JsonNode state) {
        if (config.lossScale() == null) {
            return;
        }
        if (state == null) {
            throw new IllegalArgumentException("a scaled loss wants its scale, given none");
        }
        lossScale.restore(JSON.convertValue(state, LossScale.State.class));
    }

    /** The configuration in a checkpoint. */
    public static TrainConfig config(Path checkpoint) {
        return configOf(Checkpoint.state(checkpoint), checkpoint);
    }

    static TrainConfig configOf(JsonNode state, Path checkpoint) {
        try {
            return JSON.treeToValue(state.get("config"), TrainConfig.class);
        } catch (JsonProcessingException | RuntimeException e) {
            throw new CheckpointException(checkpoint + " has no usable configuration: " + e.getMessage(), e);
        }
    }

    static Tokenizer tokenizerOf(JsonNode state, Path checkpoint) {
        try {
            return new Tokenizer(JSON.treeToValue(state.get("tokenizer"), Tokenizer.Vocabulary.class));
        } catch (JsonProcessingException | RuntimeException e) {
            throw new CheckpointException(checkpoint + " has no usable tokenizer: " + e.getMessage(), e);
        }
    }

    /**
     * Bytes of each stage of a step by gradient caching on a batch with the longest captions there can be; made once,
     * so that chunks are the same for all batches and wherever a run is resumed.
     */
    public ChunkPlan plan() {
        try (TrainBatch largest = feed().largest()) {
            return steps.plan(largest);
        }
    }

    /** Bytes of everything that steps need, by what they are for. */
    public MemoryPlan memoryPlan() {
        try (TrainBatch largest = feed().largest()) {
            ChunkPlan stages = steps.plan(largest);
            long values = parameters().stream()
                    .mapToLong(parameter -> parameter.value().bytes())
                    .sum();
            long gradients = parameters().stream()
                    .filter(parameter -> !parameter.isFrozen())
                    .mapToLong(parameter -> parameter.gradient().bytes())
                    .sum();
            long state =
                    optimizer.state().values().stream().mapToLong(Tensor::bytes).sum();
            return new MemoryPlan(
                    values,
                    gradients,
                    state,
                    largest.bytes(),
                    ops.canCapture() ? 2 : 1,
                    ops.memory().keptBytes(),
                    steps.fragmentationBytes(),
                    steps.measurementBytes(),
                    stages);
        }
    }

    private BatchPrefetch feed() {
        if (feed == null) {
            feed = new BatchPrefetch(
                    ops,
                    new BatchLoader(
                            plan, maker, config.augmentation(), step, config.steps(), LOADER_THREADS, BATCHES_AHEAD),
                    config.seed(),
                    step,
                    new TrainBatch.Layout(
                            config.batch(),
                            config.model().image().imageSize(),
                            config.model().text().maxTokens()));
        }
        return feed;
    }

    private TrainBatch nextBatch() {
        int epoch = step / plan.batchesPerEpoch();
        int[] samples = plan.batch(epoch, step % plan.batchesPerEpoch());
        return new TrainBatch(ops, maker.make(samples, config.augmentation(), epoch), config.seed(), step);
    }

    /**
     * Compares chunked with undivided gradients on the coming batch, see {@link EquivalenceCheck}.
     *
     * @param chunks of pictures and of captions
     */
    public EquivalenceCheck.Report verify(List<Integer> chunks) {
        List<Integer> ofAll = IntStream.range(0, objective.encoders().size())
                .mapToObj(e -> chunks.get(e % 2))
                .toList();
        steps.close();
        try (TrainBatch batch = nextBatch()) {
            return new EquivalenceCheck<>(ops, objective.encoders(), objective, parameters()).run(batch, ofAll);
        }
    }

    /** Whether steps are left. */
    public boolean hasNext() {
        return step < config.steps();
    }

    /**
     * One optimiser step. Where there is loss scaling, a step with a gradient that is not finite counts, but updates
     * nothing: weights, moments, the optimiser's count and the state of the loss stay. That costs nothing beside the
     * norm of the gradients, which every step waits for anyway: it is finite if and only if all of them are.
     *
     * @throws TrainingStoppedException when a representation or the loss is not finite, or a gradient and there is no
     *     loss scale to blame; the weights are those before the step
     * @throws org.contrastive4j.memory.OutOfBudgetException when memory is out; everything is as before the step, which
     *     can be tried again
     */
    public Step next() {
        if (!steps.isReady()) {
            plan();
        }
        try (TrainBatch batch = feed().next()) {
            double scale = lossScale.value();
            TrainingSteps.StepResults results = finite(
                    batch, () -> steps.run(batch, scale, feed::sendFollowing).get());
            PairwiseOps.Result result = results.loss();
            Map<String, Double> details = finite(batch, () -> objective.details(batch, step % MEASURE_EVERY == 0));
            double norm = finite(batch, () -> normOf(results)) / scale;
            double rate = schedule.at(step);
            if (Double.isFinite(norm)) {
                objective.beforeUpdate();
                steps.update(rate, GlobalNorm.clip(norm, config.clip()) / scale);
                objective.afterStep(result, step);
                lossScale.good();
            }
            feed.used();
            step++;
            if (config.lossScale() != null) {
                details.put("lossScale", scale);
                details.put("skippedSteps", (double) lossScale.state().skipped());
            }
            objective.parameters().stream()
                    .skip(1)
                    .forEach(own -> details.put(
                            own.name().substring(own.name().indexOf('.') + 1),
                            own.value().toDoubles()[0]));
            return new Step(
                    step,
                    result.loss(),
                    result.rowAccuracy(),
                    result.columnAccuracy(),
                    result.meanPositive(),
                    norm,
                    Math.exp(results.logScale()),
                    rate,
                    details);
        }
    }

    /** Of the gradients as they are, scaled; NaN when one is not finite and the step is to be skipped for it. */
    private double normOf(TrainingSteps.StepResults results) {
        try {
            return results.norm().get();
        } catch (GlobalNorm.NonFiniteGradientException overflow) {
            if (lossScale.overflowed()) {
                return Double.NaN;
            }
            throw overflow;
        }
    }

    private <T> T finite(TrainBatch batch, Supplier<T> work) {
        try {
            return work.get();
        } catch (NonFiniteException e) {
            String which = e.row() < 0
                    ? ""
                    : ", sample " + batch.sampleIds()[e.row()] + " ("
                            + data.sample(batch.sampleIds()[e.row()]).image() + ")";
            String advice = config.precision() == TrainingPrecision.F16
                    ? "; activations in f16 end at 65504, in bf16 where f32 does"
                    : "";
            throw new TrainingStoppedException(
                    "stopped at step " + (step + 1) + which + ": " + e.getMessage() + advice
                            + "; the samples of the batch are " + Arrays.toString(batch.sampleIds()),
                    e);
        } catch (GlobalNorm.NonFiniteGradientException | NotConvergedException e) {
            throw new TrainingStoppedException(
                    "stopped at step " + (step + 1) + ": " + e.getMessage() + "; the samples of the batch are "
                            + Arrays.toString(batch.sampleIds()),
                    e);
        }
    }

    /** Saves everything that {@link #resume} needs. */
    public Path save(Checkpoint checkpoints) {
        return checkpoints.save(step, weights(parameters()), trainingState(), state());
    }

    /** What is no tensor. */
    ObjectNode state() {
        ObjectNode state = JSON.createObjectNode();
        state.put("step", step);
        state.set("config", JSON.valueToTree(config));
        state.set("tokenizer", JSON.valueToTree(tokenizer.vocabulary()));
        objective.save(state.putObject("loss"));
        state.put("updates", optimizer.steps());
        if (config.lossScale() != null) {
            state.set("lossScale", JSON.valueToTree(lossScale.state()));
        }
        return state;
    }

    /** Moments of the optimiser and tensors of the objective. */
    Map<String, Tensor> trainingState() {
        Map<String, Tensor> all = new LinkedHashMap<>(optimizer.state());
        all.putAll(objective.tensors());
        return all;
    }

    static Map<String, Tensor> weights(DualEncoder model, Objective objective) {
        return weights(parameters(model, objective));
    }

    static Map<String, Tensor> weights(List<Parameter> parameters) {
        Map<String, Tensor> weights = new LinkedHashMap<>();
        parameters.forEach(parameter -> weights.put(parameter.name(), parameter.value()));
        return weights;
    }

    /**
     * Recall of every test split, pictures to captions and captions to pictures. It frees the memory of captured steps:
     * the next step captures again.
     */
    public Map<String, Recall> evaluate() {
        steps.close();
        Map<String, Recall> all = new LinkedHashMap<>();
        splits.tests().forEach((name, samples) -> all.put(name, recall(samples)));
        return all;
    }

    /** Both directions. */
    public record Recall(Retrieval imageToText, Retrieval textToImage) {}

    private Recall recall(List<Integer> samples) {
        return recall(ops, new Embedder(ops, model, maker), samples);
    }

    /** Recall of one set of samples, both ways. */
    public static Recall recall(Ops ops, Embedder embedder, List<Integer> samples) {
        try (Tensor pictures = embedder.pictures(samples);
                Tensor captions = embedder.captions(samples)) {
            return new Recall(Retrieval.of(ops, pictures, captions), Retrieval.of(ops, captions, pictures));
        }
    }

    public int step() {
        return step;
    }

    /** Graphs of steps that exist now. */
    int graphs() {
        return steps.graphs();
    }

    public TrainConfig config() {
        return config;
    }

    public DualEncoder model() {
        return model;
    }

    public Splits splits() {
        return splits;
    }

    public PairDataset data() {
        return data;
    }

    public Embedder embedder() {
        return new Embedder(ops, model, maker);
    }

    @Override
    public void close() {
        if (feed != null) {
            feed.close();
        }
        steps.close();
        optimizer.close();
        objective.close();
        model.close();
    }
}
