package org.contrastive4j.loss;

import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.loss.DistilledContrast.Distillation;
import org.contrastive4j.loss.LossOption.LossOptionException;
import org.contrastive4j.loss.Losses.NonFiniteException;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.Scalars;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Compares queries with the keys of their batch and with a queue of past keys, in both directions: (CE(u; [v'; queue of
 * v']) + CE(v; [u'; queue of u'])) / 2. CE is the InfoNCE of rows, u and v come from the trained encoders, the keys u'
 * and v' from momentum encoders, which get no gradient.
 *
 * <p>With ids, keys that have the id of a query are positives or ignored, as the policy says. The log-scale is fixed by
 * default. With distillation, a share of the targets are similarities of the momentum encoders for the same samples;
 * {@link Distillation} is the schedule of that share.
 *
 * <p>Memory: O((n + queue) d), never a table of pairs. Cost: 12 n (n + queue) d flops, because only the gradients of
 * the queries are computed.
 *
 * <p>Sources: He et al., Momentum contrast for unsupervised visual representation learning, 2020, equation 1
 * (temperature 0.07); Li et al., Align before fuse, 2021, section 3.2 (both directions).
 */
public final class QueueContrast implements AutoCloseable {
    private final Ops ops;
    private final InfoNce loss;
    private final PairPolicy policy;
    private final KeyQueue ofU;
    private final KeyQueue ofV;

    /**
     * Creates a loss with a fixed temperature of 0.07 that ignores equal ids.
     *
     * @param ops backend
     * @param capacity keys in each of the two queues, at least a batch
     * @param width d
     * @throws LossOptionException when capacity or width is less than 1
     */
    public QueueContrast(Ops ops, int capacity, int width) {
        this(ops, capacity, width, PairPolicy.DEFAULT, InfoNce.INITIAL_LOG_SCALE, false);
    }

    /**
     * Creates a loss.
     *
     * @param ops backend
     * @param capacity keys in each of the two queues, at least a batch
     * @param width d
     * @param policy of ids
     * @param initialLogScale in [0, ln 100]
     * @param learnable whether the log-scale gets a gradient
     * @throws LossOptionException when capacity or width is less than 1, or the log-scale is out of range
     */
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

    /**
     * Returns the parameters of the loss.
     *
     * @return the log-scale
     */
    public List<Parameter> parameters() {
        return loss.parameters();
    }

    /**
     * Returns the logarithm of the logit scale.
     *
     * @return t, one element
     */
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
     * Computes value, statistics, and gradients times {@code gradientScale}. The queues are not changed.
     *
     * @param u [n, d] raw queries; read
     * @param v [n, d] raw queries, row i belongs to row i of u; read
     * @param keysOfU [n, d] raw keys; read
     * @param keysOfV [n, d] raw keys; read
     * @param ids [n] I32 of the samples, or null; read
     * @param du [n, d], or null; written
     * @param dv [n, d], or null; written
     * @param gradientScale multiplied into every gradient; that of the log-scale is accumulated
     * @return loss and mean positive are the means of both ways; row accuracy is that of u, column accuracy that of v,
     *     over all keys
     * @throws ShapeException when queries and keys differ in shape
     */
    public Deferred<PairwiseOps.Result> valueAndGradient(
            Tensor u,
            Tensor v,
            Tensor keysOfU,
            Tensor keysOfV,
            @Nullable Tensor ids,
            @Nullable Tensor du,
            @Nullable Tensor dv,
            double gradientScale) {
        return valueAndGradient(u, v, keysOfU, keysOfV, ids, 0, du, dv, gradientScale);
    }

    /**
     * Computes the same with momentum distillation: the targets of query u_i are alpha softmax_j e^t &lt;u'_i, k_j&gt;
     * + (1 - alpha) [its own key], k_j all keys it is compared with, and those of v_i likewise. The similarities of the
     * teacher get no gradient.
     *
     * @param u [n, d] raw queries; read
     * @param v [n, d] raw queries, row i belongs to row i of u; read
     * @param keysOfU [n, d] raw keys; read
     * @param keysOfV [n, d] raw keys; read
     * @param ids [n] I32 of the samples, or null; read
     * @param alpha share of the momentum encoders' targets, in [0, 1); see {@link Distillation#at}
     * @param du [n, d], or null; written
     * @param dv [n, d], or null; written
     * @param gradientScale multiplied into every gradient; that of the log-scale is accumulated
     * @return as without distillation
     * @throws LossOptionException when alpha is out of range
     * @throws ShapeException when queries and keys differ in shape
     */
    public Deferred<PairwiseOps.Result> valueAndGradient(
            Tensor u,
            Tensor v,
            Tensor keysOfU,
            Tensor keysOfV,
            @Nullable Tensor ids,
            double alpha,
            @Nullable Tensor du,
            @Nullable Tensor dv,
            double gradientScale) {
        LossOptionException.require(
                alpha >= 0 && alpha < 1, "expected a share of distillation in [0, 1), got " + alpha);
        return compute(
                new QueueSide.Batch(u, v, keysOfU, keysOfV, ids), scope -> Scalars.of(alpha), du, dv, gradientScale);
    }

    /**
     * Computes the same with the share of a schedule. Step and ids are read in stream order: a captured graph reads
     * them again at every replay, together with the keys that the queues hold then. A graph is valid as long as the
     * queues hold as many keys as when it was captured.
     *
     * @param u [n, d] raw queries; read
     * @param v [n, d] raw queries, row i belongs to row i of u; read
     * @param keysOfU [n, d] raw keys; read
     * @param keysOfV [n, d] raw keys; read
     * @param ids [n] I32 of the samples, or null; read
     * @param schedule of the share of the momentum encoders' targets
     * @param step [1] I32, the number of steps before; read
     * @param du [n, d], or null; written
     * @param dv [n, d], or null; written
     * @param gradientScale multiplied into every gradient; that of the log-scale is accumulated
     * @return as without distillation
     * @throws ShapeException when queries and keys differ in shape
     */
    public Deferred<PairwiseOps.Result> valueAndGradient(
            Tensor u,
            Tensor v,
            Tensor keysOfU,
            Tensor keysOfV,
            @Nullable Tensor ids,
            Distillation schedule,
            Tensor step,
            @Nullable Tensor du,
            @Nullable Tensor dv,
            double gradientScale) {
        return compute(
                new QueueSide.Batch(u, v, keysOfU, keysOfV, ids),
                scope -> schedule.alpha() == 0 ? Scalars.of(0) : schedule.at(scope.read(step)),
                du,
                dv,
                gradientScale);
    }

    private Deferred<PairwiseOps.Result> compute(
            QueueSide.Batch batch,
            Function<Scalars.Scope, Scalars> share,
            @Nullable Tensor du,
            @Nullable Tensor dv,
            double gradientScale) {
        try (Tensor dLogScale = ops.zeroParameter(Shape.of(1))) {
            Deferred<PairwiseOps.Result> rows = QueueSide.ofU(ops, loss, policy, batch, ofV)
                    .valueAndGradient(share, du, dLogScale, gradientScale / 2);
            Deferred<PairwiseOps.Result> columns = QueueSide.ofV(ops, loss, policy, batch, ofU)
                    .valueAndGradient(share, dv, dLogScale, gradientScale / 2);
            loss.accumulate(dLogScale, null);
            return rows.map(ofRows -> QueueSide.mean(ofRows, columns.get()));
        }
    }

    /**
     * Measures the cosines of the queries of both directions with all their keys. Row accuracy is that of u, column
     * accuracy that of v. Cost: two passes over the pairs, no gradient.
     *
     * @param u [n, d] raw queries; read
     * @param v [n, d] raw queries; read
     * @param keysOfU [n, d] raw keys; read
     * @param keysOfV [n, d] raw keys; read
     * @param ids [n] I32 of the samples, or null; read
     * @return the measurements
     */
    public PairMetrics metrics(Tensor u, Tensor v, Tensor keysOfU, Tensor keysOfV, @Nullable Tensor ids) {
        QueueSide.Batch batch = new QueueSide.Batch(u, v, keysOfU, keysOfV, ids);
        QueueSide.Metrics rows = QueueSide.ofU(ops, loss, policy, batch, ofV).metrics();
        QueueSide.Metrics columns = QueueSide.ofV(ops, loss, policy, batch, ofU).metrics();
        return PairMetrics.of(
                new PairwiseOps.Result(0, rows.accuracy(), columns.accuracy(), 0),
                PairMetrics.joined(rows.histogram(), columns.histogram()));
    }

    /**
     * Clamps the log-scale to [0, ln 100]; to be called after each optimiser step.
     *
     * @param result of the step
     */
    public void afterStep(PairwiseOps.Result result) {
        loss.afterStep(result);
    }

    /**
     * Stores the keys of a batch in the queues; to be called once, after the step that used them.
     *
     * @param keysOfU [n, d] raw keys; read
     * @param keysOfV [n, d] raw keys; read
     * @param ids [n] I32 of the samples, or null; read
     * @throws NonFiniteException when a key is not finite
     */
    public void enqueue(Tensor keysOfU, Tensor keysOfV, @Nullable Tensor ids) {
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
                + (ops.canCapture() ? (long) m * Integer.BYTES : 0)
                + ops.pairTiles().workspaceBytes(n, m, d);
    }

    /**
     * Returns the bytes of tensors that {@link #valueAndGradient} allocates while it runs, with full queues and a
     * teacher.
     *
     * @param n rows of u
     * @param d width
     * @return bytes
     */
    public long workspaceBytes(int n, int d) {
        return QueueSide.workspaceBytes(ops, loss, n, n + ofU.capacity(), d);
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
        private final DeviceIds onDevice;
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
            ids = new int[capacity];
            Arrays.fill(ids, NO_ID);
            onDevice = new DeviceIds(ops, ids);
            try {
                keys = ops.zeroParameter(Shape.of(capacity, width));
            } catch (RuntimeException noMemory) {
                onDevice.close();
                throw noMemory;
            }
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
            onDevice.send();
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
            onDevice.send();
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

        /** Returns the ids of the stored keys on the device, [size] I32; a view, valid until the next change. */
        Tensor ids() {
            return Objects.requireNonNull(onDevice.first(size), "a backend that captures");
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
            onDevice.send();
            next = state.next;
            size = state.size;
        }

        @Override
        public void close() {
            keys.close();
            onDevice.close();
        }
    }
}
