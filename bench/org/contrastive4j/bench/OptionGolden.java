package org.contrastive4j.bench;

import static org.bytedeco.pytorch.global.torch.arange;
import static org.bytedeco.pytorch.global.torch.cat;
import static org.bytedeco.pytorch.global.torch.cross_entropy;
import static org.bytedeco.pytorch.global.torch.eye;
import static org.bytedeco.pytorch.global.torch.from_blob;
import static org.bytedeco.pytorch.global.torch.log_sigmoid;
import static org.bytedeco.pytorch.global.torch.logsumexp;
import static org.bytedeco.pytorch.global.torch.minimum;
import static org.bytedeco.pytorch.global.torch.where;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Golden values of the options of losses: soft targets, distillation, queues, guides, learned margins, fixed points,
 * windows and weights, computed by PyTorch's autograd in f64 from the whole matrix of logits.
 */
final class OptionGolden {
    private static final int N = 9;
    private static final int D = 5;
    private static final int PAST = 11;
    private static final int RANK = 3;
    private static final double NOTHING = -1e9; // a logit whose exponential is 0
    private static final double REWARD = 0.7;
    private static final double ALPHA = 0.4;
    private static final long[] IDS = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    private static final long[] PAST_IDS = {20, 1, 21, 4, 4, 22, 23, 8, 24, 0, 25};

    private final Map<String, Object> inputs = new LinkedHashMap<>();
    private final Map<String, Object> cases = new LinkedHashMap<>();
    private final Random random = new Random(9);
    private final double[] u = input("u", N, D);
    private final double[] v = input("v", N, D);
    private final Tensor teacherOfU = unit(input("teacherOfU", N, D));
    private final Tensor teacherOfV = unit(input("teacherOfV", N, D));
    private final Tensor pastOfU = unit(input("pastOfU", PAST, D));
    private final Tensor pastOfV = unit(input("pastOfV", PAST, D));
    private final Tensor guideRows = guide("guideRows");
    private final Tensor guideColumns = guide("guideColumns");
    private final Tensor sparse = distributions("sparse");
    private final Tensor sparseOfColumns = distributions("sparseOfColumns");
    private final Tensor lowRank = factors("lowRank");
    private final Tensor lowRankOfColumns = factors("lowRankOfColumns");

    private OptionGolden() {}

    /** Computes a loss from unit rows, a log-scale and the second parameter of the loss. */
    private interface Loss {
        Tensor value(Tensor x, Tensor y, Tensor logScale, Tensor second);
    }

    static void write(Path file) throws IOException {
        try (PointerScope scope = new PointerScope()) {
            OptionGolden golden = new OptionGolden();
            golden.softTargets();
            golden.momentum();
            golden.guides();
            golden.others();
            Map<String, Object> all = new LinkedHashMap<>(golden.inputs);
            all.put("ids", IDS);
            all.put("pastIds", PAST_IDS);
            all.put("cases", golden.cases);
            Files.write(file, new ObjectMapper().writeValueAsBytes(all));
            System.out.println(file);
        }
    }

    private double[] input(String name, int rows, int columns) {
        double[] values =
                random.doubles((long) rows * columns, -2, 2).map(x -> (float) x).toArray();
        inputs.put(name, values);
        return values;
    }

    private static Tensor constant(double[] values, int columns) {
        return TorchInfoNce.leaf(values, ScalarType.Double, values.length / columns, columns)
                .set_requires_grad(false);
    }

    private static Tensor unit(double[] values) {
        return TorchInfoNce.normalised(constant(values, D)).detach();
    }

    /** Returns unit rows in the first quadrant, so that similarities are 0 to 1. */
    private Tensor guide(String name) {
        double[] values = new double[2 * N];
        for (int i = 0; i < N; i++) {
            double angle = random.nextDouble() * Math.PI / 2;
            values[2 * i] = (float) Math.cos(angle);
            values[2 * i + 1] = (float) Math.sin(angle);
        }
        inputs.put(name, values);
        return constant(values, 2);
    }

    /**
     * Returns three weights for each row, exact in f32: columns and weights of a quarter, [n, 2]; the rest is on the
     * diagonal.
     */
    private Tensor distributions(String name) {
        int[] columns = random.ints(2 * N, 0, N).toArray();
        double[] table = new double[N * N];
        for (int i = 0; i < N; i++) {
            table[i * N + i] += 0.5;
            table[i * N + columns[2 * i]] += 0.25;
            table[i * N + columns[2 * i + 1]] += 0.25;
        }
        inputs.put(name, columns);
        return constant(table, N);
    }

    /** Returns two factors [n, r] of small integers divided by a power of two. */
    private Tensor factors(String name) {
        double[] left = new double[N * RANK];
        double[] right = new double[N * RANK];
        for (int k = 0; k < RANK; k++) {
            for (int j = 0; j < 8; j++) {
                right[random.nextInt(N) * RANK + k] += 0.125;
            }
        }
        for (int i = 0; i < N; i++) {
            for (int j = 0; j < 4; j++) {
                left[i * RANK + random.nextInt(RANK)] += 0.25;
            }
        }
        Map<String, Object> both = new LinkedHashMap<>();
        both.put("left", left);
        both.put("right", right);
        inputs.put(name, both);
        return constant(left, RANK).matmul(constant(right, RANK).t());
    }

    private void add(String name, double logScale, double second, Loss loss) {
        try (PointerScope scope = new PointerScope()) {
            Tensor a = TorchInfoNce.leaf(u, ScalarType.Double, N, D);
            Tensor b = TorchInfoNce.leaf(v, ScalarType.Double, N, D);
            Tensor t = TorchInfoNce.leaf(new double[] {logScale}, ScalarType.Double, 1);
            Tensor other = TorchInfoNce.leaf(new double[] {second}, ScalarType.Double, 1);
            Tensor zero = other.mul(number(0)).sum().add(t.mul(number(0)).sum()); // so that every input has a gradient
            Tensor value = loss.value(TorchInfoNce.normalised(a), TorchInfoNce.normalised(b), t, other)
                    .add(zero);
            value.backward();
            Map<String, Object> golden = new LinkedHashMap<>();
            golden.put("logScale", logScale);
            golden.put("second", second);
            golden.put("loss", value.item().toDouble());
            golden.put("du", TorchInfoNce.values(a.grad()));
            golden.put("dv", TorchInfoNce.values(b.grad()));
            golden.put("dLogScale", TorchInfoNce.values(t.grad())[0]);
            golden.put("dSecond", TorchInfoNce.values(other.grad())[0]);
            cases.put(name, golden);
        }
    }

    private static Scalar number(double value) {
        return new Scalar(value);
    }

    private static Tensor logits(Tensor x, Tensor y, Tensor logScale) {
        return x.matmul(y.t()).mul(logScale.exp());
    }

    private static Tensor numbers(long[] values) {
        return from_blob(new LongPointer(values), new long[] {values.length}, new TensorOptions(ScalarType.Long))
                .clone();
    }

    private static Tensor diagonal(long size) {
        return eye(size, new TensorOptions(ScalarType.Bool));
    }

    private void softTargets() {
        add(
                "soft-sparse",
                1.5,
                0,
                (x, y, t, b) -> TorchLosses.mean(
                        TorchLosses.soft(logits(x, y, t), sparse), TorchLosses.soft(logits(y, x, t), sparseOfColumns)));
        add("soft-sparse-rows", 1.5, 0, (x, y, t, b) -> TorchLosses.soft(logits(x, y, t), sparse));
        add(
                "soft-lowrank",
                1.5,
                0,
                (x, y, t, b) -> TorchLosses.mean(
                        TorchLosses.soft(logits(x, y, t), lowRank),
                        TorchLosses.soft(logits(y, x, t), lowRankOfColumns)));
    }

    private static Tensor mixed(Tensor teacherLogits) {
        return TorchLosses.distilled(teacherLogits, ALPHA);
    }

    private void momentum() {
        add(
                "distilled",
                1.5,
                0,
                (x, y, t, b) -> TorchLosses.mean(
                        TorchLosses.soft(logits(x, y, t), mixed(logits(teacherOfU, teacherOfV, t))),
                        TorchLosses.soft(logits(y, x, t), mixed(logits(teacherOfV, teacherOfU, t)))));
        Tensor nobody = diagonal(N).logical_and(diagonal(N).logical_not());
        Tensor same = cat(
                new TensorVector(
                        nobody, numbers(IDS).unsqueeze(1).eq(numbers(PAST_IDS).unsqueeze(0))),
                1);
        Tensor none = same.logical_and(same.logical_not());
        for (boolean withIds : new boolean[] {false, true}) {
            Tensor ignored = withIds ? same : none;
            String ids = withIds ? "-ids" : "";
            add(
                    "queue" + ids,
                    1.5,
                    0,
                    (x, y, t, b) -> TorchLosses.mean(
                            TorchLosses.rows(met(x, teacherOfV, pastOfV, t, ignored)),
                            TorchLosses.rows(met(y, teacherOfU, pastOfU, t, ignored))));
            add(
                    "queue-distilled" + ids,
                    1.5,
                    0,
                    (x, y, t, b) -> TorchLosses.mean(
                            TorchLosses.soft(
                                    met(x, teacherOfV, pastOfV, t, ignored),
                                    mixed(met(teacherOfU, teacherOfV, pastOfV, t, ignored))),
                            TorchLosses.soft(
                                    met(y, teacherOfU, pastOfU, t, ignored),
                                    mixed(met(teacherOfV, teacherOfU, pastOfU, t, ignored)))));
        }
    }

    private static Tensor met(Tensor queries, Tensor keys, Tensor past, Tensor logScale, Tensor ignored) {
        return logits(queries, cat(new TensorVector(keys, past), 0), logScale).masked_fill(ignored, number(NOTHING));
    }

    /** Returns a mask of the negatives whose similarity exceeds the limit of their row or of their column. */
    private Tensor similar(double margin, boolean relative) {
        Tensor k = guideRows.matmul(guideColumns.t());
        Tensor own = k.diagonal();
        Tensor limit = relative ? own.mul(number(1 - margin)) : own.sub(number(margin));
        return k.gt(minimum(limit.unsqueeze(1), limit.unsqueeze(0)))
                .logical_and(diagonal(N).logical_not());
    }

    private void guides() {
        for (boolean relative : new boolean[] {false, true}) {
            double margin = relative ? 0.1 : 0.05;
            Tensor ignored = similar(margin, relative);
            String kind = relative ? "relative" : "absolute";
            add("guide-" + kind, 1.5, 0, (x, y, t, b) -> {
                Tensor s = logits(x, y, t).masked_fill(ignored, number(NOTHING));
                return TorchLosses.mean(TorchLosses.rows(s), TorchLosses.rows(s.t()));
            });
            add("guide-" + kind + "-siglip", 1.5, -2, (x, y, t, b) -> {
                Tensor signs = eye(N, new TensorOptions(ScalarType.Double))
                        .mul(number(2))
                        .sub(number(1));
                return log_sigmoid(logits(x, y, t).add(b).mul(signs))
                        .masked_fill(ignored, number(0))
                        .sum()
                        .mul(number(-1.0 / N));
            });
            add("guide-" + kind + "-fourway", 1.5, 0, (x, y, t, b) -> fourWay(x, y, t, margin, relative));
        }
    }

    private Tensor fourWay(Tensor x, Tensor y, Tensor t, double margin, boolean relative) {
        Tensor z = cat(new TensorVector(x, y), 0);
        Tensor k = cat(new TensorVector(guideRows, guideColumns), 0);
        Tensor all = k.matmul(k.t());
        Tensor partners = arange(number(2 * N), new TensorOptions(ScalarType.Long))
                .add(number(N))
                .remainder(number(2 * N))
                .to(ScalarType.Long);
        Tensor own = all.gather(1, partners.unsqueeze(1));
        Tensor limit = relative ? own.mul(number(1 - margin)) : own.sub(number(margin));
        Tensor isPartner = arange(number(2 * N), new TensorOptions(ScalarType.Long))
                .unsqueeze(0)
                .eq(partners.unsqueeze(1));
        Tensor ignored = all.gt(limit).logical_and(isPartner.logical_not()).logical_or(diagonal(2 * N));
        return cross_entropy(logits(z, z, t).masked_fill(ignored, number(NOTHING)), partners);
    }

    private void others() {
        add(
                "margin-all",
                0,
                0.3,
                (x, y, t, margin) ->
                        learnt(x, y, t, margin, (s, m) -> hinges(s, m).sum()));
        add(
                "margin-hardest",
                0,
                0.3,
                (x, y, t, margin) -> learnt(
                        x,
                        y,
                        t,
                        margin,
                        (s, m) -> hinges(s, m).amax(new long[] {1}, false).sum()));
        add("margin-semihard", 0, 0.3, (x, y, t, margin) -> learnt(x, y, t, margin, OptionGolden::semiHard));
        for (int iterations : new int[] {1, 3, 3000}) { // the last is the fixed point
            String name = iterations == 3000 ? "converged" : Integer.toString(iterations);
            add("sinkhorn-" + name, 1.5, 0, (x, y, t, b) -> sinkhorn(logits(x, y, t), iterations));
            add(
                    "sinkhorn-symmetric-" + name,
                    1.5,
                    0,
                    (x, y, t, b) -> TorchLosses.mean(
                            sinkhorn(logits(x, y, t), iterations), sinkhorn(logits(y, x, t), iterations)));
        }
        Tensor place = arange(number(N), new TensorOptions(ScalarType.Long));
        Tensor taken = place.unsqueeze(0)
                .sub(place.unsqueeze(1))
                .remainder(number(N))
                .le(number(3))
                .to(ScalarType.Double);
        Tensor signs =
                eye(N, new TensorOptions(ScalarType.Double)).mul(number(2)).sub(number(1));
        add(
                "bce-warmup-3",
                1.5,
                -1,
                (x, y, t, b) -> log_sigmoid(logits(x, y, t).add(b).mul(signs))
                        .mul(taken)
                        .sum()
                        .mul(number(-1.0 / N)));
        Tensor weights =
                eye(N, new TensorOptions(ScalarType.Double)).mul(number(0.7)).add(number(0.3));
        add(
                "bce-weighted",
                1.5,
                -1,
                (x, y, t, b) -> log_sigmoid(logits(x, y, t).add(b).mul(signs))
                        .mul(weights)
                        .sum()
                        .mul(number(-1.0 / N)));
    }

    /** Computes a sum over rows from logits and a margin. */
    private interface Rows {
        Tensor sum(Tensor logits, Tensor margin);
    }

    private static Tensor learnt(Tensor x, Tensor y, Tensor t, Tensor margin, Rows rows) {
        Tensor s = logits(x, y, t);
        return rows.sum(s, margin)
                .add(rows.sum(s.t(), margin))
                .mul(number(1.0 / N))
                .sub(margin.sum().mul(number(REWARD)));
    }

    private static Tensor hinges(Tensor logits, Tensor margin) {
        return logits.sub(logits.diagonal().unsqueeze(1))
                .add(margin)
                .clamp_min(number(0))
                .masked_fill(diagonal(logits.size(0)), number(0));
    }

    private static Tensor semiHard(Tensor logits, Tensor margin) {
        Tensor positives = logits.diagonal().unsqueeze(1);
        Tensor nearest = logits.masked_fill(logits.lt(positives).logical_not(), number(NOTHING))
                .amax(new long[] {1}, true);
        Tensor least = logits.masked_fill(diagonal(logits.size(0)), number(-NOTHING))
                .neg()
                .amax(new long[] {1}, true)
                .neg();
        Tensor chosen = where(nearest.lt(number(NOTHING / 10)), least, nearest);
        return chosen.sub(positives).add(margin).clamp_min(number(0)).sum();
    }

    private static Tensor sinkhorn(Tensor logits, int iterations) {
        Tensor plan = logits;
        for (int k = 0; k < iterations; k++) {
            plan = plan.sub(logsumexp(plan, new long[] {1}, true));
            plan = plan.sub(logsumexp(plan, new long[] {0}, true));
        }
        return plan.diagonal().sum().mul(number(-1.0 / logits.size(0)));
    }
}
