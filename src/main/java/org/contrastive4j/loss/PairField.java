package org.contrastive4j.loss;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.Scalars;
import org.contrastive4j.ops.Scalars.Reduced;
import org.jspecify.annotations.Nullable;

/**
 * All pairs of one batch as a {@link ContrastiveLoss} evaluates them: which are positive, negative or ignored, and
 * reductions over the rows and columns of their logits. The rows may lie in one tensor or in shards of several workers.
 */
public abstract class PairField {
    private final Scalars bias;
    private final Scalars second;
    private @Nullable PairStatistics statistics;

    /**
     * @param bias added to every logit by the loss, not by the reductions
     * @param second parameter of the loss, of which a bias is one; 0 for a loss without one
     */
    PairField(Scalars bias, Scalars second) {
        this.bias = bias;
        this.second = second;
    }

    /**
     * Returns what the pairs are.
     *
     * @return n rows, m columns, and the class of each pair
     */
    public abstract Pairing pairing();

    /**
     * Returns the bias of the loss, 0 for a loss without one. Reductions and terms are of scale &lt;x_i, y_j&gt; alone:
     * a loss with a bias adds it through {@link org.contrastive4j.ops.PairTileOps.Shift}.
     *
     * @return the bias, a single scalar
     */
    public final Scalars bias() {
        return bias;
    }

    /** Returns the second parameter of the loss. */
    final Scalars second() {
        return second;
    }

    /**
     * Runs one pass over all pairs. Cost: 2 n m d flops.
     *
     * <p>The first pass also forms the accuracies and the mean positive logit of the result, so a loss asks for as much
     * as it can in its first call.
     *
     * @param reductions to compute in this pass
     * @return their results over the whole batch, in the same order
     */
    public final List<Reduced> reduce(List<Reduction> reductions) {
        if (statistics != null) {
            return run(reductions);
        }
        List<Reduction> all = new ArrayList<>(PairStatistics.REDUCTIONS);
        all.addAll(reductions);
        List<Reduced> reduced = run(all);
        int own = PairStatistics.REDUCTIONS.size();
        statistics = new PairStatistics(reduced.subList(0, own));
        return reduced.subList(own, reduced.size());
    }

    /** Statistics of the first pass, which runs now if there was none. */
    final PairStatistics statistics() {
        if (statistics == null) {
            statistics = new PairStatistics(run(PairStatistics.REDUCTIONS));
        }
        return Objects.requireNonNull(statistics);
    }

    /** Runs one pass. */
    abstract List<Reduced> run(List<Reduction> reductions);
}
