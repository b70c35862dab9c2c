package org.contrastive4j.train;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * An HTML page about one run or a comparison of several runs: recall, curves, configuration and examples. The page is
 * self-contained; uPlot draws the curves in the browser.
 */
final class RunReport {
    static final String FILE = "report.html";
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String PLOT = "META-INF/resources/webjars/uplot/1.6.30/dist/";
    private static final String OWN = "org/contrastive4j/train/";
    private static final int RELOAD_SECONDS = 15;
    private static final DateTimeFormatter DATE = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss", Locale.ROOT);

    private final List<RunRecord> runs;
    private final StringBuilder page = new StringBuilder();

    private RunReport(List<RunRecord> runs) {
        this.runs = runs;
    }

    /**
     * Returns the page about the runs in some folders.
     *
     * @param folders run folders, one or more
     * @return HTML
     * @throws RunFolder.RunFolderException when a folder holds no run
     */
    static String of(List<Path> folders) {
        return html(folders.stream().map(RunRecord::read).toList());
    }

    static String html(List<RunRecord> runs) {
        RunReport report = new RunReport(runs);
        report.write();
        return report.page.toString();
    }

    private void write() {
        boolean running = runs.stream().anyMatch(RunRecord::running);
        String title = runs.stream().map(RunRecord::name).collect(Collectors.joining(", "));
        page.append("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">")
                .append("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
        if (running) {
            page.append("<meta http-equiv=\"refresh\" content=\"")
                    .append(RELOAD_SECONDS)
                    .append("\">");
        }
        page.append("<title>").append(escape(title)).append("</title><style>");
        page.append(Objects.requireNonNullElse(resource(PLOT + "uPlot.min.css"), ""))
                .append('\n');
        page.append(Objects.requireNonNull(resource(OWN + "report.css"))).append("</style></head><body>\n");
        page.append("<h1>").append(escape(title)).append("</h1>\n");
        if (runs.size() == 1) {
            one(runs.get(0));
        } else {
            compared();
        }
        charts();
        for (RunRecord run : runs) {
            examples(run);
        }
        for (RunRecord run : runs) {
            configuration(run);
        }
        page.append("</body></html>\n");
    }

    private void one(RunRecord run) {
        page.append("<p class=\"status\">")
                .append(escape(run.status()))
                .append(
                        run.running()
                                ? "; step " + run.steps() + " of "
                                        + run.config().get("steps")
                                : "")
                .append("; written ")
                .append(DATE.format(Instant.now().atZone(ZoneId.systemDefault())))
                .append(run.running() ? ", reloads automatically" : "")
                .append("</p>\n");
        if (!run.summary().isEmpty()) {
            recalls(run);
        }
        page.append("<h2>Run</h2>\n<table class=\"facts\">\n");
        facts(run)
                .forEach((name, value) -> page.append("<tr><td>")
                        .append(name)
                        .append("</td><td>")
                        .append(escape(value))
                        .append("</td></tr>\n"));
        page.append("</table>\n");
    }

    private void recalls(RunRecord run) {
        page.append("<h2>Held-out retrieval</h2>\n<div class=\"wide\"><table>\n<tr><th>split</th><th>direction</th>")
                .append("<th>R@1</th><th>R@5</th><th>R@10</th><th>chance R@1</th><th>candidates</th></tr>\n");
        map(run.summary(), "splits")
                .forEach((split, directions) -> map(directions).forEach((direction, recall) -> {
                    Map<String, Object> numbers = map(recall);
                    page.append(row(
                            "td",
                            List.of(
                                    split,
                                    direction,
                                    percent(numbers.get("r1"), 1),
                                    percent(numbers.get("r5"), 1),
                                    percent(numbers.get("r10"), 1),
                                    percent(numbers.get("chance"), 2),
                                    count(numbers.get("candidates")))));
                }));
        page.append("</table></div>\n");
    }

    /** Returns the facts of a run as texts, by name. */
    private static Map<String, String> facts(RunRecord run) {
        Map<String, Object> config = run.config();
        Map<String, Object> facts = run.facts();
        Map<String, String> all = new LinkedHashMap<>();
        all.put("data", config.get("data") + pairs(facts));
        all.put("data fingerprint", text(facts.get("dataFingerprint")));
        String leftOut = map(facts, "leftOut").entrySet().stream()
                .map(reason -> count(reason.getValue()) + " " + reason.getKey())
                .collect(Collectors.joining(", "));
        all.put("pairs left out", leftOut.isEmpty() ? "none" : leftOut);
        all.put("augmentation", text(facts.get("augmentation")));
        all.put("preprocessing", text(facts.get("preprocessing")));
        Map<String, Object> loss = map(config, "loss");
        all.put("loss", text(loss.get("name")));
        Object chunk = config.get("chunk");
        all.put(
                "batch",
                count(config.get("batch")) + " pairs, encoded in chunks of "
                        + (Objects.equals(chunk, 0) ? "a size that fits the memory budget" : count(chunk)));
        all.put(
                "learning rate",
                "peak " + text(config.get("learningRate")) + ", " + text(config.get("warmup"))
                        + " steps of warm-up, then cosine decay to 0");
        all.put("seed", text(config.get("seed")));
        Object trained = facts.get("trainedParameters");
        all.put(
                "parameters",
                count(facts.get("parameters"))
                        + (trained == null || trained.equals(facts.get("parameters"))
                                ? ""
                                : ", of which " + count(trained) + " are trained"));
        if (!map(config, "origin").isEmpty()) {
            all.put("fine-tuned from", text(map(config, "origin").get(TrainableModel.LOCATION)));
        }
        all.put(
                "device",
                text(facts.get("device")) + ", " + text(config.get("precision")).toLowerCase(Locale.ROOT));
        map(facts, "environment").forEach((name, version) -> all.put(name, text(version)));
        all.put("started", date(text(facts.get("started"))));
        all.put("training time", run.metrics().isEmpty() ? "" : duration(last(run, "seconds")));
        all.put("pairs seen", count((long) (run.steps() * last(config.get("batch")))));
        all.put("speed", String.format(Locale.ROOT, "%,.0f pairs/s", speed(run)));
        if (run.summary().get("peakBytes") instanceof Number peak) {
            all.put("peak memory of tensors", String.format(Locale.ROOT, "%,.0f MiB", peak.doubleValue() / 1048576));
        }
        return all;
    }

    /** Returns the numbers of pairs; shards are not counted before the first measurement. */
    private static String pairs(Map<String, Object> facts) {
        return facts.get("pairs") == null
                ? ", read shard by shard"
                : ", " + count(facts.get("pairs")) + " pairs: " + count(facts.get("trainingPairs")) + " to train on"
                        + map(facts, "testPairs").entrySet().stream()
                                .map(test -> ", " + count(test.getValue()) + " " + test.getKey())
                                .collect(Collectors.joining());
    }

    /** Returns the pairs for each second of training, including measurements and saves. */
    private static double speed(RunRecord run) {
        double seconds = run.metrics().isEmpty() ? 0 : last(run, "seconds");
        return seconds == 0 ? 0 : run.steps() * last(run.config().get("batch")) / seconds;
    }

    private static double last(RunRecord run, String column) {
        return last(run.metrics().get(run.metrics().size() - 1).get(column));
    }

    private static double last(@Nullable Object number) {
        return number instanceof Number value ? value.doubleValue() : 0;
    }

    private void compared() {
        Map<String, List<String>> settings = new TreeMap<>();
        List<Map<String, String>> flat =
                runs.stream().map(run -> flat("", run.config())).toList();
        flat.stream().flatMap(config -> config.keySet().stream()).distinct().forEach(key -> {
            List<String> values =
                    flat.stream().map(config -> config.getOrDefault(key, "")).toList();
            if (Set.copyOf(values).size() > 1) {
                settings.put(key, values);
            }
        });
        Set<String> splits = new LinkedHashSet<>();
        runs.forEach(run -> recallAtOne(run).forEach((split, recall) -> splits.add(split)));
        page.append("<h2>Runs</h2>\n<div class=\"wide\"><table>\n");
        compare("th", "run", RunRecord::name);
        compare("td", "status", RunRecord::status);
        compare("td", "steps", run -> count(run.steps()));
        settings.forEach((name, values) -> {
            Iterator<String> next = values.iterator();
            compare("td", name, run -> next.next());
        });
        splits.forEach(split ->
                compare("td", "R@1 " + split, run -> percent(recallAtOne(run).get(split), 1)));
        compare("td", "time", run -> run.metrics().isEmpty() ? "" : duration(last(run, "seconds")));
        compare("td", "pairs/s", run -> String.format(Locale.ROOT, "%,.0f", speed(run)));
        page.append("</table></div>\n<p>Settings that differ have a row; R@1 is the mean of both directions.</p>\n");
    }

    /** Adds a row with a value of each run; a table with a column for each setting is too wide for a telephone. */
    private void compare(String cell, String name, Function<RunRecord, String> value) {
        List<String> cells = new ArrayList<>(List.of(name));
        runs.forEach(run -> cells.add(value.apply(run)));
        page.append(row(cell, cells));
    }

    /** Returns the recall of each split at the end, or the last measured one. */
    private static Map<String, Object> recallAtOne(RunRecord run) {
        Map<String, Object> recalls = new LinkedHashMap<>();
        run.metrics()
                .forEach(line -> line.forEach((key, value) -> {
                    if (key.startsWith("r1.")) {
                        recalls.put(key.substring(3), value);
                    }
                }));
        map(run.summary(), "splits")
                .forEach((split, directions) -> map(directions).values().stream()
                        .mapToDouble(recall -> last(map(recall).get("r1")))
                        .average()
                        .ifPresent(mean -> recalls.put(split, mean)));
        return recalls;
    }

    private static Map<String, String> flat(String prefix, Map<String, Object> settings) {
        Map<String, String> all = new LinkedHashMap<>();
        settings.forEach((key, value) -> {
            if (value instanceof Map<?, ?>) {
                all.putAll(flat(prefix + key + ".", map(value)));
            } else {
                all.put(prefix + key, text(value));
            }
        });
        return all;
    }

    private void charts() {
        page.append("<h2>Curves</h2>\n");
        String plot = resource(PLOT + "uPlot.iife.min.js");
        if (plot == null) {
            page.append("<p>No curves: the library org.webjars.npm:uplot is not on the class path.</p>\n");
            return;
        }
        page.append("<noscript>The curves are drawn by a script in this page.</noscript>\n");
        page.append("<div class=\"charts\" id=\"charts\"></div>\n<script id=\"data\" type=\"application/json\">");
        try {
            page.append(JSON.writeValueAsString(new ReportCharts(runs).all()).replace("<", "\\u003c"));
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("charts cannot be written as JSON", e);
        }
        page.append("</script>\n<script>")
                .append(plot)
                .append("</script>\n<script>")
                .append(Objects.requireNonNull(resource(OWN + "report.js")))
                .append("</script>\n");
    }

    private void examples(RunRecord run) {
        if (run.examples().length > 0) {
            page.append("<h2>Retrieval examples")
                    .append(of(run))
                    .append("</h2>\n<p>Captions and the pictures found for them, with cosines; pictures of the right ")
                    .append("concept have a frame.</p>\n<div class=\"wide\">")
                    .append("<img alt=\"captions and the pictures found for them\" src=\"data:image/png;base64,")
                    .append(Base64.getEncoder().encodeToString(run.examples()))
                    .append("\"></div>\n");
        }
    }

    private void configuration(RunRecord run) {
        try {
            page.append("<details><summary>Configuration")
                    .append(of(run))
                    .append("</summary><pre>")
                    .append(escape(RunFolder.JSON.writeValueAsString(run.config())))
                    .append("</pre></details>\n");
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("a configuration cannot be written as JSON", e);
        }
    }

    private String of(RunRecord run) {
        return runs.size() == 1 ? "" : " of " + escape(run.name());
    }

    private static String row(String cell, List<String> cells) {
        return cells.stream()
                .map(text -> "<" + cell + ">" + escape(text) + "</" + cell + ">")
                .collect(Collectors.joining("", "<tr>", "</tr>\n"));
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> map(@Nullable Object value) {
        return value instanceof Map<?, ?> map ? (Map<String, Object>) map : Map.of();
    }

    private static Map<String, Object> map(Map<String, Object> of, String key) {
        return map(of.get(key));
    }

    private static String text(@Nullable Object value) {
        return value == null ? "" : value.toString();
    }

    private static String count(@Nullable Object value) {
        return value instanceof Number number ? String.format(Locale.ROOT, "%,d", number.longValue()) : text(value);
    }

    private static String percent(@Nullable Object share, int digits) {
        return share instanceof Number number
                ? String.format(Locale.ROOT, "%." + digits + "f%%", 100 * number.doubleValue())
                : "";
    }

    private static String date(String instant) {
        try {
            return DATE.format(Instant.parse(instant).atZone(ZoneId.systemDefault()));
        } catch (DateTimeParseException notOurs) {
            return instant;
        }
    }

    private static String duration(double seconds) {
        Duration all = Duration.ofSeconds(Math.round(seconds));
        return all.toHours() > 0
                ? String.format(Locale.ROOT, "%d h %d min", all.toHours(), all.toMinutesPart())
                : String.format(Locale.ROOT, "%d min %d s", all.toMinutes(), all.toSecondsPart());
    }

    /** Returns a text on the class path; null if it does not exist. */
    private static @Nullable String resource(String name) {
        try (InputStream in = RunReport.class.getClassLoader().getResourceAsStream(name)) {
            return in == null ? null : new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read " + name, e);
        }
    }

    private static String escape(String text) {
        return text.replace("&", "&amp;")
                .replace("<", "&lt;")
                .replace(">", "&gt;")
                .replace("\"", "&quot;");
    }
}
