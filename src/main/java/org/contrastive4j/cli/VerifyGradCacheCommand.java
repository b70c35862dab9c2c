package org.contrastive4j.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.gradcache.EquivalenceCheck;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.train.TrainConfig;
import org.contrastive4j.train.Trainer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * Compares the gradients of chunked and whole batches on this machine.
 *
 * <p>Tested by {@code CommandsTest}.
 */
@Command(
        name = "verify-gradcache",
        mixinStandardHelpOptions = true,
        showDefaultValues = true,
        description = "Trains with whole batches and with chunks, with dropout on, and prints the differences.")
final class VerifyGradCacheCommand implements Callable<Integer> {
    /** Options of training that this command replaces by its own, such as --compare-batch for --batch. */
    private static final List<String> REPLACED = List.of("batch", "chunk", "steps");

    @Spec
    private CommandSpec spec;

    @Mixin
    private TrainOptions options;

    @Option(names = "--compare-batch", description = "pairs in a batch")
    private int batch = 64;

    @Option(names = "--compare-chunk", description = "samples encoded at a time in the chunked run")
    private int chunk = 16;

    @Option(names = "--compare-steps", description = "steps of each run")
    private int steps = 20;

    /** The losses of all steps and the final weights. */
    private record Run(List<Double> losses, List<double[]> weights) {}

    /** Hides the replaced options from the help; {@link #call} refuses them by name. */
    static void hideReplaced(CommandSpec command) {
        for (String name : REPLACED) {
            OptionSpec option = command.findOption("--" + name);
            command.remove(option);
            command.addOption(option.toBuilder().hidden(true).build());
        }
    }

    @Override
    public Integer call() {
        for (String name : REPLACED) {
            if (spec.commandLine().getParseResult().hasMatchedOption("--" + name)) {
                throw new IllegalArgumentException("verify-gradcache takes no --" + name + "; use --compare-" + name);
            }
        }
        options.refuseIgnored(spec.commandLine().getParseResult());
        options.batch = batch;
        options.shared.chunk = chunk;
        options.shared.steps = steps;
        options.shared.warmup = Math.min(options.shared.warmup, steps);
        TrainConfig chunked = options.config();
        options.shared.chunk = batch;
        TrainConfig direct = options.config();
        PairDataset data;
        try (StatusLine line = StatusLine.open()) {
            data = DataProgress.open(line, Path.of(direct.data()), direct.strict());
        }
        try (Ops ops = options.shared.backend.open()) {
            EquivalenceCheck.Report report;
            try (Trainer trainer = Trainer.start(ops, chunked, data)) {
                report = trainer.verify(List.of(chunk, chunk));
            }
            System.out.printf(
                    Locale.ROOT,
                    "batch %d, chunks of %d, dropout %.2f, %d steps each on %s in %s%n",
                    batch,
                    chunk,
                    options.shared.dropout,
                    steps,
                    ops.name(),
                    ops.precision());
            System.out.print(report);
            Run whole = run(ops, direct, data);
            Run parts = run(ops, chunked, data);
            double losses = 0;
            for (int k = 0; k < steps; k++) {
                losses = Math.max(
                        losses,
                        Math.abs(whole.losses().get(k) - parts.losses().get(k))
                                / Math.max(whole.losses().get(k), Double.MIN_NORMAL));
            }
            double weights = difference(whole.weights(), parts.weights());
            System.out.printf(
                    Locale.ROOT, "largest relative difference of losses over %d steps: %.2e%n", steps, losses);
            System.out.printf(Locale.ROOT, "relative difference of the final weights: %.2e%n", weights);
            double tolerance = EquivalenceCheck.tolerance(ops.precision());
            boolean agrees = report.agrees(tolerance);
            System.out.println(
                    agrees
                            ? "gradient caching gives the gradient of the whole batch, to rounding"
                            : "the gradients differ by more than rounding (" + tolerance
                                    + "): see the layer named above");
            return agrees ? 0 : 1;
        }
    }

    private static Run run(Ops ops, TrainConfig config, PairDataset data) {
        try (Trainer trainer = Trainer.start(ops, config, data)) {
            List<Double> losses = new ArrayList<>();
            while (trainer.hasNext()) {
                losses.add(trainer.next().loss());
            }
            return new Run(
                    losses,
                    trainer.parameters().stream()
                            .map(p -> p.value().toDoubles())
                            .toList());
        }
    }

    private static double difference(List<double[]> a, List<double[]> b) {
        double squares = 0;
        double norm = 0;
        for (int k = 0; k < a.size(); k++) {
            for (int i = 0; i < a.get(k).length; i++) {
                squares += Math.pow(a.get(k)[i] - b.get(k)[i], 2);
                norm += Math.pow(a.get(k)[i], 2);
            }
        }
        return Math.sqrt(squares / norm);
    }
}
