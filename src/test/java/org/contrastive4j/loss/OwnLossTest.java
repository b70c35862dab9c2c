package org.contrastive4j.loss;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Random;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.GradientCheck;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Of;
import org.contrastive4j.ops.PairTileOps.PairFunction;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.PairTileOps.Shift;
import org.contrastive4j.ops.PairTileOps.Term;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.Scalars;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A loss that a user implements through the one extension point, {@link ContrastiveLoss#evaluate}. */
class OwnLossTest {
    private static final int N = 5;
    private static final int M = 7;
    private static final int D = 3;

    /** Mean over rows of softplus(S_ij) over negatives less S_ij of the positive, with a bias. */
    private static final class Repulsion extends ContrastiveLoss {
        private final boolean onHost;

        /** @param onHost whether it reads its sums and computes the loss from them itself */
        Repulsion(Ops ops, boolean onHost) {
            super(ops, PairPolicy.DEFAULT, Math.log(4), -0.5, true);
            this.onHost = onHost;
        }

        @Override
        public boolean isCapturable() {
            return !onHost;
        }

        @Override
        protected Evaluation evaluate(PairField field, boolean withTerms) {
            double weight = 1.0 / field.pairing().n();
            Shift bias = Shift.rows(field.bias());
            var sums = field.reduce(List.of(
                    Reduction.sum(PairFunction.SOFTPLUS, Axis.ROWS, Of.NEGATIVES, bias, null),
                    Reduction.sum(PairFunction.IDENTITY, Axis.ROWS, Of.POSITIVES, bias, null)));
            Scalars loss;
            if (onHost) {
                double[] ofNegatives = sums.get(0).values();
                double[] ofPositives = sums.get(1).values();
                double sum = 0;
                for (int i = 0; i < ofNegatives.length; i++) {
                    sum += (ofNegatives[i] - ofPositives[i]) * weight;
                }
                loss = Scalars.of(sum);
            } else {
                loss = sums.get(0).scalars().minus(sums.get(1).scalars()).sum().times(weight);
            }
            return new Evaluation(
                    loss,
                    List.of(
                            new Term(PairFunction.SIGMOID, Of.NEGATIVES, bias, Scalars.of(weight), null),
                            new Term(PairFunction.ONE, Of.POSITIVES, Shift.NONE, Scalars.of(-weight), null)));
        }
    }

    private static double[] random(long seed, int count) {
        return new Random(seed).doubles(count, -1, 1).toArray();
    }

    private static double expectedLoss(double[] u, double[] v) {
        double loss = 0;
        for (int i = 0; i < N; i++) {
            for (int j = 0; j < M; j++) {
                double dot = 0;
                double uu = 0;
                double vv = 0;
                for (int k = 0; k < D; k++) {
                    dot += u[i * D + k] * v[j * D + k];
                    uu += u[i * D + k] * u[i * D + k];
                    vv += v[j * D + k] * v[j * D + k];
                }
                double logit = 4 * dot / Math.sqrt(uu * vv) - 0.5;
                loss += (i == j ? -logit : Math.log1p(Math.exp(logit))) / N;
            }
        }
        return loss;
    }

    @ParameterizedTest
    @CsvSource({"cpu,true", "cpu,false", "cpu-f64,true", "cpu-f64,false", "sim,true", "sim,false"})
    void evaluate_ownLoss_givesValueStatisticsAndGradients(String backend, boolean onHost) {
        double[] left = random(1, N * D);
        double[] right = random(2, M * D);
        try (Ops reference = Backend.open("cpu-f64");
                Ops ops = Backend.open(backend)) {
            double[][] expected = gradients(reference, onHost, left, right);
            double[][] got = gradients(ops, onHost, left, right);
            assertEquals(expectedLoss(left, right), got[0][0], 1e-5);
            for (int k = 0; k < expected.length; k++) {
                for (int i = 0; i < expected[k].length; i++) {
                    assertEquals(expected[k][i], got[k][i], 1e-5, backend + ", result " + k + "[" + i + "]");
                }
            }
        }
    }

    /** Loss and accuracy, du, dv, and the gradients of log-scale and bias. */
    private static double[][] gradients(Ops ops, boolean onHost, double[] left, double[] right) {
        try (ContrastiveLoss loss = new Repulsion(ops, onHost);
                Tensor u = ops.parameterTensor(Shape.of(N, D), left);
                Tensor v = ops.parameterTensor(Shape.of(M, D), right);
                Tensor du = ops.allocateParameter(N, D);
                Tensor dv = ops.allocateParameter(M, D)) {
            PairwiseOps.Result result =
                    loss.valueAndGradient(u, v, PairLabels.DIAGONAL, du, dv, 2).get();
            return new double[][] {
                {result.loss(), result.rowAccuracy(), result.meanPositive()},
                du.toDoubles(),
                dv.toDoubles(),
                loss.logScale().gradient().toDoubles(),
                loss.bias().gradient().toDoubles()
            };
        }
    }

    @Test
    void evaluate_ownLoss_agreesWithCentralDifferences() {
        try (Ops ops = Backend.open("cpu-f64");
                ContrastiveLoss loss = new Repulsion(ops, false);
                Parameter u = new Parameter(ops, "u", ops.tensor(Shape.of(N, D), random(1, N * D)), true);
                Parameter v = new Parameter(ops, "v", ops.tensor(Shape.of(M, D), random(2, M * D)), true)) {
            new GradientCheck(ops, 1)
                    .run(
                            tape -> new LossFunction(loss, PairLabels.DIAGONAL).apply(tape, u, v),
                            List.of(u, v, loss.logScale(), loss.bias()))
                    .require(1e-8);
        }
    }
}
