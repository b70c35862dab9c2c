package org.contrastive4j.cli;

import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.contrastive4j.Backend;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.pretrained.FineTunedModel;
import org.contrastive4j.train.Checkpoint.CheckpointException;
import org.contrastive4j.train.RunFolder;
import org.contrastive4j.train.TrainConfig;
import org.contrastive4j.train.Trainer;
import org.contrastive4j.train.TrainingRun;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.Spec;

/**
 * Trains an image and a text encoder.
 *
 * <p>Tested by {@code CommandsTest}.
 */
@Command(
        name = "train",
        mixinStandardHelpOptions = true,
        showDefaultValues = true,
        description = "Trains an image and a text encoder on image-text pairs and reports held-out retrieval. Ctrl-C "
                + "saves a checkpoint and stops. --resume continues the run in --out; --steps, --learning-rate, "
                + "--memory, --save-every, --recall-every, --device and the path of --data may then differ from the "
                + "run. The data must be those of the run: a changed list of pairs is "
                + "refused, and so are changed pictures (compared are the sizes of all files and the contents of the "
                + "first 256 MiB; after that, both ends of 65,536 files).")
final class TrainCommand implements Callable<Integer> {
    private static final int STOPPED = 130; // 128 + SIGINT, as shells report an interrupt

    @Spec
    private CommandSpec spec;

    @Mixin
    private TrainOptions options;

    @Mixin
    private PretrainedTraining pretrained;

    @Option(names = "--out", description = "run folder: configuration, metrics, checkpoints, summary, report")
    private Path out = Path.of("runs/emoji");

    @Option(names = "--resume", description = "continue the run in --out from its newest checkpoint")
    private boolean resume;

    @Option(names = "--save-every", description = "steps between checkpoints")
    private int saveEvery = 100;

    @Option(
            names = "--recall-every",
            description = "steps between measurements of recall on the test splits; 0 measures at the end only")
    private int recallEvery = 100;

    @SuppressWarnings("NullAway.Init") // set by call
    private Interruption interruption;

    @Override
    public Integer call() {
        TrainingRun.Schedule schedule = new TrainingRun.Schedule(saveEvery, recallEvery);
        ParseResult given = spec.commandLine().getParseResult();
        try (Interruption handled = Interruption.handle(out)) {
            interruption = handled;
            return train(schedule, given);
        }
    }

    private int train(TrainingRun.Schedule schedule, ParseResult given) {
        try (RunFolder folder = RunFolder.open(out);
                StatusLine line = StatusLine.open()) {
            interruption.replaces(line);
            Optional<Path> latest = folder.checkpoints().latest();
            if (resume && latest.isEmpty()) {
                throw new CheckpointException("nothing to resume in " + out + ": it has no checkpoint");
            }
            if (!resume && latest.isPresent()) {
                throw new IllegalArgumentException(out + " holds a run already ("
                        + latest.get().getFileName() + "); continue it with --resume, or choose another --out");
            }
            Map<String, Object> origin = latest.isEmpty() ? Map.of() : Trainer.origin(latest.get());
            boolean fineTunes = latest.isEmpty() ? pretrained.from != null : !origin.isEmpty();
            pretrained.checkOptions(given, fineTunes);
            if (latest.isEmpty() && !fineTunes) {
                options.refuseIgnored(given);
            }
            TrainConfig config =
                    latest.isEmpty() ? options.config() : ResumeOptions.config(given, Trainer.config(latest.get()));
            try (Ops ops = options.shared.backend.open(config.precision())) {
                PairDataset data = DataProgress.ofRun(line, config);
                line.show("preparing: splits, tokenizer and digest of the data");
                if (!fineTunes) {
                    Trainer trainer = latest.isEmpty()
                            ? Trainer.start(ops, config, data)
                            : Trainer.resume(ops, data, latest.get(), config);
                    return train(folder, ops, trainer, null, latest, schedule, line);
                }
                FineTunedModel model = latest.isEmpty()
                        ? pretrained.open(ops, config.seed())
                        : pretrained.reopen(ops, given, origin, config.seed());
                Trainer trainer = latest.isEmpty()
                        ? Trainer.start(ops, PretrainedTraining.config(given, config, model), data, model)
                        : Trainer.resume(ops, data, latest.get(), config, model);
                return train(folder, ops, trainer, model, latest, schedule, line);
            }
        }
    }

    /** @param model pretrained model of the trainer; null for a new one */
    private int train(
            RunFolder folder,
            Ops ops,
            Trainer trainer,
            @Nullable FineTunedModel model,
            Optional<Path> latest,
            TrainingRun.Schedule schedule,
            StatusLine line) {
        try (trainer) {
            line.clear();
            describe(trainer, ops, latest);
            if (model != null) {
                System.out.printf(Locale.ROOT, "%,d trained parameters%n", trained(trainer));
            }
            TrainingRun run = TrainingRun.begin(folder, ops, trainer, schedule, Backend.libraries());
            interruption.trains();
            boolean finished = train(run, trainer, line);
            line.clear();
            if (model != null) {
                PretrainedTraining.save(model, out);
            }
            if (!finished) {
                System.out.printf(
                        Locale.ROOT, "saved at step %d; continue with: train --resume --out %s%n", trainer.step(), out);
                return STOPPED;
            }
            interruption.measures();
            line.show("measuring recall");
            finish(run, trainer, ops, line);
            return 0;
        }
    }

    private boolean train(TrainingRun run, Trainer trainer, StatusLine line) {
        int total = trainer.config().steps();
        int batch = trainer.config().batch();
        try (Progress progress = new Progress(line, trainer.step(), total, batch)) {
            return run.train(new TrainingRun.Listener() {
                @Override
                public void step(Trainer.Step step) {
                    progress.step(step);
                }

                @Override
                public void recall(String split, double recall) {
                    progress.recall(split, recall);
                }

                @Override
                public boolean stopRequested() {
                    return interruption.isRequested();
                }
            });
        }
    }

    private static void describe(Trainer trainer, Ops ops, Optional<Path> latest) {
        TrainConfig config = trainer.config();
        System.out.printf(
                Locale.ROOT,
                "%s of %s on %s in %s; batches of %,d pairs in chunks of %s%n",
                trainer.splits().isKnown()
                        ? String.format(
                                Locale.ROOT,
                                "%,d training pairs",
                                trainer.splits().train().size())
                        : "shards",
                config.data(),
                ops.name(),
                ops.precision(),
                config.batch(),
                config.chunk() == 0 ? "a size that fits the budget" : Integer.toString(config.chunk()));
        leftOut(trainer);
        latest.ifPresent(path -> System.out.println("continuing from " + path));
        if (config.accumulation() == TrainConfig.Accumulation.FEATURES) {
            System.out.println("one loss for each chunk (--accumulate features); memory is not planned");
        } else {
            System.out.print(trainer.memoryTable());
        }
    }

    private static long trained(Trainer trainer) {
        return trainer.parameters().stream()
                .filter(parameter -> !parameter.isFrozen())
                .mapToLong(parameter -> parameter.value().size())
                .sum();
    }

    private static void leftOut(Trainer trainer) {
        trainer.data()
                .leftOut()
                .counts()
                .forEach((reason, count) -> System.out.printf(Locale.ROOT, "left out %,d: %s%n", count, reason));
    }

    private void finish(TrainingRun run, Trainer trainer, Ops ops, StatusLine line) {
        double seconds = run.seconds();
        Map<String, Trainer.Recall> recalls = run.finish();
        line.clear();
        System.out.print(RecallTable.of(recalls));
        leftOut(trainer); // again: pictures are decoded during training, which may find more of them broken
        System.out.printf(
                Locale.ROOT,
                "%,d pairs in %.0f s, at most %.0f MiB of tensors%n",
                (long) trainer.step() * trainer.config().batch(),
                seconds,
                ops.memory().peakBytes() / 1048576.0);
        System.out.println("report: " + out.resolve("report.html") + ", numbers: " + out.resolve("summary.json"));
    }
}
