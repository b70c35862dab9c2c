package org.contrastive4j.cli;

import java.io.BufferedWriter;
import java.io.IOException;
import java.io.Reader;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.apache.commons.csv.CSVFormat;
import org.apache.commons.csv.CSVParser;
import org.apache.commons.csv.CSVRecord;
import org.contrastive4j.data.DataException;
import org.contrastive4j.data.Pair;

/**
 * Representations of pairs on disk, with their keys: {@code pictures.npy}, {@code captions.npy} and {@code keys.tsv},
 * or one Parquet file.
 */
final class EmbeddingFiles {
    static final String PICTURES = "pictures.npy";
    static final String CAPTIONS = "captions.npy";
    static final String KEYS = "keys.tsv";
    static final String PARQUET = "embeddings.parquet";
    private static final List<String> COLUMNS = List.of("id", "picture", "caption", "readable");

    private EmbeddingFiles() {}

    /** Receives pairs with their representations, in order. */
    interface Sink extends AutoCloseable {
        void add(Pair pair, boolean readable, float[] picture, float[] caption) throws IOException;

        @Override
        void close() throws IOException;
    }

    /**
     * Representations in memory.
     *
     * @param pairs with their rows as ids
     * @param unreadable rows whose picture could not be read
     * @param pictures pairs times width values
     * @param captions pairs times width values
     */
    record Table(List<Pair> pairs, Set<Integer> unreadable, int width, float[] pictures, float[] captions) {}

    /** Opens files of NumPy's format in a folder. */
    static Sink npy(Path folder, int rows, int width) throws IOException {
        NpyFile.Writer pictures = new NpyFile.Writer(folder.resolve(PICTURES), rows, width);
        NpyFile.Writer captions = new NpyFile.Writer(folder.resolve(CAPTIONS), rows, width);
        BufferedWriter keys = Files.newBufferedWriter(folder.resolve(KEYS), StandardCharsets.UTF_8);
        keys.write(String.join("\t", COLUMNS) + "\n");
        return new Sink() {
            @Override
            public void add(Pair pair, boolean readable, float[] picture, float[] caption) throws IOException {
                pictures.row(picture);
                captions.row(caption);
                keys.write(pair.id() + "\t" + plain(pair.picture()) + "\t" + plain(pair.caption()) + "\t" + readable
                        + "\n");
            }

            @Override
            public void close() throws IOException {
                try (Writer last = keys) {
                    pictures.close();
                    captions.close();
                }
            }
        };
    }

    private static String plain(String text) {
        return text.replaceAll("[\\t\\r\\n]", " ");
    }

    /**
     * Reads a Parquet file, or the three files of a folder.
     *
     * @param path a Parquet file, the folder, or one of its .npy files
     * @throws DataException when the files do not fit each other or are in another format
     */
    static Table read(Path path) {
        if (!Files.exists(path)) {
            throw new DataException("no representations at " + path + ": it does not exist");
        }
        try {
            String name = String.valueOf(path.getFileName());
            if (Files.isDirectory(path)) {
                return Files.exists(path.resolve(PICTURES)) || !Files.exists(path.resolve(PARQUET))
                        ? npy(path)
                        : ParquetFile.read(path.resolve(PARQUET));
            }
            return name.endsWith(".npy")
                    ? npy(Objects.requireNonNull(path.toAbsolutePath().getParent()))
                    : ParquetFile.read(path);
        } catch (IOException e) {
            throw new DataException("cannot read " + path + ": " + e.getMessage(), e);
        }
    }

    private static Table npy(Path folder) throws IOException {
        for (String name : List.of(PICTURES, CAPTIONS, KEYS)) {
            if (!Files.isRegularFile(folder.resolve(name))) {
                throw new DataException(
                        folder + " has no " + name + "; expected the folder or the Parquet file that embed writes");
            }
        }
        NpyFile.Matrix pictures = NpyFile.read(folder.resolve(PICTURES));
        NpyFile.Matrix captions = NpyFile.read(folder.resolve(CAPTIONS));
        List<Pair> pairs = new ArrayList<>();
        Set<Integer> unreadable = new HashSet<>();
        keys(folder.resolve(KEYS), pairs, unreadable);
        if (pictures.rows() != pairs.size()
                || captions.rows() != pairs.size()
                || pictures.width() != captions.width()) {
            throw new DataException(folder + " has " + pairs.size() + " keys, pictures of " + pictures.rows() + " x "
                    + pictures.width() + " and captions of " + captions.rows() + " x " + captions.width()
                    + ", expected equal sizes");
        }
        return new Table(pairs, unreadable, pictures.width(), pictures.values(), captions.values());
    }

    private static void keys(Path file, List<Pair> pairs, Set<Integer> unreadable) throws IOException {
        CSVFormat format = CSVFormat.TDF
                .builder()
                .setQuote(null)
                .setIgnoreSurroundingSpaces(false)
                .setHeader()
                .setSkipHeaderRecord(true)
                .get();
        try (Reader reader = Files.newBufferedReader(file, StandardCharsets.UTF_8);
                CSVParser parser = CSVParser.parse(reader, format)) {
            if (!parser.getHeaderNames().containsAll(List.of("picture", "caption"))) {
                throw new DataException(file + " has the columns " + parser.getHeaderNames()
                        + ", expected at least picture and caption");
            }
            for (CSVRecord row : parser) {
                int id = pairs.size();
                pairs.add(pair(id, row.get("picture"), row.get("caption"), file + " line " + (id + 2)));
                if (row.isSet("readable") && row.get("readable").equals("false")) {
                    unreadable.add(id);
                }
            }
        }
    }

    static Pair pair(int row, String picture, String caption, String source) {
        return new Pair(row, picture, caption, null, "", "", source);
    }
}
