package org.contrastive4j.internal.compare;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Tables of the results of a {@link Comparison}.
 *
 * <p>Tested by {@code ComparisonTest}.
 */
final class ComparisonReport {
    /**
     * Mean and spread of a sample.
     *
     * @param deviation standard deviation with count - 1 in the denominator; NaN for a single value
     */
    record Spread(List<Double> values, double mean, double deviation) {
        static Spread of(List<Double> values) {
            double mean = values.stream().mapToDouble(v -> v).average().orElse(Double.NaN);
            double squares =
                    values.stream().mapToDouble(v -> (v - mean) * (v - mean)).sum();
            return new Spread(values, mean, values.size() < 2 ? Double.NaN : Math.sqrt(squares / (values.size() - 1)));
        }

        double standardError() {
            return deviation / Math.sqrt(values.size());
        }
    }

    /** Two-sided 95% quantiles of Student's t for 1, 2, ... degrees of freedom; the last serves for more. */
    private static final List<Double> STUDENT_95 = List.of(12.7, 4.3, 3.2, 2.8, 2.6, 2.4, 2.4, 2.3, 2.3, 2.2);

    private final Comparison comparison;
    private final Map<Comparison.Cell, Comparison.Result> results = new LinkedHashMap<>();
    private final List<String> splits;

    ComparisonReport(Comparison comparison, List<Comparison.Result> finished) {
        this.comparison = comparison;
        finished.stream()
                .sorted(Comparator.comparing(result -> comparison.cells().indexOf(result.cell())))
                .forEach(result -> results.put(result.cell(), result));
        splits = finished.stream()
                .flatMap(result -> result.recall().keySet().stream())
                .distinct()
                .toList();
    }

    Comparison comparison() {
        return comparison;
    }

    List<String> splits() {
        return splits;
    }

    /** Returns the recalls of the finished seeds, in percent. */
    Spread recall(String loss, int batch, String split) {
        return Spread.of(perSeed(loss, batch, split).values().stream().toList());
    }

    private Map<Long, Double> perSeed(String loss, int batch, String split) {
        Map<Long, Double> values = new LinkedHashMap<>();
        for (long seed : comparison.seeds()) {
            Comparison.Result result = results.get(new Comparison.Cell(loss, batch, seed));
            if (result != null && result.recall().containsKey(split)) {
                values.put(seed, 100 * result.recall().get(split));
            }
        }
        return values;
    }

    /** Returns the differences to the first loss, seed by seed: effects of the seed cancel. */
    private Spread difference(String loss, int batch, String split) {
        Map<Long, Double> first = perSeed(comparison.losses().get(0), batch, split);
        List<Double> differences = new ArrayList<>();
        perSeed(loss, batch, split).forEach((seed, value) -> {
            if (first.containsKey(seed)) {
                differences.add(value - first.get(seed));
            }
        });
        return Spread.of(differences);
    }

    private Spread seconds(String loss, int batch) {
        return Spread.of(comparison.seeds().stream()
                .map(seed -> results.get(new Comparison.Cell(loss, batch, seed)))
                .filter(result -> result != null && result.stopped() == null)
                .map(Comparison.Result::seconds)
                .toList());
    }

    /** Returns one CSV line for each run. */
    String cells() {
        StringBuilder csv = new StringBuilder("loss,batch,seed,steps,");
        splits.forEach(split -> csv.append("r1 ").append(split).append(','));
        csv.append("seconds,stopped\n");
        for (Comparison.Result result : results.values()) {
            Comparison.Cell cell = result.cell();
            csv.append(cell.loss())
                    .append(',')
                    .append(cell.batch())
                    .append(',')
                    .append(cell.seed())
                    .append(',')
                    .append(comparison.pairs() / cell.batch())
                    .append(',');
            splits.forEach(split -> csv.append(number("%.5f", result.recall().getOrDefault(split, Double.NaN)))
                    .append(','));
            csv.append(number("%.1f", result.seconds())).append(',');
            csv.append(result.stopped() == null ? "" : '"' + result.stopped().replace("\"", "\"\"") + '"')
                    .append('\n');
        }
        return csv.toString();
    }

    /** Returns one CSV line for each loss, batch size and split. */
    String csv() {
        StringBuilder csv = new StringBuilder(
                "loss,batch,split,seeds,r1 mean,r1 deviation,difference mean,difference standard error,seconds\n");
        for (String split : splits) {
            for (int batch : comparison.batches()) {
                for (String loss : comparison.losses()) {
                    Spread recall = recall(loss, batch, split);
                    Spread difference = difference(loss, batch, split);
                    csv.append(String.join(
                            ",",
                            loss,
                            Integer.toString(batch),
                            split,
                            Integer.toString(recall.values().size()),
                            number("%.3f", recall.mean()),
                            number("%.3f", recall.deviation()),
                            number("%.3f", difference.mean()),
                            number("%.3f", difference.standardError()),
                            number("%.1f", seconds(loss, batch).mean())));
                    csv.append('\n');
                }
            }
        }
        return csv.toString();
    }

    /** Returns Markdown tables: recall and differences of each split, and time. */
    String markdown() {
        List<Integer> batches = comparison.batches();
        String first = comparison.losses().get(0);
        StringBuilder page = new StringBuilder("# Losses compared\n\n");
        page.append(String.format(
                Locale.ROOT,
                "Each run saw %,d pairs; seeds %s; %d of %d runs are finished. Numbers are recall at 1 in percent, "
                        + "mean of both directions: mean and standard deviation over seeds.%n",
                comparison.pairs(),
                comparison.seeds().stream().map(String::valueOf).collect(Collectors.joining(", ")),
                results.size(),
                comparison.cells().size()));
        for (String split : splits) {
            page.append("\n## ").append(split).append("\n\n");
            table(page, batches, (loss, batch) -> {
                Spread recall = recall(loss, batch, split);
                return plusMinus("%.1f", recall.mean(), recall.deviation());
            });
            if (comparison.losses().size() > 1) {
                page.append("\nDifference to ")
                        .append(first)
                        .append(" of the same batch and seed, mean and standard error")
                        .append(chance())
                        .append(":\n\n");
                table(page, batches, (loss, batch) -> {
                    Spread difference = difference(loss, batch, split);
                    return loss.equals(first) ? "" : plusMinus("%+.1f", difference.mean(), difference.standardError());
                });
            }
        }
        page.append("\n## Seconds\n\n");
        table(
                page,
                batches,
                (loss, batch) -> number("%.0f", seconds(loss, batch).mean()));
        results.values().stream()
                .filter(result -> result.stopped() != null)
                .forEach(result -> page.append("\n")
                        .append(result.cell())
                        .append(": ")
                        .append(result.stopped())
                        .append('\n'));
        return page.toString();
    }

    /** States which difference is significant, by Student's t with one degree of freedom less than seeds. */
    private String chance() {
        int freedom = comparison.seeds().size() - 1;
        return freedom < 1
                ? ""
                : String.format(
                        Locale.ROOT,
                        "; with %d seeds chance alone exceeds %.1f standard errors once in twenty entries",
                        freedom + 1,
                        STUDENT_95.get(Math.min(freedom, STUDENT_95.size()) - 1));
    }

    @FunctionalInterface
    private interface Entry {
        String of(String loss, int batch);
    }

    private void table(StringBuilder page, List<Integer> batches, Entry entry) {
        page.append("| loss |");
        batches.forEach(batch -> page.append(" batch ").append(batch).append(" |"));
        page.append("\n|---|").append("---|".repeat(batches.size())).append('\n');
        for (String loss : comparison.losses()) {
            page.append("| ").append(loss).append(" |");
            batches.forEach(
                    batch -> page.append(' ').append(entry.of(loss, batch)).append(" |"));
            page.append('\n');
        }
    }

    private static String plusMinus(String format, double mean, double spread) {
        return Double.isNaN(spread)
                ? number(format, mean)
                : number(format, mean) + " ± " + String.format(Locale.ROOT, "%.1f", spread);
    }

    /** Formats a number; NaN, nothing measured, is an empty text. */
    private static String number(String format, double value) {
        return Double.isNaN(value) ? "" : String.format(Locale.ROOT, format, value);
    }
}
