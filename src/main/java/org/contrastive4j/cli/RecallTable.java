package org.contrastive4j.cli;

import java.util.Locale;
import java.util.Map;
import org.contrastive4j.train.Retrieval;
import org.contrastive4j.train.Trainer;

/** Formats recall of test splits as a table. */
final class RecallTable {
    private RecallTable() {}

    /** Returns two lines for each split: picture to caption and caption to picture. */
    static String of(Map<String, Trainer.Recall> recalls) {
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
