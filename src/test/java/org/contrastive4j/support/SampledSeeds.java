package org.contrastive4j.support;

import java.util.List;
import java.util.stream.IntStream;

/**
 * Seeds of a test that repeats itself, divided between the tiers as the cases of {@link SampledSource} are. The test or
 * its class carries {@code @Tag("sampled")}, so that both tiers run it.
 */
public final class SampledSeeds {
    private SampledSeeds() {}

    /**
     * Returns the seeds of this tier.
     *
     * @param count the seeds are 0 to {@code count} - 1
     * @param every the default run takes one seed in so many, 0 included
     */
    public static List<Integer> of(int count, int every) {
        return SampledCases.select(
                IntStream.range(0, count).boxed().toList(), System.getProperty(SampledCases.TIER, ""), every);
    }
}
