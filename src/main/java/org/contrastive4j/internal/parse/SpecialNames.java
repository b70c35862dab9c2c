package org.contrastive4j.internal.parse;

import java.util.Set;

/** Special registers whose name is one word; those with an element have a dot. */
final class SpecialNames {
    private static final Set<String> NAMES = Set.of(
            "%laneid",
            "%warpid",
            "%nwarpid",
            "%smid",
            "%nsmid",
            "%gridid",
            "%is_explicit_cluster",
            "%cluster_ctarank",
            "%cluster_nctarank",
            "%lanemask_eq",
            "%lanemask_le",
            "%lanemask_lt",
            "%lanemask_ge",
            "%lanemask_gt",
            "%clock",
            "%clock_hi",
            "%clock64",
            "%globaltimer",
            "%globaltimer_lo",
            "%globaltimer_hi",
            "%total_smem_size",
            "%aggr_smem_size",
            "%dynamic_smem_size",
            "WARP_SZ");

    private SpecialNames() {}

    static boolean contains(String name) {
        return NAMES.contains(name);
    }
}
