package org.contrastive4j.train;

import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.Set;
import org.contrastive4j.loss.LossOptionException;
import org.contrastive4j.loss.Losses;

/**
 * The loss of a run: one of {@link Losses} over the batch, or a queue of past keys from momentum encoders.
 *
 * @param name one of {@link #names}
 * @param queueSize keys in each of the two queues, at least a batch; 0 without a queue
 * @param momentum share of the momentum encoders that each step keeps, in [0, 1); 0 without a queue
 */
public record LossConfig(String name, int queueSize, double momentum) {
    /** Name of {@link org.contrastive4j.loss.QueueContrast}. */
    public static final String QUEUE = "queue";

    /** Half of a momentum encoder is then of the last 69 steps; the published 0.999 wants runs of many thousands. */
    public static final double DEFAULT_MOMENTUM = 0.99;

    private static final int DEFAULT_QUEUE = 1024;

    public LossConfig {
        if (!names().contains(name)) {
            throw new LossOptionException("no loss \"" + name + "\"; there are " + String.join(", ", names()));
        }
        boolean queue = name.equals(QUEUE);
        if (queue && queueSize < 1 || !queue && queueSize != 0) {
            throw new LossOptionException(queue ? "a queue of " + queueSize + " keys, wanted at least a batch"
                    : "loss " + name + " has no queue, given a size of " + queueSize + "; the loss that has one is "
                            + QUEUE);
        }
        if (!(momentum >= 0 && momentum < 1) || !queue && momentum != 0) {
            throw new LossOptionException(queue ? "momentum is " + momentum + ", wanted [0, 1)"
                    : "loss " + name + " has no momentum encoders, given momentum " + momentum);
        }
    }

    /** A loss with its usual settings, for batches of this size. */
    public static LossConfig named(String name, int batch) {
        return name.equals(QUEUE) ? new LossConfig(name, Math.max(DEFAULT_QUEUE, batch), DEFAULT_MOMENTUM)
                : new LossConfig(name, 0, 0);
    }

    /** All names, in the order to list them. */
    public static Set<String> names() {
        Set<String> all = new LinkedHashSet<>(Losses.names());
        all.add(QUEUE);
        return Collections.unmodifiableSet(all);
    }

    /** What a loss is, in a line. */
    public static String description(String name) {
        return name.equals(QUEUE) ? "infonce against the batch's and past keys of momentum encoders, as MoCo has it"
                : Losses.description(name);
    }

    boolean hasQueue() {
        return name.equals(QUEUE);
    }
}
