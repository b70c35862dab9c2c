package org.contrastive4j.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.contrastive4j.data.Pair;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.internal.files.FileErrors;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.pretrained.PretrainedModel;
import org.contrastive4j.pretrained.PretrainedModel.TextTokenizer;
import org.contrastive4j.tensor.Tensor;
import org.contrastive4j.train.Embedder;
import org.contrastive4j.train.TrainedModel;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * Writes the representations of pairs to files.
 *
 * <p>Tested by {@code EmbeddingFilesTest}.
 */
@Command(
        name = "embed",
        mixinStandardHelpOptions = true,
        showDefaultValues = true,
        description =
                "Writes unit representations of pictures and captions to pictures.npy and captions.npy, one row for "
                        + "each pair. keys.tsv has a line for each row: id of the pair in the data set, picture, "
                        + "caption, and whether the picture is readable; an unreadable picture is embedded as a grey "
                        + "one. --format parquet writes all of them to embeddings.parquet. eval --embeddings reads "
                        + "both.")
final class EmbedCommand implements Callable<Integer> {
    private static final int CHUNK = 1024; // pairs whose representations are in memory at a time

    @Mixin
    private FromOptions from;

    @Option(names = "--run", description = "run folder of a finished or running training")
    private Path run = Path.of("runs/emoji");

    @Option(names = "--data", description = "pairs to embed; default: the pairs of the run")
    private @Nullable Path data;

    @Option(names = "--out", required = true, description = "folder to write")
    private Path out;

    /** Formats of the files. */
    enum Format {
        NPY,
        PARQUET
    }

    @Option(names = "--format", description = "format of the files: ${COMPLETION-CANDIDATES}")
    private Format format = Format.NPY;

    @Mixin
    private BackendOptions backend;

    @Override
    public Integer call() {
        boolean pretrained = from.isPretrained();
        if (pretrained && data == null) {
            throw new IllegalArgumentException(
                    "a pretrained model has no pairs of its own; name a folder of pairs with --data");
        }
        OutputFiles.requireWritableFolder(
                "--out",
                out,
                format == Format.NPY
                        ? List.of(EmbeddingFiles.PICTURES, EmbeddingFiles.CAPTIONS, EmbeddingFiles.KEYS)
                        : List.of(EmbeddingFiles.PARQUET));
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
        EmbeddingFiles.Sink sink = null;
        try {
            for (int from = 0; from < all.size(); from += CHUNK) {
                List<Integer> ids = all.subList(from, Math.min(all.size(), from + CHUNK));
                try (Tensor pictures = embedder.pictures(ids);
                        Tensor captions = embedder.captions(ids)) {
                    sink = sink != null ? sink : sink(all.size(), pictures.dim(1));
                    for (int k = 0; k < ids.size(); k++) {
                        int id = ids.get(k);
                        sink.add(pairs.pair(id), !pairs.isUnreadable(id), row(pictures, k), row(captions, k));
                    }
                }
            }
        } finally {
            if (sink != null) {
                sink.close();
            }
        }
        System.out.println(all.size() + " pairs: " + out);
    }

    private EmbeddingFiles.Sink sink(int rows, int width) throws IOException {
        return format == Format.NPY
                ? EmbeddingFiles.npy(out, rows, width)
                : ParquetFile.write(out.resolve(EmbeddingFiles.PARQUET));
    }

    private static float[] row(Tensor rows, int k) {
        double[] values = rows.rows(k, k + 1).toDoubles();
        float[] row = new float[values.length];
        for (int i = 0; i < row.length; i++) {
            row[i] = (float) values[i];
        }
        return row;
    }
}
