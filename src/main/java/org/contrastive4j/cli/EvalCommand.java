package org.contrastive4j.cli;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.contrastive4j.data.Pair;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.data.Splits;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.pretrained.PretrainedModel;
import org.contrastive4j.pretrained.TextTokenizer;
import org.contrastive4j.train.Classification;
import org.contrastive4j.train.Embedder;
import org.contrastive4j.train.Retrieval;
import org.contrastive4j.train.TrainedModel;
import org.contrastive4j.train.Trainer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Measures a trained model. */
@Command(
        name = "eval",
        mixinStandardHelpOptions = true,
        showDefaultValues = true,
        description =
                "Measures retrieval in both directions, zero-shot classification from prompts, and a linear probe.")
final class EvalCommand implements Callable<Integer> {
    @Option(names = "--run", description = "run folder of a finished or running training")
    private Path run = Path.of("runs/emoji");

    @Option(names = "--data", description = "pairs to measure on; default: the test splits of the run")
    private @Nullable Path data;

    @Option(
            names = "--classes",
            split = ";",
            description = "classes for zero-shot classification and the linear probe, "
                    + "separated by semicolons; a picture belongs to the first class whose word its caption has")
    private List<String> classes =
            List.of("face", "flag", "animal", "clock", "heart", "hand", "person", "vehicle", "fruit", "arrow");

    @Option(
            names = "--prompt",
            description =
                    "text for a class, with {} for its name; the option may be repeated: the representations of all "
                            + "texts of a class are averaged")
    private List<String> prompts = List.of("{}");

    @Mixin
    private FromOptions from;

    @Mixin
    private BackendOptions backend;

    @Override
    public Integer call() {
        return from.isPretrained() ? pretrained() : ofRun();
    }

    /** Measures a pretrained model on all pairs of --data. */
    private int pretrained() {
        if (data == null) {
            throw new IllegalArgumentException(
                    "a pretrained model has no pairs of its own; name a folder of pairs with --data");
        }
        try (Ops ops = backend.open();
                PretrainedModel model = from.open(ops);
                TextTokenizer tokenizer = model.tokenizer()) {
            PairDataset pairs = PairDataset.open(data, false);
            Embedder embedder = model.embedder(pairs, tokenizer);
            List<Integer> all = pairs.pairs().stream().map(Pair::id).toList();
            System.out.print(RecallTable.of(Map.of("all", Retrieval.both(ops, embedder, all))));
            classify(ops, pairs, embedder, all, all);
            return 0;
        }
    }

    private int ofRun() {
        try (Ops ops = backend.open();
                TrainedModel model = TrainedModel.load(ops, run)) {
            PairDataset pairs = model.data(data);
            Embedder embedder = model.embedder(pairs);
            Map<String, List<Integer>> splits = new LinkedHashMap<>();
            Splits own = data == null ? model.splits(pairs) : null;
            if (own == null) {
                splits.put("all", pairs.pairs().stream().map(Pair::id).toList());
            } else {
                splits.putAll(own.tests());
            }
            Map<String, Trainer.Recall> recalls = new LinkedHashMap<>();
            splits.forEach((name, samples) -> recalls.put(name, Retrieval.both(ops, embedder, samples)));
            System.out.print(RecallTable.of(recalls));
            List<Integer> test = splits.values().iterator().next();
            List<Integer> train = own == null ? test : own.train();
            classify(ops, pairs, embedder, train, test);
            return 0;
        }
    }

    private void classify(Ops ops, PairDataset pairs, Embedder embedder, List<Integer> train, List<Integer> test) {
        Classification classification = new Classification(ops, pairs, embedder, classes, prompts);
        List<String> missing = classification.unmatched(test);
        if (missing.size() == classes.size() || classification.unmatched(train).size() == classes.size()) {
            System.out.println("no classification: no caption names one of the classes " + classes
                    + "; name classes of these data with --classes");
            return;
        }
        if (!missing.isEmpty()) {
            System.out.println("classes that no caption names: " + String.join("; ", missing));
        }
        print("zero-shot, " + prompts.size() + " prompts for each class", classification.zeroShot(test));
        Classification.Probe probe = classification.linearProbe(train, test);
        print(String.format(Locale.ROOT, "linear probe, lambda %.0e", probe.lambda()), probe.result());
    }

    private void print(String what, Classification.Result result) {
        System.out.printf(
                Locale.ROOT,
                "%s: top-1 %.1f%%, top-5 %.1f%% of %d pictures in %d classes (largest class %.1f%%); %d pictures have"
                        + " no class%n",
                what,
                100 * result.accuracy(),
                100 * result.top5(),
                result.pictures(),
                classes.size(),
                100 * result.largestClass(),
                result.unlabelled());
    }
}
