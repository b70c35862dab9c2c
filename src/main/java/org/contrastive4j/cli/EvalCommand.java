package org.contrastive4j.cli;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.zip.CRC32;
import org.contrastive4j.data.Pair;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.data.Splits;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.pretrained.PretrainedModel;
import org.contrastive4j.pretrained.PretrainedModel.TextTokenizer;
import org.contrastive4j.train.Classification;
import org.contrastive4j.train.Embedder;
import org.contrastive4j.train.Retrieval;
import org.contrastive4j.train.TrainedModel;
import org.contrastive4j.train.Trainer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.Spec;

/**
 * Measures a trained model.
 *
 * <p>Tested by {@code CommandsTest}.
 */
@Command(
        name = "eval",
        mixinStandardHelpOptions = true,
        showDefaultValues = true,
        description =
                "Measures retrieval in both directions, zero-shot classification from prompts, and a linear probe.")
final class EvalCommand implements Callable<Integer> {
    private static final int PROBE_PARTS = 5; // of which one is tested on

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

    @Option(
            names = "--embeddings",
            paramLabel = "<file>",
            description = "measure representations that embed or another program wrote, instead of embedding pairs: a "
                    + "Parquet file, or the folder of pictures.npy, captions.npy and keys.tsv; with --classes, the "
                    + "model of --run or --from embeds the texts of classes")
    private @Nullable Path embeddings;

    @Mixin
    private FromOptions from;

    @Mixin
    private BackendOptions backend;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        boolean isPretrained = from.isPretrained();
        if (embeddings != null) {
            return stored(embeddings, isPretrained);
        }
        return isPretrained ? pretrained() : ofRun();
    }

    /** Measures stored representations on all their pairs. */
    private int stored(Path file, boolean isPretrained) {
        ParseResult given = spec.commandLine().getParseResult();
        IgnoredOptions.refuse(
                given, List.of("--data"), "cannot be combined with --embeddings, which has its own pairs");
        boolean classifies = given.hasMatchedOption("--classes");
        if (!classifies) {
            IgnoredOptions.refuse(
                    given, List.of("--prompt", "--run", "--from"), "only for classification; give --classes too");
        }
        EmbeddingFiles.Table table = EmbeddingFiles.read(file);
        PairDataset pairs = PairDataset.of(file, table.pairs(), table.unreadable());
        List<Integer> all = ids(pairs);
        try (Ops ops = backend.open()) {
            Embedder rows = Embedder.stored(ops, pairs, table.pictures(), table.captions(), null);
            recall(ops, rows, Map.of("all", all));
            if (!classifies) {
                return 0;
            }
            if (isPretrained) {
                try (PretrainedModel model = from.open(ops);
                        TextTokenizer tokenizer = model.tokenizer()) {
                    classifyAll(ops, pairs, withTexts(ops, pairs, table, model.embedder(pairs, tokenizer)));
                }
            } else {
                try (TrainedModel model = TrainedModel.load(ops, run)) {
                    classifyAll(ops, pairs, withTexts(ops, pairs, table, model.embedder(pairs)));
                }
            }
            return 0;
        }
    }

    private static Embedder withTexts(Ops ops, PairDataset pairs, EmbeddingFiles.Table table, Embedder model) {
        return Embedder.stored(ops, pairs, table.pictures(), table.captions(), model);
    }

    private static List<Integer> ids(PairDataset pairs) {
        return pairs.pairs().stream().map(Pair::id).toList();
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
            recall(ops, embedder, Map.of("all", ids(pairs)));
            classifyAll(ops, pairs, embedder);
            return 0;
        }
    }

    private int ofRun() {
        try (Ops ops = backend.open();
                TrainedModel model = TrainedModel.load(ops, run)) {
            PairDataset pairs = DataProgress.of(model.config(), data);
            Embedder embedder = model.embedder(pairs);
            if (data != null) {
                recall(ops, embedder, Map.of("all", ids(pairs)));
                classifyAll(ops, pairs, embedder);
                return 0;
            }
            Splits own = model.splits(pairs);
            recall(ops, embedder, own.tests());
            List<Integer> test = own.tests().values().stream().findFirst().orElse(own.train());
            classify(ops, pairs, embedder, own.train(), test, test);
            return 0;
        }
    }

    private static void recall(Ops ops, Embedder embedder, Map<String, List<Integer>> splits) {
        Map<String, Trainer.Recall> recalls = new LinkedHashMap<>();
        splits.forEach((name, samples) -> recalls.put(name, Retrieval.both(ops, embedder, samples)));
        System.out.print(RecallTable.of(recalls));
    }

    /** Classifies all pairs of data that were not trained on; the probe is tested on a fifth of the pictures. */
    private void classifyAll(Ops ops, PairDataset pairs, Embedder embedder) {
        List<Integer> all = ids(pairs);
        List<Integer> tested =
                all.stream().filter(id -> isTested(pairs.pair(id).picture())).toList();
        List<Integer> trained =
                all.stream().filter(id -> !isTested(pairs.pair(id).picture())).toList();
        classify(ops, pairs, embedder, trained, tested, all);
    }

    /** Returns whether a picture is in the test part of the probe: by its key, so that all its captions are. */
    private static boolean isTested(String picture) {
        CRC32 hash = new CRC32();
        hash.update(picture.getBytes(StandardCharsets.UTF_8));
        return hash.getValue() % PROBE_PARTS == 0;
    }

    /**
     * @param train pairs that the probe is fitted on
     * @param test pairs that the probe is measured on
     * @param all pairs of zero-shot classification
     */
    private void classify(
            Ops ops, PairDataset pairs, Embedder embedder, List<Integer> train, List<Integer> test, List<Integer> all) {
        Classification classification = new Classification(ops, pairs, embedder, classes, prompts);
        List<String> missing = classification.unmatched(all);
        if (missing.size() == classes.size()) {
            System.out.println("no classification: no caption names one of the classes " + classes
                    + "; name classes of these data with --classes");
            return;
        }
        if (!missing.isEmpty()) {
            System.out.println("classes that no caption names: " + String.join("; ", missing));
        }
        print("zero-shot, " + prompts.size() + " prompts for each class", classification.zeroShot(all));
        if (classification.unmatched(train).size() == classes.size()
                || classification.unmatched(test).size() == classes.size()) {
            System.out.println("no linear probe: too few pictures have a class");
            return;
        }
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
