package org.contrastive4j.train;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.contrastive4j.data.PairDataset.LeftOut;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.train.Checkpoint.CheckpointException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Trains in a run folder until the run ends or is stopped. Writes metrics, an event file for TensorBoard, checkpoints
 * and a report, which is updated during training.
 */
public final class TrainingRun {
    private static final Logger LOG = LoggerFactory.getLogger(TrainingRun.class);
    private static final String LEFT_OUT = "left-out.tsv";
    private static final int EXAMPLE_POOL = 2000; // number of pictures to search for the examples of the report
    private static final long REPORT_NANOS = 10_000_000_000L; // between two reports
    private static final int REPORT_SHARE = 20; // a report takes at most a twentieth of the time

    /**
     * How often a run saves and measures.
     *
     * @param saveEvery steps between checkpoints, 1 or more
     * @param recallEvery steps between measurements of recall on the test splits; 0 measures at the end only
     */
    public record Schedule(int saveEvery, int recallEvery) {
        /**
         * Checks both numbers.
         *
         * @param saveEvery steps between checkpoints, 1 or more
         * @param recallEvery steps between measurements of recall on the test splits; 0 measures at the end only
         * @throws IllegalArgumentException when one is too small
         */
        public Schedule {
            if (saveEvery < 1) {
                throw new IllegalArgumentException("save every " + saveEvery + " steps: expected 1 or more");
            }
            if (recallEvery < 0) {
                throw new IllegalArgumentException(
                        "recall every " + recallEvery + " steps: expected 1 or more, or 0 to measure only at the end");
            }
        }
    }

    /** Follows a run and can stop it. */
    public interface Listener {
        /**
         * Called after each step.
         *
         * @param step measurements of the step
         */
        void step(Trainer.Step step);

        /**
         * Called when recall was measured, before {@link #step}.
         *
         * @param split name of the test split
         * @param recall recall at 1, mean of both directions
         */
        void recall(String split, double recall);

        /**
         * Returns whether to stop after the current step.
         *
         * @return true to stop
         */
        boolean stopRequested();
    }

    private final RunFolder folder;
    private final Trainer trainer;
    private final Ops ops;
    private final Schedule schedule;
    private final Map<String, String> environment;
    private final Instant started;
    private final EventFile events;
    private final double secondsBefore;
    private final long start = System.nanoTime();
    private long nextReport = start;
    private boolean reportFailed;
    private int leftOutWritten = -1;

    private TrainingRun(
            RunFolder folder, Ops ops, Trainer trainer, Schedule schedule, Map<String, String> environment) {
        this.environment = environment;
        this.started = RunRecord.started(folder.path(), Instant.now());
        this.folder = folder;
        this.ops = ops;
        this.trainer = trainer;
        this.schedule = schedule;
        this.secondsBefore = folder.secondsSpent();
        this.events = EventFile.begin(folder, folder.metrics(), Instant.now().getEpochSecond());
    }

    /**
     * Returns a self-contained HTML page about one run, or a comparison of several runs: recall, curves, configuration
     * and examples.
     *
     * @param folders run folders, one or more, of finished or unfinished runs
     * @return HTML
     * @throws RunFolder.RunFolderException when a folder holds no run
     */
    public static String report(List<Path> folders) {
        return RunReport.of(folders);
    }

    /**
     * Prepares the folder for a new or resumed trainer: removes the metrics of steps that the trainer repeats.
     *
     * @param folder of the run
     * @param ops backend of the trainer
     * @param trainer to run
     * @param schedule of checkpoints and measurements
     * @param environment versions and devices for the report, by name
     * @return the run
     * @throws RunFolder.RunFolderException when the folder cannot be written
     */
    public static TrainingRun begin(
            RunFolder folder, Ops ops, Trainer trainer, Schedule schedule, Map<String, String> environment) {
        folder.forgetAfter(trainer.step());
        restoreLeftOut(folder.path(), trainer);
        folder.writeJson(RunRecord.CONFIG, RunRecord.config(trainer.config(), trainer.origin()));
        return new TrainingRun(folder, ops, trainer, schedule, environment);
    }

    /** Adds what earlier sittings of the run left out. Their keys begin with the path that the data had then. */
    private static void restoreLeftOut(Path run, Trainer trainer) {
        String table = new String(RunRecord.bytes(run.resolve(LEFT_OUT)), StandardCharsets.UTF_8);
        String before =
                String.valueOf(RunRecord.json(run.resolve(RunRecord.CONFIG)).get("data"));
        String now = trainer.config().data();
        String moved = table.lines()
                .map(line -> line.startsWith(before) ? now + line.substring(before.length()) : line)
                .collect(Collectors.joining("\n"));
        trainer.data().leftOut().restore(moved);
    }

    private Map<String, Object> facts() {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("started", started.toString());
        facts.put("device", ops.name());
        facts.put("dataFingerprint", trainer.dataFingerprint());
        if (trainer.splits().isKnown()) { // counting the pairs of shards would index all of them
            facts.put("pairs", trainer.data().ids().length);
            facts.put("trainingPairs", trainer.splits().train().size());
            Map<String, Integer> tests = new LinkedHashMap<>();
            trainer.splits().tests().forEach((name, samples) -> tests.put(name, samples.size()));
            facts.put("testPairs", tests);
        }
        facts.put("augmentation", trainer.config().augmentation().description());
        facts.put("preprocessing", trainer.config().preprocessing().description());
        facts.put("leftOut", trainer.data().leftOut().counts());
        facts.put("parameters", RunSummary.count(trainer.allParameters()));
        facts.put("trainedParameters", RunSummary.trained(trainer));
        facts.put("environment", environment);
        return facts;
    }

    /**
     * Trains to the last step, or until the listener stops the run, and saves a checkpoint.
     *
     * @param listener called after each step
     * @return whether the last step was reached
     * @throws Trainer.TrainingStoppedException when training cannot continue; the report contains the reason
     * @throws RunFolder.RunFolderException when the folder cannot be written
     * @throws CheckpointException when a checkpoint cannot be written
     */
    public boolean train(Listener listener) {
        report("running", true);
        boolean saved = true;
        try {
            while (trainer.hasNext() && !listener.stopRequested()) {
                Map<String, Object> line = step(listener);
                folder.append(line);
                events.append(line);
                saved = trainer.step() % schedule.saveEvery() == 0;
                if (saved) {
                    trainer.save(folder.checkpoints());
                }
                if (System.nanoTime() > nextReport) {
                    report("running", true);
                }
            }
        } catch (Trainer.TrainingStoppedException stopped) {
            report(String.valueOf(stopped.getMessage()), false);
            throw stopped;
        }
        boolean finished = !trainer.hasNext();
        if (!saved || !finished) {
            trainer.save(folder.checkpoints());
        }
        report(finished ? "finished" : "stopped at step " + trainer.step() + ", can be resumed", false);
        return finished;
    }

    private Map<String, Object> step(Listener listener) {
        long waited = trainer.feed().waitedNanos();
        long before = System.nanoTime();
        Trainer.Step step = trainer.next();
        long after = System.nanoTime();
        Map<String, Object> line = new LinkedHashMap<>(step.asMap());
        line.put("pairsPerSecond", trainer.config().batch() * 1e9 / (after - before));
        line.put("dataSeconds", (trainer.feed().waitedNanos() - waited) / 1e9);
        line.put("seconds", seconds());
        line.put("time", System.currentTimeMillis() / 1e3);
        if (schedule.recallEvery() > 0 && step.step() % schedule.recallEvery() == 0) {
            trainer.evaluate().forEach((split, recall) -> {
                line.put("r1." + split, recall.mean1());
                listener.recall(split, recall.mean1());
            });
        }
        listener.step(step);
        return line;
    }

    /**
     * Returns the seconds of training, including the time before a resume.
     *
     * @return seconds
     */
    public double seconds() {
        return secondsBefore + (System.nanoTime() - start) / 1e9;
    }

    /**
     * Measures the recall of a finished run and writes summary.json, examples of retrieval and the report.
     *
     * @return recall by name of the test split
     */
    public Map<String, Trainer.Recall> finish() {
        double seconds = seconds();
        long peak = ops.memory().peakBytes();
        Map<String, Trainer.Recall> recalls = trainer.evaluate();
        folder.writeJson(RunRecord.SUMMARY, RunSummary.of(trainer, recalls, seconds, peak));
        List<Integer> test = trainer.splits().tests().values().stream()
                .findFirst()
                .orElse(trainer.splits().train());
        List<Integer> pool = test.subList(0, Math.min(test.size(), EXAMPLE_POOL));
        try (Search search = new Search(ops, trainer.data(), trainer.embedder(), pool)) {
            folder.write(RunRecord.EXAMPLES, RunSummary.examples(trainer, search, pool));
        }
        report("finished", false);
        return recalls;
    }

    /** Writes the report. Only failures of the folder are thrown; training continues after others. */
    private void report(String status, boolean running) {
        long before = System.nanoTime();
        try {
            // again, because pictures are decoded, and may be left out, during training
            folder.writeJson(RunRecord.FACTS, facts());
            String page = RunReport.html(List.of(RunRecord.read(folder.path()).with(status, running)));
            folder.writeText(RunReport.FILE, page);
            LeftOut leftOut = trainer.data().leftOut();
            int total = leftOut.total();
            if (total != leftOutWritten) {
                folder.writeText(LEFT_OUT, leftOut.table());
                leftOutWritten = total;
            }
        } catch (RunFolder.RunFolderException failure) {
            if (!RunFolder.isHeld(failure.getCause())) {
                throw failure;
            }
            LOG.warn("{}", failure.getMessage()); // a spreadsheet that shows left-out.tsv must not end the training
        } catch (RuntimeException e) {
            if (!reportFailed) {
                LOG.warn("cannot write {}: {}", RunReport.FILE, e.toString());
            }
            reportFailed = true;
        }
        long now = System.nanoTime();
        nextReport = now + Math.max(REPORT_NANOS, REPORT_SHARE * (now - before));
    }
}
