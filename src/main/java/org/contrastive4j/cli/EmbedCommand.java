package org.contrastive4j.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.contrastive4j.data.Pair;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.internal.files.FileErrors;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.pretrained.PretrainedModel;
import org.contrastive4j.pretrained.TextTokenizer;
import org.contrastive4j.tensor.Tensor;
import org.contrastive4j.train.Embedder;
import org.contrastive4j.train.TrainedModel;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Writes the representations of pairs to files. */
@Command(
        name = "embed",
        mixinStandardHelpOptions = true,
        showDefaultValues = true,
        description =
                "Writes unit representations of pictures and captions to pictures.npy and captions.npy, one row for "
                        + "each pair. keys.tsv has a line for each row: id of the pair in the data set, picture, "
                        + "caption, and whether the picture is readable; an unreadable picture is embedded as a grey "
                        + "one.")
final class EmbedCommand implements Callable<Integer> {
    private static final String PICTURES = "pictures.npy";
    private static final String CAPTIONS = "captions.npy";
    private static final String KEYS = "keys.tsv";

    @Mixin
    private FromOptions from;

    @Option(names = "--run", description = "run folder of a finished or running training")
    private Path run = Path.of("runs/emoji");

    @Option(names = "--data", description = "pairs to embed; default: the pairs of the run")
    private @Nullable Path data;

    @Option(names = "--out", required = true, description = "folder to write")
    private Path out;

    @Mixin
    private BackendOptions backend;

    @Override
    public Integer call() {
        boolean pretrained = from.isPretrained();
        if (pretrained && data == null) {
            throw new IllegalArgumentException(
                    "a pretrained model has no pairs of its own; name a folder of pairs with --data");
        }
        OutputFiles.requireWritableFolder("--out", out, List.of(PICTURES, CAPTIONS, KEYS));
        try {
            embed(pretrained);
            return 0;
        } catch (IOException e) {
            throw new IllegalArgumentException("--out " + out + " cannot be written: " + FileErrors.reason(e), e);
        }
    }

    private void embed(boolean pretrained) throws IOException {
        try (Ops ops = backend.open()) {
            if (!pretrained) {
                try (TrainedModel model = TrainedModel.load(ops, run)) {
                    PairDataset pairs = DataProgress.of(model.config(), data);
                    write(pairs, model.embedder(pairs));
                }
                return;
            }
            try (PretrainedModel model = from.open(ops);
                    TextTokenizer tokenizer = model.tokenizer()) {
                PairDataset pairs = PairDataset.open(Objects.requireNonNull(data), false);
                write(pairs, model.embedder(pairs, tokenizer));
            }
        }
    }

    private void write(PairDataset pairs, Embedder embedder) throws IOException {
        List<Integer> all = pairs.pairs().stream().map(Pair::id).toList();
        try (Tensor pictures = embedder.pictures(all);
                Tensor captions = embedder.captions(all)) {
            NpyFile.write(out.resolve(PICTURES), pictures);
            NpyFile.write(out.resolve(CAPTIONS), captions);
        }
        StringBuilder keys = new StringBuilder("id\tpicture\tcaption\treadable\n");
        for (int id : all) {
            Pair pair = pairs.pair(id);
            keys.append(id)
                    .append('\t')
                    .append(plain(pair.picture()))
                    .append('\t')
                    .append(plain(pair.caption()))
                    .append('\t')
                    .append(!pairs.isUnreadable(id))
                    .append('\n');
        }
        Files.writeString(out.resolve(KEYS), keys, StandardCharsets.UTF_8);
        System.out.println(all.size() + " pairs: " + out);
    }

    private static String plain(String text) {
        return text.replaceAll("[\\t\\r\\n]", " ");
    }
}
