package org.contrastive4j.train;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Tensor;

/** Finds the pictures that are most similar to a text. A picture with several captions is found once. */
public final class Search implements AutoCloseable {
    /**
     * A picture and its cosine similarity with the text.
     *
     * @param sample id of the first searched pair with this picture
     * @param score cosine
     */
    public record Match(int sample, double score) {}

    private final Ops ops;
    private final PairDataset data;
    private final Embedder embedder;
    private final List<Integer> samples;
    private final Tensor pictures;

    /**
     * Embeds the pictures to search.
     *
     * @param ops backend
     * @param data pairs
     * @param embedder of the model
     * @param samples ids of the pairs to search; of pairs with the same picture, the first counts
     */
    public Search(Ops ops, PairDataset data, Embedder embedder, List<Integer> samples) {
        this.ops = ops;
        this.data = data;
        this.embedder = embedder;
        Set<String> seen = new HashSet<>();
        this.samples =
                samples.stream().filter(id -> seen.add(data.pair(id).picture())).toList();
        this.pictures = embedder.pictures(this.samples);
    }

    /**
     * Returns the most similar pictures.
     *
     * @param text to search for
     * @param k number of matches
     * @return at most k matches with distinct readable pictures, best first
     */
    public List<Match> find(String text, int k) {
        try (Tensor query = embedder.texts(List.of(text));
                Tensor scores = ops.allocateParameter(1, samples.size())) {
            ops.matrix().gemm(false, true, 1, query, pictures, 0, scores);
            double[] values = scores.toDoubles();
            List<Match> matches = new ArrayList<>();
            for (int at = 0; at < values.length; at++) { // unreadable pictures were embedded as grey ones
                values[at] = data.isUnreadable(samples.get(at)) ? Double.NEGATIVE_INFINITY : values[at];
            }
            for (int at : Retrieval.top(values, k)) {
                if (values[at] > Double.NEGATIVE_INFINITY) {
                    matches.add(new Match(samples.get(at), values[at]));
                }
            }
            return matches;
        }
    }

    /**
     * Draws the most similar pictures, each with its score and caption, in a grid of at most eight columns.
     *
     * @param text to search for
     * @param k number of matches
     * @param format png or jpg
     * @return the bytes of a picture file
     */
    public byte[] sheet(String text, int k, String format) {
        return ContactSheet.encoded(List.of(row(text, -1, k, ContactSheet.PICTURE)), format);
    }

    /**
     * Returns the most similar pictures as a row of a contact sheet.
     *
     * @param text to search for
     * @param like id of a pair: pictures of its concept get a frame; negative for no frames
     * @param k number of matches
     * @param size side of a picture in pixels
     * @return the row
     */
    ContactSheet.Row row(String text, int like, int k, int size) {
        return new ContactSheet.Row(
                text,
                find(text, k).stream()
                        .map(match -> new ContactSheet.Cell(
                                data.picture(match.sample(), size),
                                size,
                                data.pair(match.sample()).caption(),
                                match.score(),
                                like >= 0 && data.sameConcept(match.sample(), like)))
                        .toList());
    }

    @Override
    public void close() {
        pictures.close();
    }
}
