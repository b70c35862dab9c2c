package org.contrastive4j.loss;

import java.util.Arrays;
import java.util.List;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * Queries against the keys of their batch and of a queue of past ones, both ways: (CE(u; [v'; queue of v']) + CE(v;
 * [u'; queue of u'])) / 2, CE the InfoNCE of rows, u and v from the trained encoders, keys u' and v' from momentum
 * encoders, which get no gradient.
 *
 * <p>With ids, keys of the same id are positives or ignored as the policy says. Each cross-entropy meets n queries with
 * n + queue keys: memory O((n + queue) d), never a table of pairs. Cost: 12 n (n + queue) d flops, as only dx is
 * wanted. The log-scale is fixed unless said otherwise.
 *
 * <p>Sources: He et al. 2020, equation 1 (temperature 0.07); Li et al., Align before fuse, 2021, section 3.2 (both
 * ways).
 */
public final class QueueContrast implements AutoCloseable {
    private final Ops ops;
    private final SoftmaxLoss loss;
    private final PairPolicy policy;
    private final KeyQueue ofU;
    private final KeyQueue ofV;

    /** A fixed temperature of 0.07; equal ids are ignored. */
    public QueueContrast(Ops ops, int capacity, int width) {
        this(ops, capacity, width, PairPolicy.DEFAULT, InfoNce.INITIAL_LOG_SCALE, false);
    }

    /** @param capacity keys in each of the two queues, at least a batch */
    public QueueContrast(
            Ops ops, int capacity, int width, PairPolicy policy, double initialLogScale, boolean learnable) {
        this.ops = ops;
        this.policy = policy;
        loss = new SoftmaxLoss(ops, InfoNce.Direction.ROWS, 0, policy, initialLogScale, learnable);
        KeyQueue first = null;
        try {
            first = new KeyQueue(ops, capacity, width);
            ofV = new KeyQueue(ops, capacity, width);
        } catch (RuntimeException refused) {
            loss.close();
            if (first != null) {
                first.close();
            }
            throw refused;
        }
        ofU = first;
    }

    /** The log-scale. */
    public List<Parameter> parameters() {
        return loss.parameters();
    }

    public Parameter logScale() {
        return loss.logScale();
    }

    /** Past keys u', which queries v meet. */
    public KeyQueue queueOfU() {
        return ofU;
    }

    /** Past keys v', which queries u meet. */
    public KeyQueue queueOfV() {
        return ofV;
    }

    /**
     * Value, statistics, and gradients times {@code gradientScale}; the queues are not changed.
     *
     * @param u [n, d] raw queries; read
     * @param v [n, d] raw queries, row i belongs to row i of u; read
     * @param keysOfU [n, d] raw keys; read
     * @param keysOfV [n, d] raw keys; read
     * @param ids [n] I32 of the samples, or null
     * @param du [n, d], null when not wanted; written
     * @param dv [n, d], null when not wanted; written
     * @return loss and mean positive are the means of both ways; row accuracy is that of u, column accuracy that of v,
     *     over all keys
     */
    public PairwiseOps.Result valueAndGradient(Tensor u, Tensor v, Tensor keysOfU, Tensor keysOfV, Tensor ids,
            Tensor du, Tensor dv, double gradientScale) {
        for (Tensor other : List.of(v, keysOfU, keysOfV)) {
            if (u.shape().rank() != 2 || !other.shape().equals(u.shape())) {
                throw new ShapeException("queries and keys are " + u + ", " + v + ", " + keysOfU + ", " + keysOfV
                        + ", wanted four of one shape [n, d]");
            }
        }
        try (Tensor dLogScale = ops.zeros(Shape.of(1))) {
            PairwiseOps.Result rows = side("u", u, keysOfV, ofV, ids, du, dLogScale, gradientScale / 2);
            PairwiseOps.Result columns = side("v", v, keysOfU, ofU, ids, dv, dLogScale, gradientScale / 2);
            loss.accumulate(dLogScale, null);
            return new PairwiseOps.Result((rows.loss() + columns.loss()) / 2, rows.rowAccuracy(), columns.rowAccuracy(),
                    (rows.meanPositive() + columns.meanPositive()) / 2);
        }
    }

    private PairwiseOps.Result side(String name, Tensor queries, Tensor newKeys, KeyQueue queue, Tensor ids,
            Tensor gradient, Tensor dLogScale, double gradientScale) {
        int n = queries.dim(0);
        int m = n + queue.size();
        try (UnitRows x = new UnitRows(ops, name, queries);
                UnitRows k = new UnitRows(ops, "keys of " + name, newKeys);
                Tensor all = ops.allocate(m, queries.dim(1))) {
            ops.pointwise().copy(k.unit(), all.rows(0, n));
            if (queue.size() > 0) {
                ops.pointwise().copy(queue.keys(), all.rows(n, m));
            }
            Pairing pairing = Pairing.diagonal(n, m);
            if (ids != null) {
                int[] own = ids.toInts();
                int[] ofKeys = Arrays.copyOf(own, m);
                for (int j = n; j < m; j++) {
                    ofKeys[j] = queue.id(j - n);
                }
                pairing = pairing.withIds(own, ofKeys, policy.sameId());
            }
            PairwiseOps.Result result = loss.run(x.unit(), all, pairing,
                    new PairwiseOps.Gradients(gradient, null, dLogScale, null), gradientScale);
            x.back(gradient);
            return result;
        }
    }

    /** Puts the batch's keys into the queues: after the step that used them, once. */
    public void enqueue(Tensor keysOfU, Tensor keysOfV, Tensor ids) {
        try (UnitRows u = new UnitRows(ops, "keys of u", keysOfU);
                UnitRows v = new UnitRows(ops, "keys of v", keysOfV)) {
            ofU.put(u.unit(), ids);
            ofV.put(v.unit(), ids);
        }
    }

    /** Bytes of tensors allocated by {@link #valueAndGradient} while it runs, with full queues. */
    public long workspaceBytes(int n, int d) {
        int m = n + ofU.capacity();
        return loss.workspaceBytes(n, m, d) + (n * (d + 1L) + m * (long) d) * ops.dtype().bytes();
    }

    @Override
    public void close() {
        loss.close();
        ofU.close();
        ofV.close();
    }
}
