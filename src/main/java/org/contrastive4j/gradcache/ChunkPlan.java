package org.contrastive4j.gradcache;

import java.util.List;
import java.util.Locale;

/**
 * Bytes of each stage of a cached step, known before it runs.
 *
 * @param base live before the step: parameters, optimiser state, the batch
 * @param representations of all encoders, and their gradients
 * @param lossWorkspace while the loss runs
 * @param encoders one entry each
 */
public record ChunkPlan(long base, long representations, long lossWorkspace, List<EncoderPlan> encoders) {
    /**
     * @param samples of the batch
     * @param chunk samples encoded at a time; the last chunk may be smaller
     * @param kept chunks whose activations stay from the first pass, so that they are not encoded twice
     * @param chunkActivations bytes that backward of one chunk needs; 0 when not measured
     * @param chunkPeak most bytes while one chunk goes forward and backward; 0 when not measured
     */
    public record EncoderPlan(String name, int samples, int chunk, int kept, long chunkActivations, long chunkPeak) {
        public int chunks() {
            return (samples + chunk - 1) / chunk;
        }

        long keptBytes() {
            return kept * chunkActivations;
        }
    }

    /** Most bytes live at once: everything kept, and the larger of the loss's workspace and one chunk's passes. */
    public long peak() {
        long kept = encoders.stream().mapToLong(EncoderPlan::keptBytes).sum();
        long chunk = encoders.stream().mapToLong(EncoderPlan::chunkPeak).max().orElse(0);
        return base + representations + kept + Math.max(lossWorkspace, chunk);
    }

    /** A table, one line a stage. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        line(text, "before the step", base);
        line(text, "representations and their gradients", representations);
        line(text, "loss workspace", lossWorkspace);
        for (EncoderPlan encoder : encoders) {
            line(
                    text,
                    encoder.name() + ": " + encoder.chunks() + " chunks of " + encoder.chunk() + ", one chunk's passes",
                    encoder.chunkPeak());
            line(text, encoder.name() + ": activations of " + encoder.kept() + " kept chunks", encoder.keptBytes());
        }
        line(text, "peak", peak());
        return text.toString();
    }

    private static void line(StringBuilder text, String stage, long bytes) {
        text.append(String.format(Locale.ROOT, "%-60s %10.1f MiB%n", stage, bytes / 1048576.0));
    }
}
