package org.contrastive4j.internal.parse;

import java.util.Set;
import java.util.regex.Pattern;

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
            "%reserved_smem_offset_begin",
            "%reserved_smem_offset_end",
            "%reserved_smem_offset_cap",
            "%reserved_smem_offset_0",
            "%reserved_smem_offset_1",
            "%current_graph_exec",
            "WARP_SZ");

    private static final Pattern ENVIRONMENT = Pattern.compile("%envreg(?:[12]?[0-9]|3[01])|%pm[0-7](?:_64)?");

    private SpecialNames() {}

    static boolean contains(String name) {
        return NAMES.contains(name) || ENVIRONMENT.matcher(name).matches();
    }
}
