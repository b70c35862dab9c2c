package org.contrastive4j.loss;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.IntStream;
import org.contrastive4j.Backend;
import org.contrastive4j.loss.Losses.NonFiniteException;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.support.TensorFixture;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** When the result of a loss is known. {@code CapturedLossTest} captures losses. */
class DeferredLossTest {
    private static final int N = 33;
    private static final int D = 7;

    @ParameterizedTest
    @CsvSource({"cpu,infonce", "cpu-f64,infonce-rows", "sim,infonce", "sim,infonce-rows", "sim,infonce-multipositive"})
    void infoNce_diagonalAsTargets_givesTheSameBits(String backend, String name) {
        try (TensorFixture fixture = new TensorFixture(backend, 5);
                ContrastiveLoss one = Losses.named(fixture.ops, name);
                ContrastiveLoss other = Losses.named(fixture.ops, name);
                Tensor targets =
                        fixture.ops.ints(Shape.of(N), IntStream.range(0, N).toArray())) {
            Tensor u = fixture.tensor(fixture.normal(N * D), N, D);
            Tensor v = fixture.tensor(fixture.normal(N * D), N, D);
            Tensor[] of = {
                fixture.poisoned(N, D), fixture.poisoned(N, D), fixture.poisoned(N, D), fixture.poisoned(N, D)
            };
            Deferred<PairwiseOps.Result> diagonal = one.valueAndGradient(u, v, PairLabels.DIAGONAL, of[0], of[1], 4);
            Deferred<PairwiseOps.Result> given =
                    other.valueAndGradient(u, v, PairLabels.targets(targets), of[2], of[3], 4);
            assertEquals(given.get(), diagonal.get());
            assertArrayEquals(of[2].toDoubles(), of[0].toDoubles());
            assertArrayEquals(of[3].toDoubles(), of[1].toDoubles());
            assertArrayEquals(
                    other.logScale().gradient().toDoubles(),
                    one.logScale().gradient().toDoubles());
            assertTrue(one.logScale().gradient().toDoubles()[0] != 0);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"infonce", "siglip"})
    void nonFiniteRow_completeBackend_isReportedByTheCallAndNothingIsAccumulated(String name) {
        try (Ops ops = Backend.open("cpu");
                ContrastiveLoss loss = Losses.named(ops, name);
                Tensor u = ops.parameterTensor(Shape.of(2, 2), 1, 2, 3, 4);
                Tensor v = ops.parameterTensor(Shape.of(2, 2), 1, 2, Double.NaN, 4);
                Tensor du = ops.allocateParameter(2, 2)) {
            NonFiniteException found = assertThrows(
                    NonFiniteException.class, () -> loss.valueAndGradient(u, v, PairLabels.DIAGONAL, du, du, 1));
            assertEquals(1, found.row());
            assertTrue(found.getMessage().contains("of v"), found.getMessage());
            assertEquals(0, loss.logScale().gradient().toDoubles()[0]);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"infonce", "infonce-fourway", "siglip", "triplet-hardest"})
    void nonFiniteRow_backendWithQueue_isReportedByGet(String name) {
        try (Ops ops = Backend.open("sim");
                ContrastiveLoss loss = Losses.named(ops, name);
                Tensor u = ops.parameterTensor(Shape.of(2, 2), 1, 2, 3, 4);
                Tensor v = ops.parameterTensor(Shape.of(2, 2), 1, 2, Double.NaN, 4);
                Tensor du = ops.allocateParameter(2, 2);
                Tensor dv = ops.allocateParameter(2, 2)) {
            Deferred<PairwiseOps.Result> result = loss.valueAndGradient(u, v, PairLabels.DIAGONAL, du, dv, 1);
            NonFiniteException found = assertThrows(NonFiniteException.class, result::get);
            assertEquals(1, found.row());
            assertTrue(found.getMessage().contains("of v"), found.getMessage());
        }
    }
}
