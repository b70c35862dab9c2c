package org.contrastive4j.data;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a data set leaves out, and why. Entries are added while shards and pictures are read; any thread may call any
 * method.
 *
 * <p>Memory: at most {@value #MOST_ENTRIES} entries are kept; the counts include all of them.
 */
public final class LeftOut {
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
    private final Set<String> restored = new HashSet<>(); // entries of earlier processes that were not found again yet

    LeftOut() {}

    synchronized void add(String key, String reason, String cause) {
        if (!restored.isEmpty() && restored.remove(line(key, reason))) {
            return;
        }
        int count = counts.merge(reason, 1, Integer::sum);
        if (entries.size() < MOST_ENTRIES) {
            entries.add(new Entry(key, reason, cause));
        }
        if (count <= LOGGED) {
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
