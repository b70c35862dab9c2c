package org.contrastive4j.train;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.data.BatchMaker;
import org.contrastive4j.data.BatchOrder;
import org.contrastive4j.data.BatchOrder.Identities;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.data.Splits;
import org.contrastive4j.gradcache.EquivalenceCheck;
import org.contrastive4j.gradcache.GradCache.ChunkPlan;
import org.contrastive4j.internal.batch.TrainBatch;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.optim.GlobalNorm;
import org.contrastive4j.optim.LossScale;
import org.contrastive4j.optim.WarmupCosine;
import org.contrastive4j.tensor.Tensor;
import org.contrastive4j.train.Checkpoint.CheckpointException;
import org.jspecify.annotations.Nullable;

/**
 * Trains a {@link DualEncoder} on pairs with a contrastive loss over whole batches, encoded in chunks.
 *
 * <p>A step depends only on the configuration, the data and the previous weights. A run that was stopped and resumed
 * therefore gives the same bits as an uninterrupted run.
 */
public final class Trainer implements AutoCloseable {
    private static final int MEASURE_EVERY = 10; // steps between distributions of cosines

    /**
     * Measurements of one step.
     *
     * @param step counted from 1
     * @param loss mean over the pairs
     * @param rowAccuracy share of pictures whose own caption is the most similar caption of the batch
     * @param columnAccuracy share of captions whose own picture is the most similar picture of the batch
     * @param meanPositive mean logit of the pairs
     * @param gradientNorm before clipping; not finite for a skipped step, which updates nothing
     * @param logitScale scale that the loss was computed with, before the update
     * @param learningRate of the update
     * @param details measurements of the loss by name: its bias or margin, the state of its controller, and every tenth
     *     step the mean and quantiles of the cosines of positives and negatives; with loss scaling, the scale of this
     *     step and the number of steps skipped so far
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
            Map<String, Double> details) {
        /** {@return all measurements, including the details, without the norm of a skipped step} */
        public Map<String, Object> asMap() {
            Map<String, Object> all = new LinkedHashMap<>();
            all.put("step", step);
            all.put("loss", loss);
            all.put("rowAccuracy", rowAccuracy);
            all.put("columnAccuracy", columnAccuracy);
            all.put("meanPositive", meanPositive);
            if (Double.isFinite(gradientNorm)) { // JSON has no NaN and no infinity
                all.put("gradientNorm", gradientNorm);
            }
            all.put("logitScale", logitScale);
            all.put("learningRate", learningRate);
            all.putAll(details);
            return all;
        }
    }

    /** Thrown when training cannot continue. The message names the step and the samples. Checkpoints are unchanged. */
    public static final class TrainingStoppedException extends RuntimeException {
        TrainingStoppedException(String message, Throwable cause) {
            super(message, cause);
        }
    }

    private final Ops ops;
    private final TrainConfig config;
    private final PairDataset data;
    private final Splits splits;
    private final TrainableModel model;
    private final Objective objective;
    private final AdamW optimizer;
    private final WarmupCosine schedule;
    private final BatchMaker maker;
    private final BatchOrder order;
    private final TrainingSteps steps;
    private final LossScale lossScale;
    private final StepFailures failures;
    private final String fingerprint;
    private @Nullable BatchPrefetch feed;
    private int step;

    private Trainer(Ops ops, TrainConfig config, PairDataset data, TrainableModel model) {
        this.ops = ops;
        this.config = config.on(ops.precision());
        this.data = data;
        this.model = model;
        this.splits = Splits.of(data, config.heldOutGroup(), config.unseenShare(), config.seed());
        this.fingerprint = data.fingerprint();
        this.failures = new StepFailures(data, this.config);
        int maxTokens = config.model().text().maxTokens();
        Identities identities = new Identities(data, model.captions(), maxTokens);
        this.order = BatchOrder.of(data, splits, identities, config.batch(), config.seed());
        this.objective = objective(identities);
        this.optimizer = optimizer();
        this.lossScale = LossScale.of(this.config.lossScale());
        this.schedule =
                new WarmupCosine(config.learningRate(), Math.min(config.warmup(), config.steps()), config.steps(), 0);
        this.maker = new BatchMaker(data, model.captions(), config.preprocessing(), maxTokens, config.seed());
        this.steps = new TrainingSteps(ops, this.config, objective, parameters(), optimizer);
    }

    private Objective objective(Identities identities) {
        Guide guide = Guide.of(ops, config.loss(), data, splits);
        Objective created = Objective.of(ops, config, model.encoder(), SampleLabels.of(data, identities), guide);
        created.prepare(model);
        return created;
    }

    private AdamW optimizer() {
        try {
            return new AdamW(
                    ops,
                    parameters(),
                    config.optimizer(),
                    parameter -> objective.parameters().contains(parameter) ? 1 : model.rateFactor(parameter));
        } catch (RuntimeException noMemory) {
            objective.close();
            throw noMemory;
        }
    }

    /** {@return the trained parameters of the encoders, and the parameters of the loss} */
    public List<Parameter> parameters() {
        return parameters(model.trained(), objective);
    }

    static List<Parameter> parameters(List<Parameter> trained, Objective objective) {
        List<Parameter> all = new ArrayList<>(trained);
        all.addAll(objective.parameters());
        return all;
    }

    /**
     * Starts a new run: trains the tokenizer and initialises the weights.
     *
     * @param ops backend
     * @param config of the run
     * @param data pairs of at least as many concepts as a batch has pairs
     * @return the trainer
     */
    public static Trainer start(Ops ops, TrainConfig config, PairDataset data) {
        return start(ops, config, data, NewModel.start(ops, config, data));
    }

    /**
     * Starts a new run that trains an existing model.
     *
     * @param ops backend of the model
     * @param config of the run, with the sizes of the model
     * @param data pairs of at least as many concepts as a batch has pairs
     * @param model closed by the trainer, or by this method if it fails
     * @return the trainer
     */
    public static Trainer start(Ops ops, TrainConfig config, PairDataset data, TrainableModel model) {
        return owning(model, () -> new Trainer(ops, config, data, model));
    }

    private static Trainer owning(TrainableModel model, Supplier<Trainer> trainer) {
        try {
            return trainer.get();
        } catch (RuntimeException failed) {
            model.close();
            throw failed;
        }
    }

    /**
     * Continues from a checkpoint with its configuration and its tokenizer.
     *
     * @param ops backend
     * @param data pairs of the run, unchanged
     * @param checkpoint folder of the checkpoint
     * @return the trainer
     * @throws CheckpointException when the checkpoint is damaged or of another model, or the data was changed
     */
    public static Trainer resume(Ops ops, PairDataset data, Path checkpoint) {
        return resume(ops, data, checkpoint, config(checkpoint));
    }

    /**
     * Continues from a checkpoint with a changed configuration. Only the number of steps, the learning rate, the memory
     * budget and the path of the data may differ from the configuration in the checkpoint.
     *
     * @param ops backend
     * @param data pairs of the run, unchanged
     * @param checkpoint folder of the checkpoint
     * @param config changed configuration
     * @return the trainer
     * @throws IllegalArgumentException when another setting differs, or the run would end before the checkpoint
     * @throws CheckpointException when the checkpoint is damaged or of another model, or the data was changed
     */
    public static Trainer resume(Ops ops, PairDataset data, Path checkpoint, TrainConfig config) {
        TrainerState state = TrainerState.read(checkpoint);
        state.requireContinues(config);
        NewModel model = NewModel.of(ops, config, state.tokenizer());
        return owning(model, () -> new Trainer(ops, config, data, model).restored(state));
    }

    /**
     * Continues a run that trains an existing model; otherwise like the method without a model.
     *
     * @param ops backend of the model
     * @param data pairs of the run, unchanged
     * @param checkpoint folder of the checkpoint
     * @param config changed configuration
     * @param model of the origin of the run's model; closed by the trainer, or by this method if it fails
     * @return the trainer
     */
    public static Trainer resume(Ops ops, PairDataset data, Path checkpoint, TrainConfig config, TrainableModel model) {
        return owning(model, () -> {
            TrainerState state = TrainerState.read(checkpoint);
            state.requireContinues(config);
            state.requireOrigin(model.origin());
            return new Trainer(ops, config, data, model).restored(state);
        });
    }

    private Trainer restored(TrainerState state) {
        try {
            state.requireData(fingerprint, data.path());
            state.restore(parameters(), trainingState(), objective);
            if (config.lossScale() != null) {
                state.restore(lossScale);
            }
        } catch (RuntimeException failure) {
            close();
            throw failure;
        }
        step = state.step();
        feed = BatchPrefetch.of(ops, config, order, maker, step, state.position());
        optimizer.restoreSteps(state.updates());
        return this;
    }

    /**
     * Returns the configuration in a checkpoint.
     *
     * @param checkpoint folder of the checkpoint
     * @return the configuration
     * @throws CheckpointException when the checkpoint is damaged
     */
    public static TrainConfig config(Path checkpoint) {
        return TrainerState.read(checkpoint).config();
    }

    /**
     * Returns what a checkpoint records of {@link TrainableModel#origin}.
     *
     * @param checkpoint folder of the checkpoint
     * @return JSON values by name; empty for a run that started from random weights
     * @throws CheckpointException when the checkpoint is damaged
     */
    public static Map<String, Object> origin(Path checkpoint) {
        return TrainerState.read(checkpoint).origin();
    }

    /**
     * Returns the bytes of each stage of a step by gradient caching on a batch with the longest captions. The plan is
     * made once, so all batches and resumed runs use the same chunks.
     *
     * @return the plan
     * @throws org.contrastive4j.memory.Memory.OutOfBudgetException when not even the smallest chunk fits the budget
     */
    public ChunkPlan plan() {
        try (TrainBatch largest = feed().largest()) {
            return steps.plan(largest);
        }
    }

    MemoryPlan memoryPlan() {
        try (TrainBatch largest = feed().largest()) {
            return steps.memoryPlan(largest, allParameters());
        }
    }

    /** {@return a table of the bytes that steps need, by purpose, one line for each} */
    public String memoryTable() {
        return memoryPlan().toString();
    }

    /** Returns the parameters of the encoders, frozen ones included, and of the loss. */
    List<Parameter> allParameters() {
        return parameters(model.encoder().parameters(), objective);
    }

    BatchPrefetch feed() {
        if (feed == null) {
            feed = BatchPrefetch.of(ops, config, order, maker, step, null);
        }
        return feed;
    }

    /**
     * Compares gradients in chunks with gradients of the whole batch on the next batch; see {@link EquivalenceCheck}.
     *
     * @param chunks chunk sizes of pictures and of captions
     * @return the differences
     */
    public EquivalenceCheck.Report verify(List<Integer> chunks) {
        List<Integer> ofAll = IntStream.range(0, objective.encoders().size())
                .mapToObj(e -> chunks.get(e % 2))
                .toList();
        steps.close();
        BatchOrder.Planned planned = order.from(step).next();
        try (TrainBatch batch = new TrainBatch(ops, maker.make(planned, config.augmentation()), config.seed(), step)) {
            return new EquivalenceCheck<>(ops, objective.encoders(), objective, parameters()).run(batch, ofAll);
        }
    }

    /** {@return whether the run has further steps} */
    public boolean hasNext() {
        return step < config.steps();
    }

    /**
     * Makes one optimiser step. With loss scaling, a step whose gradient is not finite is counted but updates nothing:
     * weights, moments, the step count of the optimiser and the state of the loss stay unchanged. The check is free:
     * the norm of the gradients, which every step needs, is finite if and only if all gradients are.
     *
     * @return measurements of the step
     * @throws TrainingStoppedException when a representation or the loss is not finite, or when a gradient is not
     *     finite and loss scaling is off or cannot lower the scale; the weights are unchanged
     * @throws org.contrastive4j.memory.Memory.OutOfBudgetException when memory runs out; nothing has changed, and the
     *     step can be repeated
     */
    public Step next() {
        if (!steps.isReady()) {
            plan();
        }
        BatchPrefetch batches = feed();
        try (TrainBatch batch = batches.next()) {
            double scale = lossScale.value();
            TrainingSteps.StepResults results = failures.explained(
                    step + 1,
                    batch,
                    () -> steps.run(batch, scale, batches::sendFollowing).get());
            PairwiseOps.Result result = results.loss();
            Map<String, Double> details =
                    failures.explained(step + 1, batch, () -> objective.details(batch, step % MEASURE_EVERY == 0));
            double norm = failures.explained(step + 1, batch, () -> results.norm(lossScale)) / scale;
            double rate = schedule.at(step);
            if (Double.isFinite(norm)) {
                objective.beforeUpdate();
                steps.update(rate, GlobalNorm.clip(norm, config.clip()) / scale);
                objective.afterStep(result, step);
                lossScale.good();
            }
            batches.used();
            step++;
            if (config.lossScale() != null) {
                details.put("lossScale", scale);
                details.put("skippedSteps", (double) lossScale.state().skipped());
            }
            details.putAll(results.second());
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

    /**
     * Saves everything that {@link #resume} needs.
     *
     * @param checkpoints of the run
     * @return the folder
     * @throws CheckpointException when it cannot be written
     */
    public Path save(Checkpoint checkpoints) {
        return checkpoints.save(step, TrainerState.weights(parameters()), trainingState(), state());
    }

    /** Returns the part of a checkpoint that is not in tensors. */
    ObjectNode state() {
        return TrainerState.write(
                step, optimizer.steps(), config, model, fingerprint, feed().position(step), objective, lossScale);
    }

    /** Returns the moments of the optimiser and the tensors of the objective. */
    Map<String, Tensor> trainingState() {
        Map<String, Tensor> all = new LinkedHashMap<>(optimizer.state());
        all.putAll(objective.tensors());
        return all;
    }

    /**
     * Measures the recall of every test split in both directions. Frees the memory of captured steps; the next step
     * captures again.
     *
     * @return recall by name of the split
     */
    public Map<String, Recall> evaluate() {
        steps.close();
        Map<String, Recall> all = new LinkedHashMap<>();
        splits.tests().forEach((name, samples) -> all.put(name, Retrieval.both(ops, embedder(), samples)));
        return all;
    }

    /**
     * Recall in both directions.
     *
     * @param imageToText from pictures to captions
     * @param textToImage from captions to pictures
     */
    public record Recall(Retrieval imageToText, Retrieval textToImage) {
        /** {@return the mean of both directions} */
        public double mean1() {
            return (imageToText.recall1() + textToImage.recall1()) / 2;
        }
    }

    /** {@return the number of completed steps} */
    public int step() {
        return step;
    }

    String dataFingerprint() {
        return fingerprint;
    }

    /** Returns the number of captured steps that exist now. */
    int graphs() {
        return steps.graphs();
    }

    /** {@return the configuration of the run} */
    public TrainConfig config() {
        return config;
    }

    /** {@return the model} */
    public DualEncoder model() {
        return model.encoder();
    }

    Map<String, Object> origin() {
        return model.origin();
    }

    /** {@return the training and test splits} */
    public Splits splits() {
        return splits;
    }

    /** {@return the data of the run} */
    public PairDataset data() {
        return data;
    }

    /** {@return an embedder with the current weights} */
    public Embedder embedder() {
        return new Embedder(ops, model.encoder(), data, maker);
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
