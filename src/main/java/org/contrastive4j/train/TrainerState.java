package org.contrastive4j.train;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.data.BatchOrder;
import org.contrastive4j.data.Tokenizer;
import org.contrastive4j.optim.LossScale;
import org.contrastive4j.tensor.Tensor;
import org.contrastive4j.train.Checkpoint.CheckpointException;
import org.jspecify.annotations.Nullable;

/**
 * Reads and writes {@code state.json}, the part of a checkpoint that is not in tensors.
 *
 * <p>Tested by {@code TrainingRunTest}.
 */
final class TrainerState {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final TypeReference<Map<String, Object>> MAP = new TypeReference<>() {};
    private static final String STEP = "step";
    private static final String UPDATES = "updates";
    private static final String CONFIG = "config";
    private static final String TOKENIZER = "tokenizer";
    private static final String LOSS = "loss";
    private static final String LOSS_SCALE = "lossScale";
    private static final String ORIGIN = "origin";
    private static final String FINGERPRINT = "dataFingerprint";
    private static final String POSITION = "position";

    private final JsonNode state;
    private final Path checkpoint;

    TrainerState(JsonNode state, Path checkpoint) {
        this.state = state;
        this.checkpoint = checkpoint;
    }

    /** Reads the state of a checkpoint, after checking every byte of the checkpoint. */
    static TrainerState read(Path checkpoint) {
        return new TrainerState(Checkpoint.state(checkpoint), checkpoint);
    }

    /**
     * Returns the state as JSON.
     *
     * @param updates optimiser steps that were not skipped
     * @param model its tokenizer if it was trained by the run, and its origin
     * @param position where the next batch begins; null where the number of the step says it
     * @param objective its state is written
     * @param lossScale its state is written if the configuration has one
     */
    static ObjectNode write(
            int step,
            int updates,
            TrainConfig config,
            TrainableModel model,
            String fingerprint,
            BatchOrder.@Nullable Position position,
            Objective objective,
            LossScale lossScale) {
        ObjectNode state = JSON.createObjectNode();
        state.put(STEP, step);
        state.set(CONFIG, JSON.valueToTree(config));
        if (model.captions() instanceof Tokenizer tokenizer) {
            state.set(TOKENIZER, JSON.valueToTree(tokenizer.vocabulary()));
        }
        if (!model.origin().isEmpty()) {
            state.set(ORIGIN, JSON.valueToTree(model.origin()));
        }
        state.put(FINGERPRINT, fingerprint);
        if (position != null) {
            state.set(POSITION, JSON.valueToTree(position));
        }
        objective.save(state.putObject(LOSS));
        state.put(UPDATES, updates);
        if (config.lossScale() != null) {
            state.set(LOSS_SCALE, JSON.valueToTree(lossScale.state()));
        }
        return state;
    }

    /**
     * Returns where the next batch begins.
     *
     * @return null where the number of the step says it, and for older checkpoints
     */
    BatchOrder.@Nullable Position position() {
        return state.has(POSITION) ? JSON.convertValue(state.get(POSITION), BatchOrder.Position.class) : null;
    }

    /**
     * Checks that the run can continue with a configuration. Only the number of steps, the learning rate, the memory
     * budget and the path of the data may change.
     *
     * @throws IllegalArgumentException when another setting differs, or the run would end before this checkpoint
     */
    void requireContinues(TrainConfig config) {
        TrainConfig run = config();
        if (config.steps() < step()) {
            throw new IllegalArgumentException(
                    "the run has made " + step() + " steps, expected that many or more, got " + config.steps());
        }
        TrainConfig unchanged = config.toBuilder()
                .steps(run.steps())
                .learningRate(run.learningRate())
                .memoryBudget(run.memoryBudget())
                .data(run.data())
                .build();
        if (!unchanged.equals(run)) {
            throw new IllegalArgumentException(
                    "a resumed run can change its steps, learning rate, memory budget and path of the data, got "
                            + unchanged + ", the run has " + run);
        }
    }

    /**
     * Checks that a model has the same origin as the model of the run.
     *
     * @throws CheckpointException naming each value that differs
     */
    void requireOrigin(Map<String, Object> origin) {
        JsonNode own = JSON.valueToTree(origin()); // both as JSON, which has one type of integers
        JsonNode given = JSON.valueToTree(origin);
        List<String> different = new ArrayList<>();
        Set<String> names = new TreeSet<>(origin.keySet());
        names.addAll(origin().keySet());
        names.remove(TrainableModel.LOCATION);
        for (String name : names) {
            if (!own.path(name).equals(given.path(name))) {
                different.add(name + " is " + given.path(name) + ", in the run " + own.path(name));
            }
        }
        if (!different.isEmpty()) {
            throw new CheckpointException("the model is not the one that the run trains: "
                    + String.join("; ", different) + "; restore the model of the run, or start a new run");
        }
    }

    /** Returns the origin of the model; empty for a run that started from random weights. */
    Map<String, Object> origin() {
        return JSON.convertValue(state.has(ORIGIN) ? state.get(ORIGIN) : JSON.createObjectNode(), MAP);
    }

    /**
     * Loads the tensors of a run and the state of its objective.
     *
     * @throws CheckpointException when the checkpoint is damaged or of another model or objective
     */
    void restore(List<Parameter> parameters, Map<String, Tensor> tensors, Objective objective) {
        try {
            Checkpoint.restore(checkpoint, weights(parameters), tensors);
            objective.restore(loss());
        } catch (IllegalArgumentException foreign) {
            throw unusable(foreign);
        }
    }

    private CheckpointException unusable(IllegalArgumentException foreign) {
        return new CheckpointException(
                checkpoint + " has no usable state of the loss "
                        + config().loss().name() + ": " + foreign.getMessage(),
                foreign);
    }

    /** Returns the values of parameters by name. */
    static Map<String, Tensor> weights(List<Parameter> parameters) {
        Map<String, Tensor> weights = new LinkedHashMap<>();
        parameters.forEach(parameter -> weights.put(parameter.name(), parameter.value()));
        return weights;
    }

    int step() {
        return state.path(STEP).asInt();
    }

    /** Returns the number of optimiser steps that were not skipped. */
    int updates() {
        return state.path(UPDATES).asInt(step());
    }

    /** @throws CheckpointException when it is missing or this version cannot read it */
    TrainConfig config() {
        try {
            return JSON.treeToValue(state.get(CONFIG), TrainConfig.class);
        } catch (JsonProcessingException | RuntimeException e) {
            throw new CheckpointException(checkpoint + " has no usable configuration: " + e.getMessage(), e);
        }
    }

    /** @throws CheckpointException when it is missing or this version cannot read it */
    Tokenizer tokenizer() {
        try {
            return new Tokenizer(JSON.treeToValue(state.get(TOKENIZER), Tokenizer.Vocabulary.class));
        } catch (JsonProcessingException | RuntimeException e) {
            throw new CheckpointException(checkpoint + " has no usable tokenizer: " + e.getMessage(), e);
        }
    }

    /** Returns the state of the objective; empty if the checkpoint has none. */
    JsonNode loss() {
        return state.path(LOSS).isObject() ? state.get(LOSS) : JSON.createObjectNode();
    }

    /**
     * Restores a loss scale.
     *
     * @throws CheckpointException when the checkpoint has none
     */
    void restore(LossScale lossScale) {
        if (!state.has(LOSS_SCALE)) {
            throw unusable(new IllegalArgumentException("expected the state of a loss scale, got none"));
        }
        try {
            lossScale.restore(JSON.convertValue(state.get(LOSS_SCALE), LossScale.State.class));
        } catch (IllegalArgumentException foreign) {
            throw unusable(foreign);
        }
    }

    /**
     * Checks that a data set is the one that the run was trained on.
     *
     * @param fingerprint of the data set
     * @param path of the data set
     * @throws CheckpointException when the list of pairs, or the contents of pictures, were changed
     */
    void requireData(String fingerprint, Path path) {
        String trained = state.path(FINGERPRINT).asText(fingerprint); // older checkpoints have none
        String[] now = fingerprint.split(":", 2);
        String[] before = trained.split(":", 2); // those of older checkpoints have one part
        boolean sameList = now[0].equals(before[0]);
        if (sameList && (now.length < 2 || before.length < 2 || now[1].equals(before[1]))) {
            return;
        }
        throw new CheckpointException("the pairs at " + path + " are not the pairs of the run: "
                + (sameList
                        ? "the list of pairs is the same, but the contents of pictures were changed; restore the"
                                + " pictures"
                        : "the list of pairs was changed; restore the list")
                + ", name the data of the run with --data, or start a new run (fingerprint " + fingerprint
                + ", in the run " + trained + ")");
    }
}
