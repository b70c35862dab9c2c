package org.contrastive4j.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.internal.compare.Comparison;
import org.contrastive4j.loss.Losses;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.train.LossConfig;
import org.contrastive4j.train.RunFolder;
import org.contrastive4j.train.TrainConfig;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * Compares losses and batch sizes on the data of a user.
 *
 * <p>Tested by {@code ComparisonTest}.
 */
@Command(
        name = "compare-losses",
        mixinStandardHelpOptions = true,
        showDefaultValues = true,
        description = "Trains every loss at several batch sizes and seeds, each run on the same number of pairs, and "
                + "writes tables and plots. --steps, --warmup and --learning-rate apply to the largest batch; smaller "
                + "batches take more steps and a learning rate that falls with the square root of the batch size. A "
                + "stopped comparison continues when the command is repeated.")
final class CompareLossesCommand implements Callable<Integer> {
    /** A batch never holds a concept twice, so this loss equals infonce bit for bit. */
    private static final String SAME_AS_INFONCE = "infonce-multipositive";

    @Spec
    private CommandSpec spec;

    @Mixin
    private SharedOptions shared;

    @Option(
            names = "--losses",
            completionCandidates = Candidates.LossNames.class,
            split = ",",
            description = "names, separated by commas; differences are measured against the first; default: all but "
                    + SAME_AS_INFONCE + ", which equals infonce because no batch holds a concept twice")
    private List<String> losses = Losses.allNames().stream()
            .filter(name -> !name.equals(SAME_AS_INFONCE))
            .toList();

    @Option(names = "--batches", split = ",", description = "batch sizes, separated by commas")
    private List<Integer> batches = List.of(64, 256, 1024);

    @Option(
            names = "--seeds",
            split = ",",
            description = "seeds, separated by commas; a seed also decides which concepts are held out")
    private List<Long> seeds = List.of(1L, 2L, 3L);

    @Option(names = "--out", description = "folder of the comparison: a run folder for each run, tables and plots")
    private Path out = Path.of("runs/losses");

    @Option(names = "--save-every", description = "steps between the checkpoints of a run")
    private int saveEvery = 200;

    @Override
    public Integer call() {
        shared.refuseIgnored(spec.commandLine().getParseResult());
        int largest = batches.stream().max(Integer::compare).orElse(0);
        shared.chunk = Math.min(shared.chunk(largest), largest);
        TrainConfig base = shared.config(seeds.get(0), largest, LossConfig.named("infonce", largest));
        try (RunFolder folder = RunFolder.open(out);
                Ops ops = shared.backend.open()) {
            PairDataset data;
            try (StatusLine line = StatusLine.open()) {
                data = DataProgress.open(line, Path.of(base.data()), base.strict());
            }
            Comparison comparison = new Comparison(folder, base, data, losses, batches, seeds, saveEvery);
            List<Comparison.Cell> cells = comparison.cells();
            System.out.printf(
                    Locale.ROOT,
                    "%d runs of %,d pairs each: %d losses, batches of %s, seeds %s%n",
                    cells.size(),
                    comparison.pairs(),
                    losses.size(),
                    listed(batches),
                    listed(seeds));
            List<Comparison.Result> finished = new ArrayList<>();
            List<Comparison.Cell> left = new ArrayList<>();
            for (Comparison.Cell cell : cells) {
                comparison.finished(cell).ifPresentOrElse(finished::add, () -> left.add(cell));
            }
            int skipped = finished.size();
            comparison.report(finished);
            for (Comparison.Cell cell : left) {
                Comparison.Result result = comparison.run(ops, cell);
                finished.add(result);
                System.out.println(finished.size() + " of " + cells.size() + ": " + described(result));
                comparison.report(finished);
            }
            System.out.println(skipped + " runs were finished before; tables and plots: " + out.resolve("table.md"));
            return 0;
        }
    }

    private static String listed(List<?> values) {
        return values.stream().map(String::valueOf).collect(Collectors.joining(", "));
    }

    private static String described(Comparison.Result result) {
        String recalls = result.recall().entrySet().stream()
                .map(entry -> String.format(Locale.ROOT, "%s R@1 %.1f%%", entry.getKey(), 100 * entry.getValue()))
                .collect(Collectors.joining(", "));
        return String.format(
                Locale.ROOT,
                "%s: %s (%.0f s)",
                result.cell(),
                result.stopped() == null ? recalls : result.stopped(),
                result.seconds());
    }
}
