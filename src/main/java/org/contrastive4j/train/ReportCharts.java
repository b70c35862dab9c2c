package org.contrastive4j.train;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Computes the data of the charts of a report from the metrics of one or several runs.
 *
 * <p>Tested by {@code RunReportTest}.
 */
final class ReportCharts {
    private static final int MOST_POINTS = 600; // of one curve

    /**
     * One curve of one run.
     *
     * @param name in the legend
     * @param column of the metrics
     * @param thin whether the line is thin, as for quantiles around a mean
     * @param colour index of the colour; null for the next free colour
     */
    private record Curve(
            String name,
            String column,
            boolean thin,
            @Nullable Integer colour) {
        Curve(String name, String column) {
            this(name, column, false, null);
        }
    }

    /**
     * One chart.
     *
     * @param title above the chart
     * @param curves in the order of the legend
     * @param unit after each number
     * @param scale factor of all numbers
     * @param fromZero whether the axis begins at 0
     */
    private record Chart(String title, List<Curve> curves, String unit, double scale, boolean fromZero) {}

    private final List<RunRecord> runs;
    private final boolean byPairs; // runs with different batch sizes are compared by pairs seen

    ReportCharts(List<RunRecord> runs) {
        this.runs = runs;
        this.byPairs = runs.stream().map(run -> batch(run)).distinct().count() > 1;
    }

    private static long batch(RunRecord run) {
        return run.config().get("batch") instanceof Number batch ? batch.longValue() : 1;
    }

    /** Returns the charts that have data, in the format that the script of the page reads. */
    List<Map<String, Object>> all() {
        List<Map<String, Object>> all = new ArrayList<>();
        for (Chart chart : charts()) {
            if (runs.size() == 1) {
                add(all, chart);
            } else {
                chart.curves().stream().filter(curve -> !curve.thin()).forEach(curve -> add(all, ofOne(chart, curve)));
            }
        }
        return all;
    }

    /** Returns a chart of one curve, for a comparison of several runs. */
    private static Chart ofOne(Chart chart, Curve curve) {
        boolean only = chart.curves().stream().filter(c -> !c.thin()).count() == 1;
        String title = only ? chart.title() : chart.title() + ": " + curve.name();
        return new Chart(title, List.of(curve), chart.unit(), chart.scale(), chart.fromZero());
    }

    private List<Chart> charts() {
        List<Curve> recalls = runs.stream()
                .flatMap(run -> run.metrics().stream())
                .flatMap(line -> line.keySet().stream())
                .filter(key -> key.startsWith("r1."))
                .distinct()
                .map(key -> new Curve(key.substring(3), key))
                .toList();
        return List.of(
                new Chart("Loss", List.of(new Curve("loss", "loss")), "", 1, false),
                new Chart("Held-out recall at 1, mean of both directions", recalls, "%", 100, true),
                new Chart(
                        "In-batch accuracy",
                        List.of(
                                new Curve("picture to caption", "rowAccuracy"),
                                new Curve("caption to picture", "columnAccuracy")),
                        "%",
                        100,
                        true),
                new Chart(
                        "Cosines",
                        List.of(
                                new Curve("positives", "positives.mean", false, 0),
                                new Curve("positives, 5%", "positives.p05", true, 0),
                                new Curve("positives, 95%", "positives.p95", true, 0),
                                new Curve("negatives", "negatives.mean", false, 1),
                                new Curve("negatives, 5%", "negatives.p05", true, 1),
                                new Curve("negatives, 95%", "negatives.p95", true, 1)),
                        "",
                        1,
                        false),
                new Chart("Learning rate", List.of(new Curve("learning rate", "learningRate")), "", 1, true),
                new Chart("Pairs per second", List.of(new Curve("pairs/s", "pairsPerSecond")), "", 1, true),
                new Chart("Logit scale", List.of(new Curve("logit scale", "logitScale")), "", 1, false),
                new Chart("Gradient norm before clipping", List.of(new Curve("norm", "gradientNorm")), "", 1, true),
                new Chart("Loss scale", List.of(new Curve("loss scale", "lossScale")), "", 1, true));
    }

    private void add(List<Map<String, Object>> all, Chart chart) {
        TreeMap<Long, @Nullable Double[]> rows = new TreeMap<>();
        List<Map<String, Object>> series = new ArrayList<>();
        int width = runs.size() * chart.curves().size();
        for (int r = 0; r < runs.size(); r++) {
            for (Curve curve : chart.curves()) {
                int column = series.size();
                points(runs.get(r), curve.column(), chart.scale())
                        .forEach((x, y) -> rows.computeIfAbsent(x, key -> new Double[width])[column] = y);
                Map<String, Object> one = new LinkedHashMap<>();
                one.put("name", runs.size() == 1 ? curve.name() : runs.get(r).name());
                one.put("thin", curve.thin());
                if (curve.colour() != null && runs.size() == 1) {
                    one.put("colour", curve.colour());
                }
                series.add(one);
            }
        }
        if (rows.size() < 2) {
            return;
        }
        for (int column = 0; column < series.size(); column++) {
            List<@Nullable Double> values = new ArrayList<>();
            for (Double[] row : rows.values()) {
                values.add(row[column]);
            }
            series.get(column).put("values", values);
        }
        Map<String, Object> one = new LinkedHashMap<>();
        one.put("title", chart.title());
        one.put("x", byPairs ? "pairs seen" : "step");
        one.put("unit", chart.unit());
        one.put("fromZero", chart.fromZero());
        one.put("xs", List.copyOf(rows.keySet()));
        one.put("series", series);
        all.add(one);
    }

    /**
     * Returns the values of a column by step, or by pairs seen. A long run is divided into equal parts and averaged.
     */
    private Map<Long, Double> points(RunRecord run, String column, double scale) {
        List<Map<String, Object>> lines = run.metrics().stream()
                .filter(line -> line.get(column) instanceof Number)
                .toList();
        int part = Math.max(1, (lines.size() + MOST_POINTS - 1) / MOST_POINTS);
        Map<Long, Double> points = new LinkedHashMap<>();
        for (int from = 0; from < lines.size(); from += part) {
            List<Map<String, Object>> some = lines.subList(from, Math.min(lines.size(), from + part));
            double mean = some.stream()
                    .mapToDouble(line -> ((Number) Objects.requireNonNull(line.get(column))).doubleValue())
                    .average()
                    .orElseThrow();
            long step = RunRecord.step(some.get(some.size() - 1));
            points.put(byPairs ? step * batch(run) : step, scale * mean);
        }
        return points;
    }
}
