package org.contrastive4j.loss;

import java.util.List;
import org.contrastive4j.ops.PairTileOps;
import org.contrastive4j.ops.Pairing;

/** All pairs of a batch, wherever their rows lie: one tensor, or shards of several workers. */
interface PairField {
    Pairing pairing();

    /** One pass over all pairs; results are of the whole batch. */
    List<PairTileOps.Reduced> reduce(List<PairTileOps.Reduction> reductions);
}
