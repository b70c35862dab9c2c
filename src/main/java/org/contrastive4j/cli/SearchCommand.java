package org.contrastive4j.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.contrastive4j.data.Pair;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.train.ContactSheet;
import org.contrastive4j.train.Search;
import org.contrastive4j.train.TrainedModel;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Finds pictures for a text. */
@Command(
        name = "search",
        mixinStandardHelpOptions = true,
        showDefaultValues = true,
        description = "Finds the pictures that fit a text best, and draws them on a contact sheet.")
final class SearchCommand implements Callable<Integer> {
    @Parameters(index = "0", description = "what to look for, e.g. \"umbrella in the rain\"")
    private String text;

    @Option(names = "--run", description = "run folder of a finished or running training")
    private Path run = Path.of("runs/emoji");

    @Option(names = "--data", description = "search these pairs instead of those of the run")
    private Path data;

    @Option(
            names = "--group",
            description = "search only this group; \"all\" for all; by default the held-out group of the run")
    private String group;

    @Option(names = "--top", description = "number of matches")
    private int top = 10;

    @Option(
            names = "--sheet",
            description = "where to write the contact sheet; by default search.png in the run folder")
    private Path sheet;

    @Mixin
    private BackendOptions backend;

    @Override
    public Integer call() throws IOException {
        try (Ops ops = backend.open();
                TrainedModel model = TrainedModel.load(ops, run)) {
            PairDataset pairs = model.data(data);
            String wanted = group != null
                    ? group
                    : model.config().heldOutGroup().isEmpty() || data != null
                            ? "all"
                            : model.config().heldOutGroup();
            List<Integer> samples = pairs.pairs().stream()
                    .filter(sample -> wanted.equals("all") || sample.group().equals(wanted))
                    .map(Pair::id)
                    .toList();
            if (samples.isEmpty()) {
                throw new IllegalArgumentException("no pictures of group " + wanted + "; there are " + pairs.groups());
            }
            try (Search search = new Search(ops, pairs, model.embedder(pairs), samples)) {
                for (Search.Match match : search.find(text, top)) {
                    Pair sample = pairs.pair(match.sample());
                    System.out.printf(
                            Locale.ROOT, "%.3f  %s  [%s]%n", match.score(), sample.caption(), sample.picture());
                }
                Path target = sheet != null ? sheet : run.resolve("search.png");
                Files.write(
                        target,
                        ContactSheet.png(List.of(search.row(
                                text, -1, top, model.config().model().image().imageSize()))));
                System.out.println("contact sheet: " + target);
            }
            return 0;
        }
    }
}
