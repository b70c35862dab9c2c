package org.contrastive4j.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.contrastive4j.data.Pair;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.data.Tokenizer;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.pretrained.PretrainedModel;
import org.contrastive4j.pretrained.PretrainedModel.TextTokenizer;
import org.contrastive4j.train.Embedder;
import org.contrastive4j.train.Search;
import org.contrastive4j.train.TrainConfig;
import org.contrastive4j.train.TrainedModel;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * Finds the pictures that match a text.
 *
 * <p>Tested by {@code CommandsTest}.
 */
@Command(
        name = "search",
        mixinStandardHelpOptions = true,
        showDefaultValues = true,
        description = "Finds the pictures that are most similar to a text, and draws them on a contact sheet.")
final class SearchCommand implements Callable<Integer> {
    private static final String ALL_GROUPS = "all";

    @Parameters(index = "0", description = "text to search for, such as \"umbrella in the rain\"")
    private String text;

    @Option(names = "--run", description = "run folder of a finished or running training")
    private Path run = Path.of("runs/emoji");

    @Option(names = "--data", description = "pairs to search; default: the pairs of the run")
    private @Nullable Path data;

    @Option(names = "--group", description = "group to search, \"all\" for all; default: the held-out group of the run")
    private @Nullable String group;

    @Option(names = "--top", description = "number of distinct pictures to list")
    private int top = 10;

    @Option(
            names = "--sheet",
            description = "contact sheet to write, a .png or .jpg file; default: search.png in the run folder")
    private @Nullable Path sheet;

    @Mixin
    private FromOptions from;

    @Mixin
    private BackendOptions backend;

    @Override
    public Integer call() {
        List<String> words = Tokenizer.words(text);
        if (words.isEmpty()) {
            throw new IllegalArgumentException("\"" + text + "\" has no word to search for");
        }
        if (top < 1) {
            throw new IllegalArgumentException("--top is " + top + ", expected 1 or more");
        }
        if (from.isPretrained()) {
            return pretrained();
        }
        Path target = sheet != null ? sheet : run.resolve("search.png");
        String format = format(target);
        if (sheet != null) {
            OutputFiles.requireWritable("--sheet", sheet);
        }
        try (Ops ops = backend.open();
                TrainedModel model = TrainedModel.load(ops, run)) {
            OutputFiles.requireWritable("--sheet", target); // the run folder exists, since the model was found in it
            requireKnown(model.tokenizer(), words);
            PairDataset pairs = DataProgress.of(model.config(), data);
            List<Integer> samples = samples(pairs, model.config());
            search(ops, pairs, model.embedder(pairs), samples, target, format);
            return 0;
        }
    }

    /** Searches --data, or one group of it, with a pretrained model. */
    private int pretrained() {
        if (data == null) {
            throw new IllegalArgumentException(
                    "a pretrained model has no pairs of its own; name a folder of pairs with --data");
        }
        Path target = sheet != null ? sheet : Path.of("search.png");
        String format = format(target);
        OutputFiles.requireWritable("--sheet", target);
        try (Ops ops = backend.open();
                PretrainedModel model = from.open(ops);
                TextTokenizer tokenizer = model.tokenizer()) {
            PairDataset pairs = PairDataset.open(data, false);
            List<Integer> samples = pairs.pairs().stream()
                    .filter(pair ->
                            group == null || group.equals("all") || pair.group().equals(group))
                    .map(Pair::id)
                    .toList();
            if (samples.isEmpty()) {
                throw new IllegalArgumentException(noGroup(group, pairs));
            }
            search(ops, pairs, model.embedder(pairs, tokenizer), samples, target, format);
            return 0;
        }
    }

    private void search(
            Ops ops, PairDataset pairs, Embedder embedder, List<Integer> samples, Path target, String format) {
        try (Search search = new Search(ops, pairs, embedder, samples)) {
            for (Search.Match match : search.find(text, top)) {
                Pair pair = pairs.pair(match.sample());
                System.out.printf(Locale.ROOT, "%.3f  %s  [%s]%n", match.score(), pair.caption(), pair.picture());
            }
            OutputFiles.write(target, search.sheet(text, top, format));
            System.out.println("contact sheet: " + target);
        }
    }

    private static String noGroup(@Nullable String group, PairDataset pairs) {
        return "no pictures of group " + group + "; "
                + (pairs.groups().isEmpty() ? "the pairs have no groups" : "the groups are " + pairs.groups());
    }

    private static String format(Path target) {
        String name = target.toString().toLowerCase(Locale.ROOT);
        if (name.endsWith(".png")) {
            return "png";
        }
        if (name.endsWith(".jpg") || name.endsWith(".jpeg")) {
            return "jpg";
        }
        throw new IllegalArgumentException("--sheet " + target + ": expected a name that ends in .png, .jpg or .jpeg");
    }

    private void requireKnown(Tokenizer tokenizer, List<String> words) {
        List<String> unknown =
                words.stream().filter(word -> !tokenizer.knows(word)).distinct().toList();
        if (unknown.size() == words.stream().distinct().count()) {
            throw new IllegalArgumentException("no word of \"" + text
                    + "\" occurs in the captions that the model was trained on; it cannot find pictures for it");
        }
        if (!unknown.isEmpty()) {
            System.out.println("not in the captions that the model was trained on: " + String.join(", ", unknown));
        }
    }

    private List<Integer> samples(PairDataset pairs, TrainConfig config) {
        String heldOut = config.heldOutGroup().isEmpty() || data != null ? ALL_GROUPS : config.heldOutGroup();
        String searched = group != null ? group : heldOut;
        List<Integer> samples = pairs.pairs().stream()
                .filter(pair -> searched.equals(ALL_GROUPS) || searched.equals(pair.group()))
                .map(Pair::id)
                .toList();
        if (samples.isEmpty()) {
            throw new IllegalArgumentException(noGroup(searched, pairs));
        }
        return samples;
    }
}
