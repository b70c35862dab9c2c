package org.contrastive4j.data;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.AbstractList;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.PrimitiveIterator;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.contrastive4j.internal.files.FileErrors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Image-text pairs from a folder with {@code captions.tsv} or {@code captions.csv}, or from WebDataset shards.
 *
 * <p>Opening reads the caption file, or lists the shards; a shard is indexed when its first pair is needed, and a
 * picture is decoded when it is needed. What cannot be used is left out and reported by name in {@link #leftOut};
 * strict decodes every picture at the start, and refuses the data set at the first thing that cannot be used.
 *
 * <p>Memory: 16 bytes a row of a caption file, about 60 bytes a pair of the shards in use. Any thread may call any
 * method.
 */
public final class PairDataset {
    private final Path path;
    private final boolean strict;
    private final PairStore store;
    private final LeftOut leftOut;
    private final Set<Integer> unreadable = ConcurrentHashMap.newKeySet();
    private int @Nullable [] ids;

    private PairDataset(Path path, boolean strict, PairStore store, LeftOut leftOut) {
        this.path = path;
        this.strict = strict;
        this.store = store;
        this.leftOut = leftOut;
    }

    /**
     * Opens a folder with captions.tsv, captions.csv or captions.txt (Flickr8k), a folder of .tar or .tar.gz shards,
     * one such file, or the shards of a pattern such as {@code {00000..00041}.tar}.
     *
     * @param path of the data
     * @param strict refuse the data set instead of leaving out what cannot be used
     * @return the data set
     * @throws DataException when nothing usable is there, naming what was looked for
     */
    public static PairDataset open(Path path, boolean strict) {
        return open(path, strict, (decoded, total) -> {});
    }

    /** Receives how far the check of a strict data set has come; called from several threads. */
    @FunctionalInterface
    public interface OpenProgress {
        /**
         * Reports one more decoded picture.
         *
         * @param decoded pictures decoded so far
         * @param total pictures of the data set
         */
        void decoded(int decoded, int total);
    }

    /**
     * Opens a data set, see {@link #open(Path, boolean)}, and reports each picture that is decoded.
     *
     * @param path of the data
     * @param strict refuse the data set instead of leaving out what cannot be used
     * @param progress called once for each pair when strict, not at all otherwise
     * @return the data set
     * @throws DataException when nothing usable is there, naming what was looked for
     */
    public static PairDataset open(Path path, boolean strict, OpenProgress progress) {
        LeftOut leftOut = new LeftOut(!strict);
        PairDataset data = new PairDataset(path, strict, store(path, leftOut), leftOut);
        if (strict) {
            data.check(progress);
        }
        data.checkTwoConcepts();
        return data;
    }

    /**
     * Returns a data set of given pairs without pictures, such as those of stored representations.
     *
     * @param source where the pairs come from, for messages
     * @param pairs with ids 0, 1, 2 and so on
     * @param unreadable ids whose pictures could not be read, see {@link #isUnreadable}
     * @return the data set
     */
    public static PairDataset of(Path source, List<Pair> pairs, Set<Integer> unreadable) {
        PairDataset data = new PairDataset(source, false, new PairList(List.copyOf(pairs)), new LeftOut());
        data.unreadable.addAll(unreadable);
        return data;
    }

    private static PairStore store(Path path, LeftOut leftOut) {
        boolean pattern = FileNames.name(path).contains("{");
        if (!pattern && !Files.isReadable(path)) {
            throw new DataException("no data at " + path + ": it does not exist or cannot be read");
        }
        try {
            if (Files.isDirectory(path)) {
                for (String name : List.of("captions.tsv", "captions.csv", "captions.txt")) {
                    if (Files.exists(path.resolve(name))) {
                        return CaptionFile.open(path.resolve(name), leftOut);
                    }
                }
            }
            if (Files.isRegularFile(path) && FileNames.name(path).matches(".*\\.(tsv|csv|txt)")) {
                return CaptionFile.open(path, leftOut);
            }
            List<Path> shards = Shards.find(path);
            if (!shards.isEmpty()) {
                return new Shards(shards, leftOut);
            }
        } catch (IOException e) {
            throw new DataException("cannot read " + path + ": " + FileErrors.reason(e), e);
        }
        throw new DataException(path + " holds no pairs: looked for captions.tsv, captions.csv, captions.txt and *.tar,"
                + " *.tar.gz" + jsonHint(path));
    }

    /** Explains what to do with the captions of COCO. */
    private static String jsonHint(Path path) {
        boolean isJson = FileNames.name(path).endsWith(".json") || Files.isDirectory(path.resolve("annotations"));
        return isJson
                ? "; JSON such as COCO's annotations is not read: write captions.csv with the columns image and"
                        + " caption, one row for each annotation"
                : "";
    }

    /**
     * Decodes every picture once, so that all that cannot be used is known.
     *
     * @param progress called once for each pair, from several threads
     * @return what is left out
     */
    public LeftOut check(OpenProgress progress) {
        int[] all = ids();
        if (strict && leftOut.total() > 0) {
            throw refusal(leftOut.entries().get(0));
        }
        AtomicInteger decoded = new AtomicInteger();
        IntStream.of(all).parallel().forEach(id -> {
            decoded(id); // strict throws when it cannot be read
            progress.decoded(decoded.incrementAndGet(), all.length);
        });
        return leftOut;
    }

    private static DataException refusal(LeftOut.Entry entry) {
        return new DataException(entry.key() + ": " + entry.reason()
                + (entry.cause().isEmpty() ? "" : " (" + entry.cause() + ")")
                + "; correct it, or let bad pairs be left out by not being strict (without --strict)");
    }

    private void checkTwoConcepts() {
        PrimitiveIterator.OfInt all = store.ids();
        int count = 0;
        String first = "";
        while (all.hasNext()) {
            Pair pair = pair(all.nextInt());
            count++;
            String key = pair.concept() != null ? "concept " + pair.concept() : "caption " + pair.caption();
            first = first.isEmpty() ? key : first;
            if (!key.equals(first)) {
                return;
            }
        }
        throw new DataException(path + " has " + count + " usable pairs of " + Math.min(count, 1)
                + " concepts; contrastive training needs at least two different ones" + counted());
    }

    private String counted() {
        return leftOut.total() == 0 ? "" : "; left out: " + leftOut.counts();
    }

    /**
     * Returns where the data are.
     *
     * @return as given to {@link #open}
     */
    public Path path() {
        return path;
    }

    /**
     * Returns whether the data are shards that are read in order; otherwise every pair can be read at once.
     *
     * @return true for shards
     */
    public boolean isStream() {
        return store.isStream();
    }

    /**
     * Returns the ids of all usable pairs in the order of the data. Shards are indexed for it.
     *
     * @return a new array
     */
    public synchronized int[] ids() {
        if (ids == null) {
            IntStream.range(0, store.parts()).parallel().forEach(store::idsOf);
            ids = IntStream.range(0, store.parts())
                    .flatMap(part -> IntStream.of(store.idsOf(part)))
                    .toArray();
        }
        return ids.clone();
    }

    /**
     * Returns all usable pairs in the order of the data; each is read when it is asked for.
     *
     * @return a view
     */
    public List<Pair> pairs() {
        int[] all = ids();
        return new AbstractList<>() {
            @Override
            public Pair get(int index) {
                return pair(all[index]);
            }

            @Override
            public int size() {
                return all.length;
            }
        };
    }

    /**
     * Returns a pair.
     *
     * @param id of the pair
     * @return the pair
     */
    public Pair pair(int id) {
        return store.pair(id);
    }

    /**
     * Returns whether two pairs show the same: one concept, or one picture.
     *
     * @param id of a pair
     * @param other id of another one
     * @return true for equal ids
     */
    public boolean sameConcept(int id, int other) {
        Pair a = pair(id);
        Pair b = pair(other);
        return a.picture().equals(b.picture())
                || a.concept() != null && a.concept().equals(b.concept());
    }

    /**
     * Returns what has been left out so far.
     *
     * @return live: entries are added while data are read
     */
    public LeftOut leftOut() {
        return leftOut;
    }

    /**
     * Returns the groups in order of appearance. Shards are indexed for it.
     *
     * @return distinct names
     */
    public List<String> groups() {
        Set<String> groups = new LinkedHashSet<>();
        for (int id : ids()) {
            groups.add(pair(id).group());
        }
        return List.copyOf(groups);
    }

    /**
     * Returns a digest of the data, which does not depend on where they are. A run stores it, and refuses to go on with
     * other data. It has two parts: SHA-256 of the caption file, or of names, sizes and both ends of the shards; and
     * SHA-256 of the contents of picture files or shards. Contents are read as a whole for the first 256 MiB. Of the
     * next 65,536 files the size and both ends are read, of all others only the size.
     *
     * @return 64 hexadecimal digits, a colon, and 64 hexadecimal digits
     */
    public String fingerprint() {
        try {
            String contents = store.contents();
            return contents.isEmpty() ? store.fingerprint() : store.fingerprint() + ":" + contents;
        } catch (IOException e) {
            throw new DataException("cannot read " + path + ": " + FileErrors.reason(e), e);
        }
    }

    /**
     * Returns the picture of a pair as {@link Preprocessing#symmetric} crops it.
     *
     * @param id of the pair
     * @param size side of the result
     * @return size x size x 3 (RGB, unsigned bytes)
     * @throws DataException when it cannot be read
     */
    public byte[] picture(int id, int size) {
        RgbPicture picture = decoded(id);
        if (picture == null) {
            Pair pair = pair(id);
            throw new DataException("cannot read the picture " + pair.picture() + " of " + pair.source());
        }
        return Preprocessing.symmetric(size).square(picture);
    }

    /**
     * Returns whether the picture of a pair could not be read when it was needed.
     *
     * @param id of the pair
     * @return false also for a picture that was not needed yet
     */
    public boolean isUnreadable(int id) {
        return unreadable.contains(id);
    }

    /** Returns the decoded picture of a pair, or null when it cannot be read; then the pair is left out. */
    @Nullable
    RgbPicture decoded(int id) {
        if (unreadable.contains(id)) {
            return null;
        }
        Pair pair = pair(id);
        try {
            return store.picture(pair);
        } catch (IOException | RuntimeException e) {
            LeftOut.Entry entry = new LeftOut.Entry(
                    pair.source(), "unreadable picture", pair.picture() + ": " + FileErrors.reason(e));
            if (unreadable.add(id)) {
                leftOut.add(entry.key(), entry.reason(), entry.cause());
            }
            if (strict) {
                throw refusal(entry);
            }
            return null;
        } catch (OutOfMemoryError e) {
            throw new DataException(
                    "out of memory while decoding the picture " + pair.picture() + " of " + pair.source()
                            + "; raise -Xmx, or scale the picture down",
                    e);
        }
    }

    PairStore store() {
        return store;
    }

    /**
     * What a data set leaves out, and why. Entries are added while shards and pictures are read; any thread may call
     * any method.
     *
     * <p>Memory: at most {@value #MOST_ENTRIES} entries are kept; the counts include all of them.
     */
    public static final class LeftOut {
        private static final Logger LOG = LoggerFactory.getLogger(LeftOut.class);
        private static final int MOST_ENTRIES = 1_000_000;
        private static final int LOGGED = 3; // of each reason

        /**
         * One thing that was left out.
         *
         * @param key file and line, shard and key, or shard and member
         * @param reason what is wrong, the same words for every entry of this kind
         * @param cause details, empty when the reason says everything
         */
        public record Entry(String key, String reason, String cause) {}

        private final List<Entry> entries = new ArrayList<>();
        private final Map<String, Integer> counts = new LinkedHashMap<>();
        /** Entries of earlier processes that were not found again yet. */
        private final Set<String> restored = new HashSet<>();

        private final boolean logs;

        LeftOut() {
            this(true);
        }

        /** @param logs whether to log the first entries of each reason; a strict data set throws instead */
        LeftOut(boolean logs) {
            this.logs = logs;
        }

        synchronized void add(String key, String reason, String cause) {
            if (!restored.isEmpty() && restored.remove(line(key, reason))) {
                return;
            }
            int count = counts.merge(reason, 1, Integer::sum);
            if (entries.size() < MOST_ENTRIES) {
                entries.add(new Entry(key, reason, cause));
            }
            if (logs && count <= LOGGED) {
                LOG.warn("left out {}: {}{}", key, reason, cause.isEmpty() ? "" : " (" + cause + ")");
            }
        }

        /**
         * Returns the entries in the order in which they were found.
         *
         * @return a copy
         */
        public synchronized List<Entry> entries() {
            return List.copyOf(entries);
        }

        /**
         * Returns the number of entries by reason.
         *
         * @return a copy, reasons in the order in which they first occurred
         */
        public synchronized Map<String, Integer> counts() {
            return new LinkedHashMap<>(counts);
        }

        /**
         * Returns the number of all entries.
         *
         * @return 0 when nothing was left out
         */
        public synchronized int total() {
            return counts.values().stream().mapToInt(Integer::intValue).sum();
        }

        /**
         * Adds the entries that an earlier process found in the same data. An entry that is found in both counts once.
         *
         * @param table as {@link #table} returned it
         */
        public synchronized void restore(String table) {
            Set<String> known = new HashSet<>();
            entries.forEach(entry -> known.add(line(entry.key(), entry.reason())));
            table.lines().skip(1).forEach(row -> {
                String[] fields = row.split("\t", -1);
                if (fields.length == 3
                        && known.add(line(fields[0], fields[1]))
                        && entries.size() < MOST_ENTRIES) { // half a line of a killed process has fewer fields
                    entries.add(new Entry(fields[0], fields[1], fields[2]));
                    counts.merge(fields[1], 1, Integer::sum);
                    restored.add(line(fields[0], fields[1]));
                }
            });
        }

        private static String line(String key, String reason) {
            return field(key) + '\t' + field(reason);
        }

        /**
         * Returns all entries as tab-separated values with the columns key, reason and cause.
         *
         * @return one line for each entry, after one with the names of the columns
         */
        public String table() {
            StringBuilder table = new StringBuilder("key\treason\tcause\n");
            for (Entry entry : entries()) {
                table.append(line(entry.key(), entry.reason())).append('\t');
                table.append(field(entry.cause())).append('\n');
            }
            return table.toString();
        }

        private static String field(String text) {
            return text.replaceAll("[\\t\\r\\n]+", " ");
        }
    }
}
