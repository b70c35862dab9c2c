package org.contrastive4j.train;

import java.util.Locale;
import org.contrastive4j.gradcache.ChunkPlan;

/**
 * Bytes of each stage of a training step, known before the first one.
 *
 * @param parameters values of all of them
 * @param gradients accumulated, one for each parameter
 * @param optimizer its state
 * @param batch pictures, captions and ids of one batch
 * @param batches how many of them are live at a time: two where the next one is sent while a step runs
 * @param kept by the memory for later allocations, beside what is live, when the plan was made
 * @param fragmentation of the arena of captured steps, 0 when steps run eagerly
 * @param measurement of cosines after a captured step, in addition to its arena
 * @param step stages of the step itself; its base holds all of the above that is live when the step begins
 */
public record MemoryPlan(
        long parameters,
        long gradients,
        long optimizer,
        long batch,
        int batches,
        long kept,
        long fragmentation,
        long measurement,
        ChunkPlan step) {
    /** Most bytes live at once. */
    public long peak() {
        return step.peak() + fragmentation + measurement;
    }

    /** A table, one line a stage. */
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
        line(text, "kept by the pool beside that, now", kept);
        return text.toString();
    }

    private static void line(StringBuilder text, String stage, long bytes) {
        text.append(String.format(Locale.ROOT, "%-60s %10.1f MiB%n", stage, bytes / 1048576.0));
    }
}
