package org.contrastive4j.loss;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import org.contrastive4j.ops.Ops;

/** Losses by name, each with its published settings. */
public final class Losses {
    private record Entry(String description, Function<Ops, ContrastiveLoss> make) {}

    private static final Map<String, Entry> BY_NAME = new LinkedHashMap<>();

    static {
        add("infonce", "softmax over the batch, both ways, as CLIP has it", ContrastiveLoss::infoNce);
        add("infonce-rows", "softmax over the batch, pictures over captions only",
                ops -> ContrastiveLoss.infoNce(ops, InfoNce.Direction.ROWS, 0, PairPolicy.DEFAULT));
        add("infonce-smoothed", "infonce with a tenth of the target spread over the batch",
                ops -> ContrastiveLoss.infoNce(ops, InfoNce.Direction.SYMMETRIC, 0.1, PairPolicy.DEFAULT));
        add("infonce-multipositive", "infonce where samples of one id are positives; infonce when ids do not repeat",
                ops -> ContrastiveLoss.infoNce(ops, InfoNce.Direction.SYMMETRIC, 0, PairPolicy.MULTI_POSITIVE));
        add("infonce-fourway", "infonce that also tells samples of one side from each other, as NT-Xent does",
                ops -> ContrastiveLoss.fourWay(ops, 0, PairPolicy.DEFAULT));
        add("siglip", "sigmoid of every pair, summed over negatives, bias from -10", ContrastiveLoss::sigLip);
        add("bce", "sigmoid of every pair, mean over all pairs, bias from 0", ContrastiveLoss::binary);
        add("bce-balanced", "sigmoid of every pair, negatives weigh as much as the positive together",
                ContrastiveLoss::binaryBalanced);
        add("bce-warmup", "sigmoid, one negative a row at first and more while half of the rows are right",
                ops -> ContrastiveLoss.binaryWarmedUp(ops, NegativesWarmup.DEFAULT));
        add("triplet", "hinges of all negatives, margin 0.2", ops -> triplet(ops, TripletLoss.Negatives.ALL));
        add("triplet-hardest", "hinge of the hardest negative, as VSE++ has it",
                ops -> triplet(ops, TripletLoss.Negatives.HARDEST));
        add("triplet-semihard", "hinge of the hardest negative below the positive, as FaceNet has it",
                ops -> triplet(ops, TripletLoss.Negatives.SEMI_HARD));
        add("sinkhorn", "matching under a doubly stochastic plan, 5 iterations",
                ops -> ContrastiveLoss.sinkhorn(ops, 5));
        add("sinkhorn-symmetric", "sinkhorn, the mean of both orders of rows and columns",
                ops -> SinkhornLoss.symmetric(ops, 5, PairPolicy.DEFAULT));
    }

    private Losses() {}

    private static void add(String name, String description, Function<Ops, ContrastiveLoss> make) {
        BY_NAME.put(name, new Entry(description, make));
    }

    private static ContrastiveLoss triplet(Ops ops, TripletLoss.Negatives negatives) {
        return ContrastiveLoss.triplet(ops, negatives, TripletLoss.DEFAULT_MARGIN);
    }

    /** All names, in the order to list them. */
    public static Set<String> names() {
        return Collections.unmodifiableSet(BY_NAME.keySet());
    }

    /** What a loss is, in a line. */
    public static String description(String name) {
        return entry(name).description;
    }

    /**
     * A new loss; the caller closes it.
     *
     * @throws LossOptionException naming all losses when there is none of this name
     */
    public static ContrastiveLoss named(Ops ops, String name) {
        return entry(name).make.apply(ops);
    }

    private static Entry entry(String name) {
        Entry entry = BY_NAME.get(name);
        LossOptionException.require(entry != null, "no loss \"" + name + "\"; there are " + String.join(", ", names()));
        return entry;
    }
}
