package org.contrastive4j.loss;

import java.util.Arrays;
import java.util.List;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.loss.DistilledContrast.Distillation;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Pairs;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Queries against the keys of their batch and of a queue of past ones, both ways: (CE(u; [v'; queue of v']) + CE(v;
 * [u'; queue of u'])) / 2, CE the InfoNCE of rows, u and v from the trained encoders, keys u' and v' from momentum
 * encoders, which get no gradient.
 *
 * <p>With ids, keys of the same id are positives or ignored as the policy says. Each cross-entropy compares n queries
 * with n + queue keys: memory O((n + queue) d), never a table of pairs. Cost: 12 n (n + queue) d flops, because only dx
 * is computed. The log-scale is fixed by default.
 *
 * <p>With distillation, a share of the targets are the similarities of the momentum encoders for the same samples, see
 * {@link SoftTargets#similarity}; {@link Distillation} ramps that share.
 *
 * <p>Sources: He et al. 2020, equation 1 (temperature 0.07); Li et al., Align before fuse, 2021, section 3.2 (both
 * ways).
 */
public final class QueueContrast implements AutoCloseable {
    private final Ops ops;
    private final InfoNce loss;
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
        loss = new InfoNce(ops, InfoNce.Direction.ROWS, 0, policy, initialLogScale, null, learnable);
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

    /**
     * Returns past keys u', which queries v are compared with.
     *
     * @return the queue
     */
    public KeyQueue queueOfU() {
        return ofU;
    }

    /**
     * Returns past keys v', which queries u are compared with.
     *
     * @return the queue
     */
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
     * @param du [n, d], or null; written
     * @param dv [n, d], or null; written
     * @return loss and mean positive are the means of both ways; row accuracy is that of u, column accuracy that of v,
     *     over all keys
     */
    public Deferred<PairwiseOps.Result> valueAndGradient(
            Tensor u,
            Tensor v,
            Tensor keysOfU,
            Tensor keysOfV,
            Tensor ids,
            Tensor du,
            Tensor dv,
            double gradientScale) {
        return valueAndGradient(u, v, keysOfU, keysOfV, ids, 0, du, dv, gradientScale);
    }

    /**
     * The same with momentum distillation: the targets of query u_i are alpha softmax_j e^t &lt;u'_i, k_j&gt; + (1 -
     * alpha) its own, k_j all keys it is compared with, and those of v_i likewise; the teacher's similarities get no
     * gradient.
     *
     * @param alpha share of the momentum encoders' targets, in [0, 1); see {@link Distillation#at}
     */
    public Deferred<PairwiseOps.Result> valueAndGradient(
            Tensor u,
            Tensor v,
            Tensor keysOfU,
            Tensor keysOfV,
            Tensor ids,
            double alpha,
            Tensor du,
            Tensor dv,
            double gradientScale) {
        LossOptionException.require(
                alpha >= 0 && alpha < 1, "expected a share of distillation in [0, 1), got " + alpha);
        requireOneShape(u, v, keysOfU, keysOfV);
        try (Tensor dLogScale = ops.zeroParameter(Shape.of(1))) {
            PairwiseOps.Result rows =
                    side(new Side("u", u, keysOfU, keysOfV, ofV), ids, alpha, du, dLogScale, gradientScale / 2);
            PairwiseOps.Result columns =
                    side(new Side("v", v, keysOfV, keysOfU, ofU), ids, alpha, dv, dLogScale, gradientScale / 2);
            loss.accumulate(dLogScale, null);
            return Deferred.of(new PairwiseOps.Result(
                    (rows.loss() + columns.loss()) / 2,
                    rows.rowAccuracy(),
                    columns.rowAccuracy(),
                    (rows.meanPositive() + columns.meanPositive()) / 2));
        }
    }

    private static void requireOneShape(Tensor u, Tensor v, Tensor keysOfU, Tensor keysOfV) {
        for (Tensor other : List.of(v, keysOfU, keysOfV)) {
            if (u.shape().rank() != 2 || !other.shape().equals(u.shape())) {
                throw new ShapeException("queries and keys are " + u + ", " + v + ", " + keysOfU + ", " + keysOfV
                        + ", expected four of one shape [n, d]");
            }
        }
    }

    /**
     * Measures the cosines of queries with all their keys, past ones too: both ways together, row accuracy that of u,
     * column accuracy that of v. One more pass over them, with no gradient.
     */
    public PairMetrics metrics(Tensor u, Tensor v, Tensor keysOfU, Tensor keysOfV, Tensor ids) {
        requireOneShape(u, v, keysOfU, keysOfV);
        SideMetrics ofU = metrics(new Side("u", u, keysOfU, keysOfV, ofV), ids);
        SideMetrics ofV = metrics(new Side("v", v, keysOfV, keysOfU, this.ofU), ids);
        return PairMetrics.of(
                new PairwiseOps.Result(0, ofU.accuracy, ofV.accuracy, 0),
                PairMetrics.joined(ofU.histogram, ofV.histogram));
    }

    private record SideMetrics(double accuracy, PairTileOps.Histogram histogram) {}

    private SideMetrics metrics(Side side, Tensor ids) {
        int n = side.queries.dim(0);
        try (UnitRows x = new UnitRows(ops, side.name, side.queries);
                Tensor all = keys(side)) {
            x.requireFinite();
            Pairs pairs = new Pairs(x.unit(), all, 1, pairing(n, all.dim(0), side.queue, ids));
            PairTileOps tiles = ops.pairTiles();
            PairStatistics statistics = new WholeField(tiles, pairs, 0).statistics();
            return new SideMetrics(
                    statistics.result(0, 0).rowAccuracy(),
                    tiles.histogram(pairs, PairMetrics.BINS).get());
        }
    }

    /** Unit keys that queries are compared with, those of the batch first. */
    private Tensor keys(Side side) {
        int n = side.queries.dim(0);
        int m = n + side.queue.size();
        try (UnitRows k = new UnitRows(ops, "keys of " + side.name, side.newKeys)) {
            k.requireFinite();
            Tensor all = ops.allocateParameter(m, side.queries.dim(1));
            ops.pointwise().copy(k.unit(), all.rows(0, n));
            if (side.queue.size() > 0) {
                ops.pointwise().copy(side.queue.keys(), all.rows(n, m));
            }
            return all;
        }
    }

    /** After each optimiser step: puts the log-scale back into [0, ln 100]. */
    public void afterStep(PairwiseOps.Result result) {
        loss.afterStep(result);
    }

    /** Queries, representations of the same samples by the momentum encoder, and keys. */
    private record Side(String name, Tensor queries, Tensor teacher, Tensor newKeys, KeyQueue queue) {}

    private PairwiseOps.Result side(
            Side side, Tensor ids, double alpha, Tensor gradient, Tensor dLogScale, double gradientScale) {
        int n = side.queries.dim(0);
        try (UnitRows x = new UnitRows(ops, side.name, side.queries);
                Tensor all = keys(side)) {
            x.requireFinite();
            Pairing pairing = pairing(n, all.dim(0), side.queue, ids);
            PairwiseOps.Result result = loss.run(
                            x.unit(),
                            all,
                            pairing,
                            new ContrastiveLoss.Outputs(
                                    new PairwiseOps.Gradients(gradient, null, dLogScale, null),
                                    gradientScale * (1 - alpha),
                                    null))
                    .get();
            loss.requireFinite(result.loss());
            if (alpha > 0) {
                result = distilled(side, x.unit(), all, pairing, alpha, result, gradient, dLogScale, gradientScale);
            }
            x.backward(gradient);
            return result;
        }
    }

    private Pairing pairing(int n, int m, KeyQueue queue, Tensor ids) {
        Pairing pairing = Pairing.diagonal(n, m);
        if (ids == null) {
            return pairing;
        }
        int[] own = ids.toInts();
        int[] ofKeys = Arrays.copyOf(own, m);
        for (int j = n; j < m; j++) {
            ofKeys[j] = queue.id(j - n);
        }
        return pairing.withIds(own, ofKeys, policy.sameId());
    }

    /** Mixes the teacher's part into a result and its gradient. */
    private PairwiseOps.Result distilled(
            Side side,
            Tensor x,
            Tensor keys,
            Pairing pairing,
            double alpha,
            PairwiseOps.Result hard,
            @Nullable Tensor gradient,
            Tensor dLogScale,
            double gradientScale) {
        try (UnitRows teacher = new UnitRows(ops, "momentum " + side.name, side.teacher);
                Tensor part = gradient == null ? null : ops.allocateParameter(x.shape())) {
            teacher.requireFinite();
            SoftTargets targets = new SimilarityTargets(ops, new Pairs(teacher.unit(), keys, loss.scale(), pairing));
            double soft = new SoftCrossEntropy(ops, new Pairs(x, keys, loss.scale(), pairing), Axis.ROWS, targets)
                    .alone(new PairwiseOps.Gradients(part, null, dLogScale, null), alpha * gradientScale);
            if (gradient != null && part != null) {
                ops.pointwise().axpy(1, part, gradient);
            }
            return new PairwiseOps.Result(
                    (1 - alpha) * hard.loss() + alpha * soft,
                    hard.rowAccuracy(),
                    hard.columnAccuracy(),
                    hard.meanPositive());
        }
    }

    /** Puts the batch's keys into the queues: after the step that used them, once. */
    public void enqueue(Tensor keysOfU, Tensor keysOfV, Tensor ids) {
        try (UnitRows u = new UnitRows(ops, "keys of u", keysOfU);
                UnitRows v = new UnitRows(ops, "keys of v", keysOfV)) {
            u.requireFinite();
            v.requireFinite();
            ofU.put(u.unit(), ids);
            ofV.put(v.unit(), ids);
        }
    }

    /**
     * Returns the bytes of tensors that {@link #metrics} allocates while it runs, with full queues.
     *
     * @param n rows of u
     * @param d width
     * @return bytes
     */
    public long metricsBytes(int n, int d) {
        int m = n + ofU.capacity();
        return (2L * n * (d + 1) + m * (long) d) * ops.parameterDtype().bytes()
                + ops.pairTiles().workspaceBytes(n, m, d);
    }

    /** Bytes of tensors allocated by {@link #valueAndGradient} while it runs, with full queues and a teacher. */
    public long workspaceBytes(int n, int d) {
        int m = n + ofU.capacity();
        return loss.rowBytes(n, m, d)
                + Math.max(
                        ops.pairwise().workspaceBytes(n, m, d, true) + (long) n * Integer.BYTES,
                        ops.pairTiles().workspaceBytes(n, m, d))
                + (n * (4L * d + 2) + m * (long) d) * ops.parameterDtype().bytes();
    }

    @Override
    public void close() {
        loss.close();
        ofU.close();
        ofV.close();
    }

    /**
     * A ring buffer of the most recent keys and their ids. New keys overwrite the oldest ones. The capacity need not be
     * a multiple of the batch size. The queue starts empty, without random keys.
     *
     * <p>Owns a tensor [capacity, d].
     *
     * <p>Source: He et al., Momentum contrast for unsupervised visual representation learning,
     * 2020, section 3.
     */
    public static final class KeyQueue implements AutoCloseable {
        /** Id of a key that was stored without one; no sample may have this id. */
        public static final int NO_ID = Integer.MIN_VALUE;

        private final Ops ops;
        private final Tensor keys;
        private final int[] ids;
        private int next;
        private int size;

        /**
         * Creates an empty queue.
         *
         * @param ops backend
         * @param capacity number of keys, at least 1
         * @param width d, at least 1
         * @throws LossOptionException when capacity or width is less than 1
         */
        public KeyQueue(Ops ops, int capacity, int width) {
            LossOptionException.require(
                    capacity >= 1 && width >= 1,
                    "expected a queue capacity and width of at least 1, got " + capacity + " and " + width);
            this.ops = ops;
            keys = ops.allocateParameter(capacity, width);
            ops.pointwise().fill(keys, 0);
            ids = new int[capacity];
            Arrays.fill(ids, NO_ID);
        }

        /**
         * Returns the maximum number of keys.
         *
         * @return capacity
         */
        public int capacity() {
            return ids.length;
        }

        /**
         * Returns the number of stored keys.
         *
         * @return 0 to capacity
         */
        public int size() {
            return size;
        }

        /**
         * Stores the keys of a batch, in order, in place of the oldest ones.
         *
         * @param rows [n, d] unit rows; read
         * @param rowIds [n] I32, or null
         * @throws LossOptionException when the batch is larger than the queue
         * @throws ShapeException when rows or ids do not have these shapes
         */
        public void put(Tensor rows, @Nullable Tensor rowIds) {
            if (rows.shape().rank() != 2 || rows.dim(1) != keys.dim(1)) {
                throw new ShapeException("expected keys [n, " + keys.dim(1) + "], got " + rows);
            }
            int count = rows.dim(0);
            LossOptionException.require(
                    count <= capacity(),
                    "expected a batch of at most the queue capacity " + capacity() + ", got " + count
                            + " keys; use a queue of at least one batch");
            int[] newIds = rowIds == null ? null : rowIds.toInts();
            if (newIds != null && newIds.length != count) {
                throw new ShapeException("expected " + count + " ids, one for each key, got " + newIds.length);
            }
            int untilEnd = Math.min(count, capacity() - next);
            copy(rows, 0, untilEnd, next);
            copy(rows, untilEnd, count, 0);
            for (int k = 0; k < count; k++) {
                ids[(next + k) % capacity()] = newIds == null ? NO_ID : newIds[k];
            }
            next = (next + count) % capacity();
            size = Math.min(capacity(), size + count);
        }

        /**
         * Replaces the ids of the stored keys.
         *
         * @param newIds one for each stored key, in the order of the slots
         * @throws LossOptionException when there are more or fewer ids than keys
         */
        public void relabel(int[] newIds) {
            LossOptionException.require(
                    newIds.length == size, "expected " + size + " ids, one for each stored key, got " + newIds.length);
            System.arraycopy(newIds, 0, ids, 0, size);
        }

        private void copy(Tensor rows, int from, int to, int offset) {
            if (to > from) {
                ops.pointwise().copy(rows.rows(from, to), keys.rows(offset, offset + to - from));
            }
        }

        /** Returns the stored keys [size, d], in an arbitrary order; a view, valid until the next change. */
        Tensor keys() {
            return keys.rows(0, size);
        }

        /**
         * Returns the tensor of all slots, which a checkpoint reads and writes.
         *
         * @return [capacity, d]; slots without a key are zeros
         */
        public Tensor slots() {
            return keys;
        }

        int id(int k) {
            return ids[k];
        }

        /**
         * The complete state of a queue, for a checkpoint.
         *
         * @param keys capacity times d elements
         * @param ids id of each slot
         * @param next slot of the next key
         * @param size number of stored keys
         */
        public record State(double[] keys, int[] ids, int next, int size) {}

        /**
         * Returns a copy of the state.
         *
         * @return the state
         */
        public State state() {
            return new State(keys.toDoubles(), ids.clone(), next, size);
        }

        /**
         * Restores a state.
         *
         * @param state of a queue of the same capacity and width
         * @throws LossOptionException when it is of another size or inconsistent
         */
        public void restore(State state) {
            LossOptionException.require(
                    state.ids.length == capacity()
                            && state.keys.length == keys.size()
                            && state.next >= 0
                            && state.next < capacity()
                            && state.size >= 0
                            && state.size <= capacity(),
                    "expected the state of a queue of " + keys + ", got " + state.ids.length + " ids, "
                            + state.keys.length + " elements, next " + state.next + ", size " + state.size);
            keys.set(state.keys);
            System.arraycopy(state.ids, 0, ids, 0, ids.length);
            next = state.next;
            size = state.size;
        }

        @Override
        public void close() {
            keys.close();
        }
    }
}
