package org.contrastive4j.loss;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import org.contrastive4j.ops.Ops;

/** Losses by name, each with its published settings. */
public final class Losses {
    private static final Map<String, Function<Ops, ContrastiveLoss>> BY_NAME = new LinkedHashMap<>();

    static {
        BY_NAME.put("infonce", ContrastiveLoss::infoNce);
        BY_NAME.put("infonce-rows",
                ops -> ContrastiveLoss.infoNce(ops, InfoNce.Direction.ROWS, 0, PairPolicy.DEFAULT));
        BY_NAME.put("infonce-smoothed",
                ops -> ContrastiveLoss.infoNce(ops, InfoNce.Direction.SYMMETRIC, 0.1, PairPolicy.DEFAULT));
        BY_NAME.put("infonce-multipositive",
                ops -> ContrastiveLoss.infoNce(ops, InfoNce.Direction.SYMMETRIC, 0, PairPolicy.MULTI_POSITIVE));
        BY_NAME.put("infonce-fourway", ops -> ContrastiveLoss.fourWay(ops, 0, PairPolicy.DEFAULT));
        BY_NAME.put("siglip", ContrastiveLoss::sigLip);
        BY_NAME.put("bce", ContrastiveLoss::binary);
        BY_NAME.put("bce-balanced", ContrastiveLoss::binaryBalanced);
        BY_NAME.put("bce-warmup", ops -> ContrastiveLoss.binaryWarmedUp(ops, NegativesWarmup.DEFAULT));
        BY_NAME.put("triplet", ops -> triplet(ops, TripletLoss.Negatives.ALL));
        BY_NAME.put("triplet-hardest", ops -> triplet(ops, TripletLoss.Negatives.HARDEST));
        BY_NAME.put("triplet-semihard", ops -> triplet(ops, TripletLoss.Negatives.SEMI_HARD));
        BY_NAME.put("sinkhorn", ops -> ContrastiveLoss.sinkhorn(ops, 5));
        BY_NAME.put("sinkhorn-symmetric", ops -> SinkhornLoss.symmetric(ops, 5, PairPolicy.DEFAULT));
    }

    private Losses() {}

    private static ContrastiveLoss triplet(Ops ops, TripletLoss.Negatives negatives) {
        return ContrastiveLoss.triplet(ops, negatives, TripletLoss.DEFAULT_MARGIN);
    }

    /** All names, in the order to list them. */
    public static Set<String> names() {
        return Collections.unmodifiableSet(BY_NAME.keySet());
    }

    /**
     * A new loss; the caller closes it.
     *
     * @throws LossOptionException naming all losses when there is none of this name
     */
    public static ContrastiveLoss named(Ops ops, String name) {
        Function<Ops, ContrastiveLoss> make = BY_NAME.get(name);
        LossOptionException.require(make != null, "no loss \"" + name + "\"; there are " + String.join(", ", names()));
        return make.apply(ops);
    }
}
