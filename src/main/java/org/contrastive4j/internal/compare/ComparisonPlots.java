package org.contrastive4j.internal.compare;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;

/**
 * Draws the recall of a {@link ComparisonReport} as SVG text, for files that Markdown pages show.
 *
 * <p>Tested by {@code ComparisonTest}.
 */
final class ComparisonPlots {
    private static final List<String> COLOURS =
            List.of("#0060b0", "#c04000", "#208040", "#8040a0", "#a08000", "#008090", "#d03080", "#606060");
    private static final int WIDTH = 960;
    private static final int LEFT = 180; // LEFT and RIGHT: ends of the recall axis of byLoss
    private static final int RIGHT = 930;
    private static final int TOP = 40;
    private static final int LANE = 12; // height of one loss at one batch size
    private static final int PLOT = 360; // height of the plot area of byBatch

    private ComparisonPlots() {}

    /** Draws a row for each loss with a dot for each seed, a bar at the mean, and a colour for each batch size. */
    static String byLoss(ComparisonReport report, String split) {
        List<String> losses = report.comparison().losses();
        List<Integer> batches = report.comparison().batches();
        int row = LANE * batches.size() + 8;
        int bottom = TOP + row * losses.size();
        double top = scale(report, split);
        StringBuilder svg =
                open(bottom + 40, "recall at 1 on " + split + ", percent: dots are seeds, bars their means");
        svg.append(line(LEFT, TOP, LEFT, bottom)).append(line(LEFT, bottom, RIGHT, bottom));
        for (int k = 0; k <= 4; k++) {
            double x = LEFT + (RIGHT - LEFT) * k / 4.0;
            svg.append(label(x, bottom + 16, "middle", "#222", number(top * k / 4)));
        }
        for (int i = 0; i < losses.size(); i++) {
            svg.append(label(LEFT - 8, TOP + row * (i + 0.5) + 4, "end", "#222", losses.get(i)));
            for (int b = 0; b < batches.size(); b++) {
                ComparisonReport.Spread recall = report.recall(losses.get(i), batches.get(b), split);
                double y = TOP + row * i + 4 + LANE * (b + 0.5);
                for (double value : recall.values()) {
                    svg.append(String.format(
                            Locale.ROOT,
                            "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\" fill-opacity=\"0.5\"/>",
                            x(value, top),
                            y,
                            colour(b)));
                }
                if (!recall.values().isEmpty()) {
                    svg.append(mark(x(recall.mean(), top), y - 5, x(recall.mean(), top), y + 5, colour(b), 2.5));
                }
            }
        }
        for (int b = 0; b < batches.size(); b++) {
            double x = RIGHT - 90.0 * (batches.size() - 1 - b);
            svg.append(label(x, bottom + 34, "end", colour(b), "batch " + batches.get(b)));
        }
        return svg.append("</svg>\n").toString();
    }

    /** Draws mean recall over batch size, a curve for each loss, with error bars of one standard deviation. */
    static String byBatch(ComparisonReport report, String split) {
        List<String> losses = report.comparison().losses();
        List<Integer> batches = report.comparison().batches().stream().sorted().toList();
        double top = scale(report, split);
        int bottom = TOP + PLOT;
        StringBuilder svg =
                open(bottom + 40, "recall at 1 on " + split + ", percent, by batch size; bars are one deviation");
        svg.append(line(60, TOP, 60, bottom)).append(line(60, bottom, 760, bottom));
        svg.append(label(55, TOP + 6, "end", "#222", number(top))).append(label(55, bottom + 4, "end", "#222", "0"));
        batches.forEach(batch -> svg.append(label(across(batch, batches), bottom + 16, "middle", "#222", "" + batch)));
        record End(double y, int loss) {}
        List<End> ends = new ArrayList<>();
        for (int i = 0; i < losses.size(); i++) {
            StringBuilder points = new StringBuilder();
            double last = Double.NaN;
            for (int batch : batches) {
                ComparisonReport.Spread recall = report.recall(losses.get(i), batch, split);
                if (recall.values().isEmpty()) {
                    continue;
                }
                double x = across(batch, batches) + 2 * (i - losses.size() / 2.0); // bars side by side
                last = bottom - PLOT * recall.mean() / top;
                double half = Double.isNaN(recall.deviation()) ? 0 : PLOT * recall.deviation() / top;
                points.append(String.format(Locale.ROOT, "%.1f,%.1f ", x, last));
                svg.append(mark(x, last - half, x, last + half, colour(i), 1));
            }
            svg.append("<polyline fill=\"none\" stroke-width=\"1.5\" stroke=\"")
                    .append(colour(i))
                    .append('"')
                    .append(i < COLOURS.size() ? "" : " stroke-dasharray=\"5 3\"")
                    .append(" points=\"")
                    .append(points)
                    .append("\"/>");
            if (!Double.isNaN(last)) {
                ends.add(new End(last, i));
            }
        }
        ends.sort(Comparator.comparingDouble(End::y));
        double free = TOP;
        for (End end : ends) { // labels at the ends of the curves, without overlap
            double y = Math.max(end.y(), free);
            svg.append(label(775, y + 4, "start", colour(end.loss()), losses.get(end.loss())));
            free = y + 14;
        }
        return svg.append("</svg>\n").toString();
    }

    /** Returns the upper end of the axis: a multiple of 4 (byLoss has 4 intervals), 2% or more above every value. */
    private static double scale(ComparisonReport report, String split) {
        double most = 0;
        for (String loss : report.comparison().losses()) {
            for (int batch : report.comparison().batches()) {
                ComparisonReport.Spread recall = report.recall(loss, batch, split);
                for (double value : recall.values()) {
                    most = Math.max(most, value);
                }
            }
        }
        return 4 * Math.ceil(Math.max(1, most * 1.02) / 4);
    }

    /** Returns the x of a recall in byLoss. */
    private static double x(double value, double top) {
        return LEFT + (RIGHT - LEFT) * value / top;
    }

    /** Returns the x of a batch size in byBatch: logarithmic from 90 to 730, or the middle for a single size. */
    private static double across(int batch, List<Integer> batches) {
        double from = Math.log(batches.get(0));
        double to = Math.log(batches.get(batches.size() - 1));
        return to == from ? 410 : 90 + 640 * (Math.log(batch) - from) / (to - from);
    }

    private static String colour(int k) {
        return COLOURS.get(k % COLOURS.size());
    }

    private static StringBuilder open(int height, String title) {
        return new StringBuilder("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ")
                .append(WIDTH)
                .append(' ')
                .append(height)
                .append("\" width=\"")
                .append(WIDTH)
                .append("\" font-family=\"sans-serif\"><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>")
                .append(label(20, 20, "start", "#222", title));
    }

    private static String line(double x1, double y1, double x2, double y2) {
        return mark(x1, y1, x2, y2, "#999", 1);
    }

    private static String mark(double x1, double y1, double x2, double y2, String colour, double width) {
        return String.format(
                Locale.ROOT,
                "<path d=\"M%.1f %.1fL%.1f %.1f\" stroke=\"%s\" stroke-width=\"%.1f\"/>",
                x1,
                y1,
                x2,
                y2,
                colour,
                width);
    }

    private static String label(double x, double y, String anchor, String colour, String text) {
        return String.format(
                Locale.ROOT,
                "<text font-size=\"12\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"%s\">%s</text>",
                x,
                y,
                anchor,
                colour,
                text.replace("&", "&amp;").replace("<", "&lt;"));
    }

    private static String number(double value) {
        return value == Math.rint(value) ? Long.toString((long) value) : String.format(Locale.ROOT, "%.1f", value);
    }
}
