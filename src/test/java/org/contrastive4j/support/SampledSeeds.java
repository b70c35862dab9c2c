package org.contrastive4j.support;

import java.util.List;
import java.util.stream.IntStream;

/**
 * Seeds or cases of a test that has a loop over them, divided between the tiers as the cases of {@link SampledSource}
 * are. The test or its class carries {@code @Tag("sampled")}, so that both tiers run it.
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
        return of(IntStream.range(0, count).boxed().toList(), every);
    }

    /** Returns the cases of this tier; the default run takes one in {@code every} of them, the first included. */
    public static <T> List<T> of(List<T> cases, int every) {
        return SampledCases.select(cases, System.getProperty(SampledCases.TIER, ""), every);
    }
}
