package org.contrastive4j.cli;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.train.Checkpoint;
import org.contrastive4j.train.CheckpointException;
import org.contrastive4j.train.RunFolder;
import org.contrastive4j.train.RunSummary;
import org.contrastive4j.train.Search;
import org.contrastive4j.train.TrainConfig;
import org.contrastive4j.train.Trainer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Trains an image and a text encoder. */
@Command(
        name = "train",
        mixinStandardHelpOptions = true,
        showDefaultValues = true,
        description = "Trains an image and a text encoder on image-text pairs and reports held-out retrieval.")
final class TrainCommand implements Callable<Integer> {
    private static final int STOPPED = 130; // as after an interrupt
    private static final int EXAMPLE_POOL = 2000; // pictures searched for the report

    @Mixin
    private TrainOptions options;

    @Option(names = "--out", description = "run folder: config, metrics, checkpoints, summary, report")
    private Path out = Path.of("runs/emoji");

    @Option(names = "--resume", description = "continue the run in --out from its newest checkpoint")
    private boolean resume;

    @Option(names = "--save-every", description = "steps between checkpoints")
    private int saveEvery = 100;

    @Option(
            names = "--recall-every",
            description = "steps between measurements of recall on the test splits, 0 for only at the end")
    private int recallEvery = 100;

    private volatile boolean stopRequested;
    private final CountDownLatch ended = new CountDownLatch(1);

    @Override
    public Integer call() {
        Thread hook = new Thread(this::stopAndWait, "save-on-interrupt");
        Runtime.getRuntime().addShutdownHook(hook);
        try (RunFolder folder = RunFolder.open(out)) {
            Optional<Path> latest = folder.checkpoints().latest();
            if (resume && latest.isEmpty()) {
                throw new CheckpointException("nothing to resume in " + out + ": it has no checkpoint");
            }
            if (!resume && latest.isPresent()) {
                throw new IllegalArgumentException(out + " holds a run already ("
                        + latest.get().getFileName() + "); continue it with --resume, or choose another --out");
            }
            TrainConfig wanted = latest.isEmpty() ? options.config() : Trainer.config(latest.get());
            try (Ops ops = options.shared.backend.open(wanted.precision())) {
                return train(folder, ops, wanted, latest);
            }
        } finally {
            ended.countDown();
            removeHook(hook);
        }
    }

    private int train(RunFolder folder, Ops ops, TrainConfig wanted, Optional<Path> latest) {
        try (StatusLine line = StatusLine.open()) {
            PairDataset data = DataProgress.open(line, Path.of(wanted.data()), wanted.strict());
            try (Trainer trainer =
                    latest.isEmpty() ? Trainer.start(ops, wanted, data) : Trainer.resume(ops, data, latest.get())) {
                describe(trainer, ops, latest);
                folder.forgetAfter(trainer.step());
                folder.writeJson("config.json", trainer.config());
                double seconds = steps(trainer, folder, line);
                if (stopRequested) {
                    trainer.save(folder.checkpoints());
                    System.out.printf(
                            "saved at step %d; continue with: train --resume --out %s%n", trainer.step(), out);
                    return STOPPED;
                }
                finish(trainer, folder, ops, seconds);
                return 0;
            }
        }
    }

    private static void describe(Trainer trainer, Ops ops, Optional<Path> latest) {
        TrainConfig config = trainer.config();
        System.out.printf(
                Locale.ROOT,
                "%d training pairs of %s on %s in %s; batches of %d pairs in chunks of %s%n",
                trainer.splits().train().size(),
                config.data(),
                ops.name(),
                ops.precision(),
                config.batch(),
                config.chunk() == 0 ? "whatever fits" : Integer.toString(config.chunk()));
        trainer.data()
                .leftOut()
                .counts()
                .forEach((reason, count) -> System.out.println("left out " + count + ": " + reason));
        latest.ifPresent(path -> System.out.println("continuing from " + path));
        if (config.accumulation() == TrainConfig.Accumulation.FEATURES) {
            System.out.println("features accumulated: one loss for each chunk, no plan of the memory");
        } else {
            System.out.print(trainer.memoryPlan());
        }
    }

    /** Returns the seconds spent, those of earlier sittings included. */
    private double steps(Trainer trainer, RunFolder folder, StatusLine line) {
        Checkpoint checkpoints = folder.checkpoints();
        double before = folder.secondsSpent();
        long start = System.nanoTime();
        int total = trainer.config().steps();
        try (Progress progress =
                new Progress(line, trainer.step(), total, trainer.config().batch())) {
            while (trainer.hasNext() && !stopRequested) {
                Trainer.Step step = trainer.next();
                Map<String, Object> metrics = new LinkedHashMap<>(step.asMap());
                metrics.put("seconds", before + (System.nanoTime() - start) / 1e9);
                if (recallEvery > 0 && step.step() % recallEvery == 0) {
                    measure(trainer, progress, metrics);
                }
                folder.append(metrics);
                progress.step(step);
                if (step.step() % saveEvery == 0 || step.step() == total) {
                    trainer.save(checkpoints);
                }
            }
        }
        return before + (System.nanoTime() - start) / 1e9;
    }

    private static void measure(Trainer trainer, Progress progress, Map<String, Object> line) {
        trainer.evaluate().forEach((split, recall) -> {
            double r1 = (recall.imageToText().recall1() + recall.textToImage().recall1()) / 2;
            line.put("r1." + split, r1);
            progress.recall(split, r1);
        });
    }

    private void finish(Trainer trainer, RunFolder folder, Ops ops, double seconds) {
        long peak = ops.memory().peakBytes();
        Map<String, Trainer.Recall> recalls = trainer.evaluate();
        List<Integer> test = trainer.splits().tests().values().stream()
                .findFirst()
                .orElse(trainer.splits().train());
        List<Integer> pool = test.subList(0, Math.min(test.size(), EXAMPLE_POOL));
        try (Search search = new Search(ops, trainer.data(), trainer.embedder(), pool)) {
            RunSummary.write(trainer, folder, recalls, search, pool, seconds, peak);
        }
        System.out.println();
        System.out.print(RunSummary.table(recalls));
        System.out.printf(
                Locale.ROOT,
                "%,d pairs in %.0f s, at most %.0f MiB of tensors%n",
                (long) trainer.step() * trainer.config().batch(),
                seconds,
                peak / 1048576.0);
        System.out.println("report: " + out.resolve("report.html") + ", numbers: " + out.resolve("summary.json"));
    }

    /** On Ctrl-C: lets the current step end, and waits until it is saved. */
    private void stopAndWait() {
        stopRequested = true;
        try {
            ended.await(60, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static void removeHook(Thread hook) {
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException shuttingDown) {
            // the hook is running: it ends because the latch is down
        }
    }
}
