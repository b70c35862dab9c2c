package org.contrastive4j.internal.compare;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.contrastive4j.data.BatchOrder;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.data.Splits;
import org.contrastive4j.internal.files.FileErrors;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.train.LossConfig;
import org.contrastive4j.train.RunFolder;
import org.contrastive4j.train.TrainConfig;
import org.contrastive4j.train.Trainer;
import org.jspecify.annotations.Nullable;

/**
 * Compares losses by one training run for each loss, batch size and seed; all runs see the same number of pairs.
 *
 * <p>A batch of B pairs takes steps * Bmax / B steps, a warm-up longer by the same factor, and a learning rate of
 * sqrt(B / Bmax) times that of the largest batch Bmax, the usual rule for Adam. A seed determines initial values,
 * batches, dropout and which concepts are held out, the same for all losses. Each run has its own folder; a finished
 * run is not repeated, and an interrupted run resumes from its checkpoint and ends in the same bits.
 */
public final class Comparison {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String CELLS = "cells";
    private static final String RESULT = "summary.json";
    private static final String CONFIG = "config.json";

    /** The loss, batch size and seed of one run. */
    public record Cell(String loss, int batch, long seed) {
        @Override
        public String toString() {
            return loss + "-b" + batch + "-s" + seed;
        }
    }

    /**
     * The result of one run.
     *
     * @param recall recall at 1 of each test split, mean of both directions; empty for a run that was stopped
     * @param seconds of training
     * @param stopped why the run could not be finished; null for a finished run
     */
    public record Result(
            Cell cell,
            Map<String, Double> recall,
            double seconds,
            @Nullable String stopped) {}

    private final RunFolder folder;
    private final TrainConfig base;
    private final PairDataset data;
    private final List<String> losses;
    private final List<Integer> batches;
    private final List<Long> seeds;
    private final int largest;
    private final int saveEvery;

    /**
     * @param folder of the whole comparison
     * @param base everything but loss, batch and seed; steps, learning rate and warm-up are those of the largest batch
     * @param saveEvery steps between the checkpoints of a run
     * @throws IllegalArgumentException when a list is empty or holds a value twice, a loss is unknown, or a batch size
     *     does not divide the number of pairs that the largest batch sees
     * @throws org.contrastive4j.data.DataException when the data has too few concepts for a batch
     */
    public Comparison(
            RunFolder folder,
            TrainConfig base,
            PairDataset data,
            List<String> losses,
            List<Integer> batches,
            List<Long> seeds,
            int saveEvery) {
        if (saveEvery < 1) {
            throw new IllegalArgumentException("save every " + saveEvery + " steps: expected 1 or more");
        }
        this.folder = folder;
        this.base = base;
        this.data = data;
        this.losses = distinct("losses", losses);
        this.batches = distinct("batches", batches);
        this.seeds = distinct("seeds", seeds);
        this.largest = batches.stream().max(Integer::compare).orElseThrow();
        this.saveEvery = saveEvery;
        for (int batch : batches) {
            if (batch < 2 || (long) base.steps() * largest % batch != 0) {
                throw new IllegalArgumentException("batches of " + batch + " cannot see the " + pairs() + " pairs of "
                        + base.steps() + " steps of " + largest
                        + " in whole steps; choose a batch, of 2 or more, that divides them");
            }
        }
        for (Cell cell : cells()) { // reject a run that cannot start before any other starts
            TrainConfig config = config(cell);
            Splits splits = Splits.of(data, config.heldOutGroup(), config.unseenShare(), config.seed());
            BatchOrder.check(data, splits, config.batch());
        }
    }

    private static <T> List<T> distinct(String what, List<T> values) {
        if (values.isEmpty() || new LinkedHashSet<>(values).size() != values.size()) {
            throw new IllegalArgumentException(what + " are " + values + ", expected one or more, each once");
        }
        return List.copyOf(values);
    }

    /** Returns all runs, seed by seed, so that a table of the first seed is complete early. */
    public List<Cell> cells() {
        List<Cell> cells = new ArrayList<>();
        for (long seed : seeds) {
            for (int batch : batches) {
                losses.forEach(loss -> cells.add(new Cell(loss, batch, seed)));
            }
        }
        return cells;
    }

    List<String> losses() {
        return losses;
    }

    List<Integer> batches() {
        return batches;
    }

    List<Long> seeds() {
        return seeds;
    }

    private Path path(Cell cell) {
        return folder.path().resolve(CELLS).resolve(cell.toString());
    }

    /** Returns the number of pairs that each run sees. */
    public long pairs() {
        return (long) base.steps() * largest;
    }

    /** Returns the configuration of one run. */
    public TrainConfig config(Cell cell) {
        int steps = Math.toIntExact(pairs() / cell.batch());
        return base.toBuilder()
                .seed(cell.seed())
                .steps(steps)
                .batch(cell.batch())
                .chunk(Math.min(base.chunk(), cell.batch()))
                .learningRate(base.learningRate() * Math.sqrt((double) cell.batch() / largest))
                .warmup(Math.toIntExact((long) base.warmup() * largest / cell.batch()))
                .loss(LossConfig.named(cell.loss(), cell.batch()))
                .build();
    }

    /**
     * Returns the result of a finished run; empty when it is not finished.
     *
     * @throws RunFolder.RunFolderException when the folder has a run of another configuration
     */
    public Optional<Result> finished(Cell cell) {
        Path run = path(cell);
        if (!Files.exists(run.resolve(RESULT))) {
            return Optional.empty();
        }
        requireSame(cell, run);
        JsonNode summary = read(run.resolve(RESULT));
        Map<String, Double> recall = JSON.convertValue(summary.get("recall"), new TypeReference<>() {});
        return Optional.of(new Result(
                cell,
                recall,
                summary.get("seconds").doubleValue(),
                summary.path("stopped").textValue()));
    }

    /** Compares as read: a file written before an option existed agrees with the default of that option. */
    private void requireSame(Cell cell, Path run) {
        TrainConfig other;
        try {
            other = JSON.treeToValue(read(run.resolve(CONFIG)), TrainConfig.class);
        } catch (JsonProcessingException | RuntimeException e) {
            throw new RunFolder.RunFolderException(
                    run.resolve(CONFIG) + " has no usable configuration: " + e.getMessage(), e);
        }
        if (!absolute(other).equals(absolute(config(cell)))) {
            throw new RunFolder.RunFolderException(
                    run + " holds a run of another configuration (" + CONFIG
                            + "); choose another --out, or the options it was made with",
                    null);
        }
    }

    /** Makes the path of the data absolute: older runs stored it relative to the working folder. */
    private static TrainConfig absolute(TrainConfig config) {
        return config.toBuilder()
                .data(Path.of(config.data()).toAbsolutePath().normalize().toString())
                .build();
    }

    private static JsonNode read(Path file) {
        try {
            return JSON.readTree(Files.readAllBytes(file));
        } catch (IOException e) {
            throw new RunFolder.RunFolderException("cannot read " + file + ": " + FileErrors.reason(e), e);
        }
    }

    /** Runs one cell to its end, from its newest checkpoint if there is one, and removes its checkpoints. */
    public Result run(Ops ops, Cell cell) {
        TrainConfig config = config(cell);
        try (RunFolder run = RunFolder.open(path(cell))) {
            Optional<Path> latest = run.checkpoints().latest();
            if (latest.isPresent()) {
                requireSame(cell, run.path());
            }
            try (Trainer trainer =
                    latest.isEmpty() ? Trainer.start(ops, config, data) : Trainer.resume(ops, data, latest.get())) {
                run.forgetAfter(trainer.step());
                run.writeJson(CONFIG, config);
                return finish(trainer, run, cell);
            }
        }
    }

    private Result finish(Trainer trainer, RunFolder run, Cell cell) {
        double before = run.secondsSpent();
        long start = System.nanoTime();
        @Nullable String stopped = null;
        try {
            while (trainer.hasNext()) {
                Trainer.Step step = trainer.next();
                Map<String, Object> line = new LinkedHashMap<>(step.asMap());
                line.put("seconds", before + (System.nanoTime() - start) / 1e9);
                run.append(line);
                if (step.step() % saveEvery == 0 && trainer.hasNext()) {
                    trainer.save(run.checkpoints());
                }
            }
        } catch (Trainer.TrainingStoppedException diverged) { // a result about the loss: the other runs go on
            stopped = diverged.getMessage();
        }
        double seconds = before + (System.nanoTime() - start) / 1e9;
        Map<String, Double> recall = new LinkedHashMap<>();
        if (stopped == null) {
            trainer.evaluate().forEach((split, of) -> recall.put(split, of.mean1()));
        }
        Map<String, Object> summary = new LinkedHashMap<>();
        summary.put("loss", cell.loss());
        summary.put("batch", cell.batch());
        summary.put("seed", cell.seed());
        summary.put("pairs", (long) trainer.step() * cell.batch());
        summary.put("recall", recall);
        summary.put("seconds", seconds);
        summary.put("stopped", stopped);
        run.writeJson(RESULT, summary);
        run.checkpoints().removeAll();
        return new Result(cell, recall, seconds, stopped);
    }

    /**
     * Writes tables and plots of the finished runs: table.md, table.csv, cells.csv and two SVGs for each test split.
     */
    public void report(List<Result> finished) {
        ComparisonReport report = new ComparisonReport(this, finished);
        folder.writeText("cells.csv", report.cells());
        folder.writeText("table.csv", report.csv());
        folder.writeText("table.md", report.markdown());
        for (String split : report.splits()) {
            folder.writeText("losses-" + split + ".svg", ComparisonPlots.byLoss(report, split));
            folder.writeText("batches-" + split + ".svg", ComparisonPlots.byBatch(report, split));
        }
    }
}
