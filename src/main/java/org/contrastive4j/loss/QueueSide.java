package org.contrastive4j.loss;

import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import org.contrastive4j.loss.QueueContrast.KeyQueue;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Factors;
import org.contrastive4j.ops.PairTileOps.Pairs;
import org.contrastive4j.ops.Pairing;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.Scalars;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * One of the two cross-entropies of {@link QueueContrast}: the queries of a batch against its keys and past ones.
 *
 * <p>Tested by {@code QueueContrastTest}.
 */
final class QueueSide {
    /**
     * What a side reads.
     *
     * @param queries [n, d] raw queries
     * @param teacher [n, d] raw representations of the same samples by the momentum encoder
     * @param newKeys [n, d] raw keys of the batch
     * @param queue of past keys
     * @param ids [n] I32 of the samples, or null
     */
    record Inputs(
            Tensor queries,
            Tensor teacher,
            Tensor newKeys,
            KeyQueue queue,
            @Nullable Tensor ids) {
        int n() {
            return queries.dim(0);
        }

        int m() {
            return n() + queue.size();
        }
    }

    /**
     * The raw representations of a batch, each [n, d].
     *
     * @param ids [n] I32 of the samples, or null
     */
    record Batch(
            Tensor u,
            Tensor v,
            Tensor keysOfU,
            Tensor keysOfV,
            @Nullable Tensor ids) {
        Batch {
            for (Tensor other : List.of(v, keysOfU, keysOfV)) {
                if (u.shape().rank() != 2 || !other.shape().equals(u.shape())) {
                    throw new ShapeException("queries and keys are " + u + ", " + v + ", " + keysOfU + ", " + keysOfV
                            + ", expected four of one shape [n, d]");
                }
            }
        }
    }

    /** Returns the side whose queries are u. */
    static QueueSide ofU(Ops ops, InfoNce loss, PairPolicy policy, Batch batch, KeyQueue queue) {
        return new QueueSide(
                ops, loss, policy, "u", new Inputs(batch.u, batch.keysOfU, batch.keysOfV, queue, batch.ids));
    }

    /** Returns the side whose queries are v. */
    static QueueSide ofV(Ops ops, InfoNce loss, PairPolicy policy, Batch batch, KeyQueue queue) {
        return new QueueSide(
                ops, loss, policy, "v", new Inputs(batch.v, batch.keysOfV, batch.keysOfU, queue, batch.ids));
    }

    /** The share of queries whose positive is above all negatives, and the distribution of cosines. */
    record Metrics(double accuracy, PairTileOps.Histogram histogram) {}

    private static final int REDUCTIONS = 3; // of a teacher
    private static final int SCALARS = 26; // computed from them

    private final Ops ops;
    private final InfoNce loss;
    private final PairPolicy policy;
    private final String name;
    private final Inputs inputs;

    /** @param name of the queries in errors */
    QueueSide(Ops ops, InfoNce loss, PairPolicy policy, String name, Inputs inputs) {
        this.ops = ops;
        this.loss = loss;
        this.policy = policy;
        this.name = name;
        this.inputs = inputs;
    }

    /** Returns unit keys that the queries are compared with, those of the batch first. */
    private Tensor keys(UnitRows ofBatch) {
        int n = inputs.n();
        int m = inputs.m();
        Tensor all = ops.allocateParameter(m, inputs.queries.dim(1));
        ops.pointwise().copy(ofBatch.unit(), all.rows(0, n));
        if (m > n) {
            ops.pointwise().copy(inputs.queue.keys(), all.rows(n, m));
        }
        return all;
    }

    /** Returns the ids of all keys on a backend that captures; null elsewhere, and without ids. */
    private @Nullable Tensor idsOfKeys() {
        Tensor ids = inputs.ids;
        if (ids == null || !ops.canCapture()) {
            return null;
        }
        int n = inputs.n();
        int m = inputs.m();
        Tensor all = Tensor.allocate(ops.memory(), DType.I32, Shape.of(m));
        ops.pointwise().copy(ids, all.rows(0, n));
        if (m > n) {
            ops.pointwise().copy(inputs.queue.ids(), all.rows(n, m));
        }
        return all;
    }

    private Pairing pairing(@Nullable Tensor ofKeys) {
        Tensor ids = inputs.ids;
        int n = inputs.n();
        Pairing pairing = Pairing.diagonal(n, inputs.m());
        if (ids == null) {
            return pairing;
        }
        if (ofKeys != null) {
            return pairing.onDevice(new Pairing.OnDevice(ids, ofKeys, null), policy.sameId());
        }
        int[] own = ids.toInts();
        int[] all = Arrays.copyOf(own, inputs.m());
        for (int j = n; j < all.length; j++) {
            all[j] = inputs.queue.id(j - n);
        }
        return pairing.withIds(own, all, policy.sameId());
    }

    /** Measures the cosines of all pairs; waits for a device. */
    Metrics metrics() {
        try (UnitRows x = new UnitRows(ops, name, inputs.queries);
                UnitRows newKeys = new UnitRows(ops, "keys of " + name, inputs.newKeys);
                Tensor all = keys(newKeys);
                Tensor allIds = idsOfKeys()) {
            x.requireFinite();
            newKeys.requireFinite();
            Pairs pairs = new Pairs(x.unit(), all, 1, pairing(allIds));
            PairTileOps tiles = ops.pairTiles();
            Scalars zero = Scalars.of(0);
            PairStatistics statistics = new WholeField(tiles.hostScope(), pairs, zero, zero).statistics();
            return new Metrics(
                    statistics.result(zero, zero).get().rowAccuracy(),
                    tiles.histogram(pairs, PairMetrics.BINS).get());
        }
    }

    /**
     * Computes value, statistics and gradients.
     *
     * @param share of the teacher in the targets
     * @param gradient of the queries, or null; written
     * @param dLogScale accumulated
     */
    Deferred<PairwiseOps.Result> valueAndGradient(
            Function<Scalars.Scope, Scalars> share, @Nullable Tensor gradient, Tensor dLogScale, double gradientScale) {
        try (Scalars.Scope scope = ops.pairTiles().scope();
                UnitRows x = new UnitRows(ops, name, inputs.queries);
                UnitRows newKeys = new UnitRows(ops, "keys of " + name, inputs.newKeys);
                Tensor all = keys(newKeys);
                Tensor allIds = idsOfKeys()) {
            Pairing pairing = pairing(allIds);
            PairwiseOps.Gradients gradients = new PairwiseOps.Gradients(gradient, null, dLogScale, null);
            Deferred<PairwiseOps.Result> result =
                    loss.run(x.unit(), all, pairing, new ContrastiveLoss.Outputs(gradients, gradientScale, null));
            Scalars alpha = share.apply(scope);
            if (!alpha.isOnHost() || alpha.at(0) > 0) {
                Distilled part = new Distilled(scope, x.unit(), all, pairing, alpha);
                result = distilled(part, result, gradients, gradientScale);
            }
            x.backward(gradient);
            return x.ifFinite(newKeys.ifFinite(loss.finite(result)));
        }
    }

    /** Returns the mean of two directions: row accuracy of the first, column accuracy of the second. */
    static PairwiseOps.Result mean(PairwiseOps.Result rows, PairwiseOps.Result columns) {
        return new PairwiseOps.Result(
                (rows.loss() + columns.loss()) / 2,
                rows.rowAccuracy(),
                columns.rowAccuracy(),
                (rows.meanPositive() + columns.meanPositive()) / 2);
    }

    /** Returns the bytes of tensors that {@link #valueAndGradient} allocates while it runs, with a teacher. */
    static long workspaceBytes(Ops ops, InfoNce loss, int n, int m, int d) {
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

    /** What the teacher's part is computed from. */
    private record Distilled(Scalars.Scope scope, Tensor x, Tensor keys, Pairing pairing, Scalars alpha) {}

    /** Adds the teacher's part to a result and to the gradients. */
    private Deferred<PairwiseOps.Result> distilled(
            Distilled of, Deferred<PairwiseOps.Result> hard, PairwiseOps.Gradients gradients, double gradientScale) {
        try (UnitRows teacher = new UnitRows(ops, "momentum " + name, inputs.teacher);
                Tensor part = ops.allocateParameter(of.x.shape())) {
            Pairs pairs = new Pairs(teacher.unit(), of.keys, loss.scale(of.scope), of.pairing);
            Scalars weight = of.alpha.times(-1.0 / inputs.n());
            new TeacherDifference(ops, of.scope, pairs, List.of(Axis.ROWS), weight)
                    .products(new Factors(null, of.keys), part, null);
            Scalars value = of.scope.products(of.x, part).sum();
            of.scope.add(value, gradientScale, Objects.requireNonNull(gradients.dLogScale()));
            if (gradients.dx() != null) {
                ops.pointwise().axpy(gradientScale, part, gradients.dx());
            }
            Deferred<double[]> softening = value.values();
            return teacher.ifFinite(hard.map(result -> new PairwiseOps.Result(
                    result.loss() + softening.get()[0],
                    result.rowAccuracy(),
                    result.columnAccuracy(),
                    result.meanPositive())));
        }
    }
}
