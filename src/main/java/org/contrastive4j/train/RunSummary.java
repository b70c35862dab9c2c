package org.contrastive4j.train;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.data.PairDataset.LeftOut;

/** The results of a finished run: the content of summary.json and examples of retrieval. */
final class RunSummary {
    private static final int EXAMPLES = 8;
    private static final int MATCHES = 8;

    private RunSummary() {}

    /**
     * Returns the content of summary.json.
     *
     * @param seconds of training, including the time before a resume
     * @param peakBytes largest number of live bytes of the backend
     */
    static Map<String, Object> of(
            Trainer trainer, Map<String, Trainer.Recall> recalls, double seconds, long peakBytes) {
        TrainConfig config = trainer.config();
        Map<String, Object> splits = new LinkedHashMap<>();
        recalls.forEach((name, recall) -> splits.put(name, directions(recall)));
        Map<String, Object> summary = new LinkedHashMap<>();
        summary.put("splits", splits);
        summary.put("retrievalProtocol", Retrieval.PROTOCOL);
        summary.put("loss", config.loss().name());
        summary.put("precision", String.valueOf(config.precision()));
        summary.put("steps", trainer.step());
        summary.put("augmentation", config.augmentation().description());
        summary.put("preprocessing", config.preprocessing().description());
        summary.put("batch", config.batch());
        summary.put("chunk", config.chunk());
        summary.put("pairs", (long) trainer.step() * config.batch());
        if (trainer.splits().isKnown()) {
            summary.put("trainingPairs", trainer.splits().train().size());
        }
        LeftOut leftOut = trainer.data().leftOut();
        summary.put("skippedPairs", leftOut.total());
        summary.put("leftOut", leftOut.counts());
        summary.put("parameters", count(trainer.allParameters()));
        summary.put("trainedParameters", trained(trainer));
        summary.put("seconds", Math.round(seconds * 10) / 10.0);
        summary.put("peakBytes", peakBytes);
        return summary;
    }

    /** Returns the number of elements of parameters. */
    static long count(List<Parameter> parameters) {
        return parameters.stream()
                .mapToLong(parameter -> parameter.value().size())
                .sum();
    }

    /** Returns the number of elements of the parameters that are not frozen. */
    static long trained(Trainer trainer) {
        return count(trainer.parameters().stream()
                .filter(parameter -> !parameter.isFrozen())
                .toList());
    }

    /**
     * Returns a PNG with eight captions of held-out pictures, spread over the split, and the pictures found for them.
     */
    static byte[] examples(Trainer trainer, Search search, List<Integer> samples) {
        List<ContactSheet.Row> rows = new ArrayList<>();
        for (int k = 0; k < Math.min(EXAMPLES, samples.size()); k++) {
            int sample = samples.get((int) ((k + 0.5) * samples.size() / EXAMPLES) % samples.size());
            rows.add(search.row(trainer.data().pair(sample).caption(), sample, MATCHES, ContactSheet.PICTURE));
        }
        return ContactSheet.png(rows);
    }

    /** Returns r1, r5, r10 and chance, as shares, in both directions. */
    static Map<String, Object> directions(Trainer.Recall recall) {
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
}
