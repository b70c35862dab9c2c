package org.contrastive4j.loss;

import java.util.List;
import org.contrastive4j.ops.PairTileOps;
import org.contrastive4j.ops.Pairing;

/** All pairs of one matrix of rows and one of columns. */
final class WholeField extends PairField {
    private final PairTileOps tiles;
    private final PairTileOps.Pairs pairs;

    WholeField(PairTileOps tiles, PairTileOps.Pairs pairs, double bias) {
        super(bias);
        this.tiles = tiles;
        this.pairs = pairs;
    }

    @Override
    public Pairing pairing() {
        return pairs.pairing();
    }

    @Override
    List<PairTileOps.Reduced> run(List<PairTileOps.Reduction> reductions) {
        return tiles.reduce(pairs, reductions).get();
    }
}
