package org.contrastive4j.train;

import java.util.Locale;
import java.util.stream.Stream;
import org.contrastive4j.gradcache.GradCache.ChunkPlan;
import org.contrastive4j.tensor.Tensor;

/**
 * Bytes of each stage of a training step, computed before the first step.
 *
 * @param parameters values of all parameters
 * @param gradients of all trained parameters
 * @param optimizer state of the optimiser
 * @param batch pictures, captions and ids of one batch
 * @param batches number of live batches: two if the next batch is prefetched while a step runs
 * @param kept bytes that the memory pool holds for reuse, in addition to live bytes, when the plan was made
 * @param fragmentation of the arena of captured steps; 0 if steps run eagerly
 * @param measurement bytes for measuring cosines after a captured step, in addition to its arena
 * @param step stages of the step itself; its base includes everything above that is live when the step begins
 */
record MemoryPlan(
        long parameters,
        long gradients,
        long optimizer,
        long batch,
        int batches,
        long kept,
        long fragmentation,
        long measurement,
        ChunkPlan step) {
    /**
     * Returns the largest number of live bytes.
     *
     * @return bytes
     */
    public long peak() {
        return step.peak() + fragmentation + measurement;
    }

    /** Returns the sum of the bytes of some tensors. */
    static long bytes(Stream<Tensor> tensors) {
        return tensors.mapToLong(Tensor::bytes).sum();
    }

    /** Returns a table with one line for each stage. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        line(text, "parameters", parameters);
        line(text, "gradients of parameters", gradients);
        line(text, "optimiser state", optimizer);
        line(text, batches == 1 ? "batch" : "batches, one of them prefetched", batches * batch);
        text.append(step);
        if (fragmentation > 0) {
            line(text, "fragmentation of the arena of captured steps", fragmentation);
            line(text, "cosines of a captured step", measurement);
            line(text, "peak of captured steps", peak());
        }
        line(text, "kept by the memory pool in addition, now", kept);
        return text.toString();
    }

    private static void line(StringBuilder text, String stage, long bytes) {
        text.append(String.format(Locale.ROOT, "%-60s %10.1f MiB%n", stage, bytes / 1048576.0));
    }
}
