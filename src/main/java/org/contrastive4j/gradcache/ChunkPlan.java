package org.contrastive4j.gradcache;

import java.util.List;
import java.util.Locale;

/**
 * The chunks of a step with gradient caching, and the bytes that each stage of the step is planned to use.
 *
 * @param base bytes live before the step: parameters, optimiser state, the batch
 * @param representations bytes of the representations of all encoders and of their gradients
 * @param lossWorkspace bytes that the loss allocates while it runs
 * @param encoders plan of each encoder
 */
public record ChunkPlan(long base, long representations, long lossWorkspace, List<EncoderPlan> encoders) {
    /**
     * The chunks of one encoder.
     *
     * @param name of the encoder
     * @param samples in the batch
     * @param chunk samples encoded at a time; the last chunk may be smaller
     * @param kept number of chunks whose activations are kept after the first pass, so that they are encoded only once
     * @param chunkActivations bytes of the activations of one chunk; 0 if not measured
     * @param chunkPeak peak bytes of forward and backward of one chunk; 0 if not measured
     */
    public record EncoderPlan(String name, int samples, int chunk, int kept, long chunkActivations, long chunkPeak) {
        /**
         * Returns the number of chunks.
         *
         * @return samples / chunk, rounded up
         */
        public int chunks() {
            return (samples + chunk - 1) / chunk;
        }

        long keptBytes() {
            return kept * chunkActivations;
        }
    }

    /**
     * Returns the planned peak of live bytes: base, representations, kept activations, and the larger of the workspace
     * of the loss and the peak of one chunk.
     *
     * @return bytes
     */
    public long peak() {
        long kept = encoders.stream().mapToLong(EncoderPlan::keptBytes).sum();
        long chunk = encoders.stream().mapToLong(EncoderPlan::chunkPeak).max().orElse(0);
        return base + representations + kept + Math.max(lossWorkspace, chunk);
    }

    /** Returns a table with one line per stage. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        line(text, "before the step", base);
        line(text, "representations and their gradients", representations);
        line(text, "loss workspace", lossWorkspace);
        for (EncoderPlan encoder : encoders) {
            line(
                    text,
                    encoder.name() + ": " + encoder.chunks() + " chunks of " + encoder.chunk()
                            + ", passes of one chunk",
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
