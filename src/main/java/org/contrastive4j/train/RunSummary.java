package org.contrastive4j.train;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.contrastive4j.data.LeftOut;

/** What a finished run is judged by: written as summary.json, report.html and a table. */
public final class RunSummary {
    private RunSummary() {}

    /**
     * Writes summary.json and report.html.
     *
     * @param seconds of training, over all sittings
     * @param peakBytes most live bytes of the backend
     */
    public static Map<String, Object> write(
            Trainer trainer,
            RunFolder folder,
            Map<String, Trainer.Recall> recalls,
            Search search,
            List<Integer> searched,
            double seconds,
            long peakBytes) {
        Map<String, Object> summary = new LinkedHashMap<>();
        Map<String, Object> splits = new LinkedHashMap<>();
        recalls.forEach((name, recall) -> splits.put(name, directions(recall)));
        summary.put("splits", splits);
        summary.put("retrievalProtocol", Retrieval.PROTOCOL);
        summary.put("loss", trainer.config().loss().name());
        summary.put("precision", trainer.config().precision().toString());
        summary.put("steps", trainer.step());
        summary.put("batch", trainer.config().batch());
        summary.put("chunk", trainer.config().chunk());
        summary.put("pairs", (long) trainer.step() * trainer.config().batch());
        summary.put("trainingPairs", trainer.splits().train().size());
        LeftOut leftOut = trainer.data().leftOut();
        summary.put("skippedPairs", leftOut.total());
        summary.put("leftOut", leftOut.counts());
        try {
            leftOut.write(folder.path().resolve("left-out.tsv"));
        } catch (IOException e) {
            throw new UncheckedIOException("cannot write left-out.tsv into " + folder.path(), e);
        }
        summary.put(
                "parameters",
                trainer.parameters().stream().mapToLong(p -> p.value().size()).sum());
        summary.put("seconds", Math.round(seconds * 10) / 10.0);
        summary.put("peakBytes", peakBytes);
        folder.writeJson("summary.json", summary);
        byte[] examples = Report.examples(trainer, search, searched);
        folder.writeText("report.html", Report.html(summary, folder.metrics(), examples));
        return summary;
    }

    /** r1, r5, r10 and chance, as shares, both ways. */
    public static Map<String, Object> directions(Trainer.Recall recall) {
        Map<String, Object> directions = new LinkedHashMap<>();
        directions.put("image to text", asMap(recall.imageToText()));
        directions.put("text to image", asMap(recall.textToImage()));
        return directions;
    }

    private static Map<String, Object> asMap(Retrieval retrieval) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("r1", retrieval.recall1());
        map.put("r5", retrieval.recall5());
        map.put("r10", retrieval.recall10());
        map.put("chance", retrieval.chance());
        map.put("candidates", retrieval.candidates());
        return map;
    }

    /** The recalls as lines of text. */
    public static String table(Map<String, Trainer.Recall> recalls) {
        StringBuilder text = new StringBuilder(String.format(
                Locale.ROOT, "%-14s %-14s %7s %7s %7s %9s%n", "split", "direction", "R@1", "R@5", "R@10", "chance"));
        recalls.forEach((name, recall) -> {
            line(text, name, "image to text", recall.imageToText());
            line(text, name, "text to image", recall.textToImage());
        });
        return text.toString();
    }

    private static void line(StringBuilder text, String split, String direction, Retrieval r) {
        text.append(String.format(
                Locale.ROOT,
                "%-14s %-14s %6.1f%% %6.1f%% %6.1f%% %8.2f%%%n",
                split,
                direction,
                100 * r.recall1(),
                100 * r.recall5(),
                100 * r.recall10(),
                100 * r.chance()));
    }
}
