package org.contrastive4j.loss;

import java.util.List;
import org.contrastive4j.ops.PairTileOps;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.Scalars;

/** All pairs of one matrix of rows and one of columns. */
final class WholeField extends PairField {
    private final Scalars.Scope scope;
    private final PairTileOps.Pairs pairs;

    WholeField(Scalars.Scope scope, PairTileOps.Pairs pairs, Scalars bias, Scalars second) {
        super(bias, second);
        this.scope = scope;
        this.pairs = pairs;
    }

    @Override
    public Pairing pairing() {
        return pairs.pairing();
    }

    @Override
    List<Scalars.Reduced> run(List<PairTileOps.Reduction> reductions) {
        return scope.reduce(pairs, reductions);
    }
}
