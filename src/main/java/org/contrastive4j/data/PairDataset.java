package org.contrastive4j.data;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Image-text pairs from a folder with {@code captions.tsv} or {@code captions.csv}, or from WebDataset shards.
 *
 * <p>Opening decodes every picture once: a corrupt one is found now, not in the middle of a run. Strict refuses the
 * data set at the first bad pair; otherwise bad pairs are left out and counted by reason.
 */
public final class PairDataset {
    private static final Logger LOG = LoggerFactory.getLogger(PairDataset.class);

    private final Path path;
    private final List<Pair> samples;
    private final PictureSource pictures;
    private final Map<String, Integer> skipped;
    private final int[] labels;

    private PairDataset(Path path, List<Pair> samples, PictureSource pictures, Map<String, Integer> skipped) {
        this.path = path;
        this.samples = List.copyOf(samples);
        this.pictures = pictures;
        this.skipped = skipped;
        Map<String, Integer> concepts = new HashMap<>();
        this.labels = this.samples.stream()
                .mapToInt(pair -> concepts.computeIfAbsent(pair.splitKey(), key -> concepts.size()))
                .toArray();
    }

    /** A pair as written, before it was checked; {@code problem} is what its reader already found wrong, else null. */
    record Row(String where, String image, String caption, String concept, String group, String problem) {}

    /** What a reader found: the rows, and how to get at the pictures. */
    record Listing(List<Row> rows, PictureSource pictures) {}

    /**
     * Opens a folder with captions.tsv or captions.csv, a folder of .tar or .tar.gz shards, or one such file.
     *
     * @param strict refuse bad pairs instead of leaving them out
     * @throws DataException when nothing usable is there, naming what was looked for
     */
    public static PairDataset open(Path path, boolean strict) {
        return open(path, strict, (decoded, total) -> {});
    }

    /** Receives how far opening a data set has come; called from several threads. */
    @FunctionalInterface
    public interface OpenProgress {
        /**
         * One more picture was decoded.
         *
         * @param decoded pictures decoded so far
         * @param total pictures of the data set
         */
        void decoded(int decoded, int total);
    }

    /**
     * Opens a data set and reports each decoded picture.
     *
     * @param strict refuse bad pairs instead of leaving them out
     * @param progress called once for each pair
     * @throws DataException when nothing usable is there, naming what was looked for
     */
    public static PairDataset open(Path path, boolean strict, OpenProgress progress) {
        Listing listing = list(path);
        Map<String, Integer> skipped = new LinkedHashMap<>();
        int total = listing.rows().size();
        AtomicInteger decoded = new AtomicInteger();
        String[] problems = IntStream.range(0, total)
                .parallel()
                .mapToObj(i -> {
                    String problem = problem(listing, i);
                    progress.decoded(decoded.incrementAndGet(), total);
                    return problem;
                })
                .toArray(String[]::new);
        Map<String, String> conceptOfCaption = new HashMap<>();
        List<Pair> samples = new ArrayList<>();
        for (int i = 0; i < problems.length; i++) {
            Row row = listing.rows().get(i);
            if (problems[i] != null) {
                reject(row, problems[i], strict, skipped);
                continue;
            }
            String concept = row.concept() == null || row.concept().isBlank()
                    ? conceptOfCaption.computeIfAbsent(row.caption(), caption -> "caption:" + caption)
                    : row.concept();
            samples.add(new Pair(
                    samples.size(),
                    row.image(),
                    row.caption(),
                    concept,
                    row.group() == null ? "" : row.group(),
                    "",
                    row.where()));
        }
        long concepts = samples.stream().map(Pair::concept).distinct().count();
        if (concepts < 2) {
            throw new DataException(path + " has " + samples.size() + " usable pairs of " + concepts
                    + " concepts; contrastive training needs at least two different ones");
        }
        return new PairDataset(path, samples, listing.pictures(), skipped);
    }

    private static Listing list(Path path) {
        if (!Files.isReadable(path)) {
            throw new DataException("no data at " + path + ": it does not exist or cannot be read");
        }
        try {
            if (Files.isDirectory(path)) {
                for (String name : List.of("captions.tsv", "captions.csv")) {
                    if (Files.exists(path.resolve(name))) {
                        return CaptionFile.read(path.resolve(name));
                    }
                }
            }
            if (Files.isRegularFile(path) && path.toString().matches(".*\\.(tsv|csv)")) {
                return CaptionFile.read(path);
            }
            List<Path> shards = TarShards.find(path);
            if (!shards.isEmpty()) {
                return TarShards.read(shards);
            }
        } catch (IOException e) {
            throw new DataException("cannot read " + path + ": " + e.getMessage(), e);
        }
        throw new DataException(path + " holds no pairs: looked for captions.tsv, captions.csv and *.tar, *.tar.gz");
    }

    private static String problem(Listing listing, int i) {
        Row row = listing.rows().get(i);
        if (row.problem() != null) {
            return row.problem();
        }
        if (row.caption() == null || row.caption().isBlank()) {
            return "empty caption";
        }
        if (row.image() == null || row.image().isBlank()) {
            return "no picture named";
        }
        try {
            listing.pictures().read(row.image());
            return null;
        } catch (IOException | RuntimeException e) {
            return "unreadable picture (" + e.getMessage() + ")";
        }
    }

    private static void reject(Row row, String problem, boolean strict, Map<String, Integer> skipped) {
        if (strict) {
            throw new DataException(
                    row.where() + ": " + problem + "; mend it, or leave out bad pairs by not being strict");
        }
        String reason = problem.replaceFirst(" \\(.*", "");
        if (skipped.merge(reason, 1, Integer::sum) <= 3) {
            LOG.warn("left out {}: {}", row.where(), problem);
        }
    }

    public Path path() {
        return path;
    }

    public List<Pair> pairs() {
        return samples;
    }

    public Pair pair(int id) {
        return samples.get(id);
    }

    /** Returns a number that pairs share if and only if they are never each other's negatives. */
    public int label(int id) {
        return labels[id];
    }

    /** Returns whether two pairs show the same concept. */
    public boolean sameConcept(int id, int other) {
        return labels[id] == labels[other];
    }

    /** How many pairs were left out, by reason. */
    public Map<String, Integer> skipped() {
        return Map.copyOf(skipped);
    }

    /** Groups in order of appearance. */
    public List<String> groups() {
        return samples.stream().map(Pair::group).distinct().toList();
    }

    /**
     * The picture of a sample, size x size x 3 (RGB, unsigned bytes), its central square on white.
     *
     * @throws DataException when it cannot be read any more
     */
    public byte[] picture(int id, int size) {
        Pair sample = samples.get(id);
        try {
            return Pictures.square(pictures.read(sample.picture()), size);
        } catch (IOException e) {
            throw new DataException("cannot read " + sample.picture() + " of " + path + ": " + e.getMessage(), e);
        }
    }
}
