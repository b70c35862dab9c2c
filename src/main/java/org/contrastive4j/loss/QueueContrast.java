package org.contrastive4j.loss;

import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Factors;
import org.contrastive4j.ops.PairTileOps.Pairs;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.Scalars;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
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
    private static final int REDUCTIONS = 3; // of a teacher
    private static final int SCALARS = 26; // computed from them

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
     * Computes the same with momentum distillation: the targets of query u_i are alpha softmax_j e^t &lt;u'_i, k_j&gt; +
     * (1 - alpha) its own, k_j all keys it is compared with, and those of v_i likewise; the teacher's similarities get
     * no gradient.
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
                new Batch(u, v, keysOfU, keysOfV, ids), scope -> Scalars.of(alpha), du, dv, gradientScale);
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
                new Batch(u, v, keysOfU, keysOfV, ids),
                scope -> schedule.alpha() == 0 ? Scalars.of(0) : schedule.at(scope.read(step)),
                du,
                dv,
                gradientScale);
    }

    /** The representations of a batch. */
    private record Batch(Tensor u, Tensor v, Tensor keysOfU, Tensor keysOfV, @Nullable Tensor ids) {}

    private Deferred<PairwiseOps.Result> compute(
            Batch batch,
            Function<PairTileOps.Scope, Scalars> share,
            @Nullable Tensor du,
            @Nullable Tensor dv,
            double gradientScale) {
        requireOneShape(batch.u, batch.v, batch.keysOfU, batch.keysOfV);
        Side ofU = new Side("u", batch.u, batch.keysOfU, batch.keysOfV, this.ofV);
        Side ofV = new Side("v", batch.v, batch.keysOfV, batch.keysOfU, this.ofU);
        try (Tensor dLogScale = ops.zeroParameter(Shape.of(1))) {
            Deferred<PairwiseOps.Result> rows = side(ofU, batch.ids, share, du, dLogScale, gradientScale / 2);
            Deferred<PairwiseOps.Result> columns = side(ofV, batch.ids, share, dv, dLogScale, gradientScale / 2);
            loss.accumulate(dLogScale, null);
            return rows.map(left -> mean(left, columns.get()));
        }
    }

    private static PairwiseOps.Result mean(PairwiseOps.Result rows, PairwiseOps.Result columns) {
        return new PairwiseOps.Result(
                (rows.loss() + columns.loss()) / 2,
                rows.rowAccuracy(),
                columns.rowAccuracy(),
                (rows.meanPositive() + columns.meanPositive()) / 2);
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
        try (UnitRows x = new UnitRows(ops, side.name, side.queries);
                UnitRows newKeys = new UnitRows(ops, "keys of " + side.name, side.newKeys);
                Tensor all = keys(side, newKeys);
                Tensor allIds = idsOfKeys(side, ids)) {
            x.requireFinite();
            newKeys.requireFinite();
            Pairs pairs = new Pairs(x.unit(), all, 1, pairing(side, ids, allIds));
            PairTileOps tiles = ops.pairTiles();
            Scalars zero = Scalars.of(0);
            PairStatistics statistics = new WholeField(tiles.hostScope(), pairs, zero, zero).statistics();
            return new SideMetrics(
                    statistics.result(zero, zero).get().rowAccuracy(),
                    tiles.histogram(pairs, PairMetrics.BINS).get());
        }
    }

    /** Returns unit keys that queries are compared with, those of the batch first. */
    private Tensor keys(Side side, UnitRows ofBatch) {
        int n = side.queries.dim(0);
        int m = n + side.queue.size();
        Tensor all = ops.allocateParameter(m, side.queries.dim(1));
        ops.pointwise().copy(ofBatch.unit(), all.rows(0, n));
        if (side.queue.size() > 0) {
            ops.pointwise().copy(side.queue.keys(), all.rows(n, m));
        }
        return all;
    }

    /** After each optimiser step: puts the log-scale back into [0, ln 100]. */
    public void afterStep(PairwiseOps.Result result) {
        loss.afterStep(result);
    }

    /** Queries, representations of the same samples by the momentum encoder, and keys. */
    private record Side(String name, Tensor queries, Tensor teacher, Tensor newKeys, KeyQueue queue) {}

    private Deferred<PairwiseOps.Result> side(
            Side side,
            @Nullable Tensor ids,
            Function<PairTileOps.Scope, Scalars> share,
            @Nullable Tensor gradient,
            Tensor dLogScale,
            double gradientScale) {
        try (PairTileOps.Scope scope = ops.pairTiles().scope();
                UnitRows x = new UnitRows(ops, side.name, side.queries);
                UnitRows newKeys = new UnitRows(ops, "keys of " + side.name, side.newKeys);
                Tensor all = keys(side, newKeys);
                Tensor allIds = idsOfKeys(side, ids)) {
            Pairing pairing = pairing(side, ids, allIds);
            Deferred<PairwiseOps.Result> result = loss.run(
                    x.unit(),
                    all,
                    pairing,
                    new ContrastiveLoss.Outputs(
                            new PairwiseOps.Gradients(gradient, null, dLogScale, null), gradientScale, null));
            Scalars alpha = share.apply(scope);
            if (!alpha.isOnHost() || alpha.at(0) > 0) {
                Distilled part = new Distilled(scope, x.unit(), all, pairing, alpha);
                result = distilled(side, part, result, gradient, dLogScale, gradientScale);
            }
            x.backward(gradient);
            return x.ifFinite(newKeys.ifFinite(loss.finite(result)));
        }
    }

    /** Returns the ids of all keys on a device that captures; null elsewhere, and without ids. */
    private @Nullable Tensor idsOfKeys(Side side, @Nullable Tensor ids) {
        if (ids == null || !ops.canCapture()) {
            return null;
        }
        int n = ids.dim(0);
        int m = n + side.queue.size();
        Tensor all = Tensor.allocate(ops.memory(), DType.I32, Shape.of(m));
        ops.pointwise().copy(ids, all.rows(0, n));
        if (side.queue.size() > 0) {
            ops.pointwise().copy(side.queue.ids(), all.rows(n, m));
        }
        return all;
    }

    private Pairing pairing(Side side, @Nullable Tensor ids, @Nullable Tensor ofKeys) {
        int n = side.queries.dim(0);
        int m = n + side.queue.size();
        Pairing pairing = Pairing.diagonal(n, m);
        if (ids == null) {
            return pairing;
        }
        if (ofKeys != null) {
            return pairing.onDevice(new Pairing.OnDevice(ids, ofKeys, null), policy.sameId());
        }
        int[] own = ids.toInts();
        int[] all = Arrays.copyOf(own, m);
        for (int j = n; j < m; j++) {
            all[j] = side.queue.id(j - n);
        }
        return pairing.withIds(own, all, policy.sameId());
    }

    /** What the teacher's part of a side is computed from. */
    private record Distilled(PairTileOps.Scope scope, Tensor x, Tensor keys, Pairing pairing, Scalars alpha) {}

    /** Adds the teacher's part to a result and to the gradients. */
    private Deferred<PairwiseOps.Result> distilled(
            Side side,
            Distilled of,
            Deferred<PairwiseOps.Result> hard,
            @Nullable Tensor gradient,
            Tensor dLogScale,
            double gradientScale) {
        try (UnitRows teacher = new UnitRows(ops, "momentum " + side.name, side.teacher);
                Tensor part = ops.allocateParameter(of.x.shape())) {
            Pairs pairs = new Pairs(teacher.unit(), of.keys, loss.scale(of.scope), of.pairing);
            Scalars weight = of.alpha.times(-1.0 / of.x.dim(0));
            new TeacherDifference(ops, of.scope, pairs, List.of(Axis.ROWS), weight)
                    .products(new Factors(null, of.keys), part, null);
            Scalars value = of.scope.products(of.x, part).sum();
            of.scope.add(value, gradientScale, dLogScale);
            if (gradient != null) {
                ops.pointwise().axpy(gradientScale, part, gradient);
            }
            Deferred<double[]> softening = value.values();
            return teacher.ifFinite(hard.map(result -> new PairwiseOps.Result(
                    result.loss() + softening.get()[0],
                    result.rowAccuracy(),
                    result.columnAccuracy(),
                    result.meanPositive())));
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
        int m = n + ofU.capacity();
        PairTileOps tiles = ops.pairTiles();
        long ofLoss = Math.max(
                ops.pairwise().workspaceBytes(n, m, d, true) + (long) n * Integer.BYTES,
                tiles.workspaceBytes(n, m, d) + loss.scopeBytes(n, m));
        return loss.rowBytes(n, m, d)
                + ofLoss
                + tiles.scopeBytes(n, m, REDUCTIONS, SCALARS)
                + (ops.canCapture() ? (long) m * Integer.BYTES : 0)
                + (n * (4L * d + 2) + m * (long) d) * ops.parameterDtype().bytes();
    }

    @Override
    public void close() {
        loss.close();
        ofU.close();
        ofV.close();
    }
}
