package org.contrastive4j.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** One HTML page about a run, pictures inside: opens anywhere, needs nothing beside it. */
final class Report {
    private static final List<String> COLOURS = List.of("#0060b0", "#c04000", "#208040", "#8040a0");
    private static final int EXAMPLES = 8;
    private static final int MATCHES = 8;

    private Report() {}

    /**
     * @param summary as in summary.json
     * @param metrics lines of metrics.jsonl
     * @param examples PNG of retrievals
     */
    static String html(Map<String, Object> summary, List<Map<String, Object>> metrics, byte[] examples) {
        StringBuilder page = new StringBuilder("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">"
                + "<title>contrastive4j run</title><style>body{font:15px sans-serif;max-width:960px;margin:2em auto;"
                + "color:#222}table{border-collapse:collapse}td,th{padding:.3em .8em;border-bottom:1px solid #ddd;"
                + "text-align:right}td:first-child,th:first-child{text-align:left}img{max-width:100%}</style>"
                + "<h1>contrastive4j: training run</h1>");
        table(page, summary);
        page.append("<h2>Curves</h2>");
        chart(page, "loss", metrics, List.of("loss"));
        chart(page, "in-batch accuracy", metrics, List.of("rowAccuracy", "columnAccuracy"));
        chart(
                page,
                "held-out recall at 1, mean of both ways",
                metrics,
                metrics.stream()
                        .flatMap(line -> line.keySet().stream())
                        .filter(key -> key.startsWith("r1."))
                        .distinct()
                        .toList());
        chart(page, "logit scale", metrics, List.of("logitScale"));
        chart(page, "gradient norm", metrics, List.of("gradientNorm"));
        chart(page, "loss scale", metrics, List.of("lossScale"));
        page.append(
                "<h2>Retrieval examples</h2><p>Captions and the pictures found for them; the right concept is framed.</p>");
        image(page, examples);
        return page.append("</html>\n").toString();
    }

    /** Eight captions of held-out pictures, spread over the split, and what is found for them. */
    static byte[] examples(Trainer trainer, Search search, List<Integer> samples) {
        List<ContactSheet.Row> rows = new ArrayList<>();
        int size = trainer.config().model().image().imageSize();
        for (int k = 0; k < Math.min(EXAMPLES, samples.size()); k++) {
            int sample = samples.get((int) ((k + 0.5) * samples.size() / EXAMPLES) % samples.size());
            String caption = trainer.data().pair(sample).caption();
            rows.add(search.row(caption, sample, MATCHES, size));
        }
        return ContactSheet.png(rows);
    }

    @SuppressWarnings("unchecked")
    private static void table(StringBuilder page, Map<String, Object> summary) {
        page.append(
                "<table><tr><th>split</th><th>direction</th><th>R@1</th><th>R@5</th><th>R@10</th><th>chance R@1</th>"
                        + "<th>candidates</th></tr>");
        Map<String, Map<String, Map<String, Object>>> splits =
                (Map<String, Map<String, Map<String, Object>>>) summary.getOrDefault("splits", Map.of());
        splits.forEach((name, directions) -> directions.forEach((direction, recall) -> {
            page.append("<tr><td>")
                    .append(escape(name))
                    .append("</td><td>")
                    .append(escape(direction))
                    .append("</td>");
            for (String column : List.of("r1", "r5", "r10", "chance")) {
                page.append(String.format(
                        Locale.ROOT, "<td>%.1f%%</td>", 100 * ((Number) recall.get(column)).doubleValue()));
            }
            page.append("<td>").append(recall.get("candidates")).append("</td></tr>");
        }));
        page.append("</table><p>");
        summary.forEach((key, value) -> {
            if (value instanceof Number || value instanceof String) {
                page.append(escape(key))
                        .append(": ")
                        .append(escape(String.valueOf(value)))
                        .append("<br>");
            }
        });
        page.append("</p>");
    }

    /** A line chart as SVG: drawn by the browser, so no fonts or drawing library are needed here. */
    private static void chart(
            StringBuilder page, String title, List<Map<String, Object>> metrics, List<String> columns) {
        List<Map<String, Object>> lines = metrics.stream()
                .filter(line -> line.keySet().containsAll(columns))
                .toList();
        if (columns.isEmpty() || lines.size() < 2) {
            return;
        }
        double[] steps = values(lines, "step");
        double top = columns.stream()
                .flatMapToDouble(c -> Arrays.stream(values(lines, c)))
                .max()
                .orElse(1);
        double height = top > 0 ? top : 1;
        page.append("<h3>")
                .append(escape(title))
                .append("</h3><svg viewBox=\"0 0 960 240\" width=\"100%\">")
                .append("<path d=\"M60 10V200H950\" fill=\"none\" stroke=\"#999\"/>");
        label(page, 55, 16, "end", number(height));
        label(page, 55, 204, "end", "0");
        label(page, 60, 220, "start", number(steps[0]));
        label(page, 950, 220, "end", "step " + number(steps[steps.length - 1]));
        for (int c = 0; c < columns.size(); c++) {
            double[] values = values(lines, columns.get(c));
            page.append("<polyline fill=\"none\" stroke-width=\"1.5\" stroke=\"")
                    .append(COLOURS.get(c % COLOURS.size()))
                    .append("\" points=\"");
            for (int i = 0; i < values.length; i++) {
                double x = 60 + 890 * (steps[i] - steps[0]) / Math.max(1, steps[steps.length - 1] - steps[0]);
                page.append(String.format(Locale.ROOT, "%.1f,%.1f ", x, 200 - 190 * values[i] / height));
            }
            page.append("\"/>");
            label(
                    page,
                    945,
                    30 + 16 * c,
                    "end\" fill=\"" + COLOURS.get(c % COLOURS.size()),
                    columns.size() > 1 ? columns.get(c) : "");
        }
        page.append("</svg>");
    }

    private static void label(StringBuilder page, int x, int y, String anchor, String text) {
        page.append("<text font-size=\"12\" x=\"")
                .append(x)
                .append("\" y=\"")
                .append(y)
                .append("\" text-anchor=\"")
                .append(anchor)
                .append("\">")
                .append(escape(text))
                .append("</text>");
    }

    private static String number(double value) {
        return value == Math.rint(value) ? Long.toString((long) value) : String.format(Locale.ROOT, "%.3g", value);
    }

    private static double[] values(List<Map<String, Object>> lines, String column) {
        return lines.stream()
                .mapToDouble(line -> ((Number) line.get(column)).doubleValue())
                .toArray();
    }

    private static void image(StringBuilder page, byte[] png) {
        page.append("<p><img alt=\"\" src=\"data:image/png;base64,")
                .append(Base64.getEncoder().encodeToString(png))
                .append("\"></p>");
    }

    private static String escape(String text) {
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
    }
}
