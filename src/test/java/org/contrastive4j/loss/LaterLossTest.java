package org.contrastive4j.loss;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Set;
import org.contrastive4j.Backend;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.support.TensorFixture;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Losses that can be asked later: the same bits as at once, and no others. */
class LaterLossTest {
    private static final int N = 33;
    private static final int D = 7;

    @ParameterizedTest
    @CsvSource({"cpu,infonce", "cpu-f64,infonce-rows", "sim,infonce", "sim,infonce-rows", "sim,infonce-multipositive"})
    void giveTheBitsThatTheyGiveAtOnce(String backend, String name) {
        try (TensorFixture fixture = new TensorFixture(backend, 5);
                ContrastiveLoss now = Losses.named(fixture.ops, name);
                ContrastiveLoss later = Losses.named(fixture.ops, name)) {
            assertTrue(later.canBeLater());
            Tensor u = fixture.tensor(fixture.normal(N * D), N, D);
            Tensor v = fixture.tensor(fixture.normal(N * D), N, D);
            Tensor[] of = {
                fixture.poisoned(N, D), fixture.poisoned(N, D), fixture.poisoned(N, D), fixture.poisoned(N, D)
            };
            PairwiseOps.Result expected = now.valueAndGradient(u, v, PairLabels.DIAGONAL, of[0], of[1], 4);
            assertEquals(
                    expected, later.valueAndGradientLater(u, v, of[2], of[3], 4).get());
            assertArrayEquals(of[0].toDoubles(), of[2].toDoubles());
            assertArrayEquals(of[1].toDoubles(), of[3].toDoubles());
            assertArrayEquals(
                    now.logScale().gradient().toDoubles(),
                    later.logScale().gradient().toDoubles());
            assertTrue(now.logScale().gradient().toDoubles()[0] != 0);
        }
    }

    static Set<String> names() {
        return Losses.names();
    }

    @ParameterizedTest
    @MethodSource("names")
    void allOthersRefuse(String name) {
        try (Ops ops = Backend.open("cpu");
                ContrastiveLoss loss = Losses.named(ops, name);
                Tensor u = ops.zeroParameter(Shape.of(2, 3));
                Tensor du = ops.zeroParameter(Shape.of(2, 3))) {
            boolean plain =
                    Set.of("infonce", "infonce-rows", "infonce-multipositive").contains(name);
            assertEquals(plain, loss.canBeLater());
            if (!plain) {
                assertThrows(UnsupportedOperationException.class, () -> loss.valueAndGradientLater(u, u, du, du, 1));
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"cpu", "sim"})
    void whatIsNotFiniteIsFoundWhenTheResultIsAskedFor(String backend) {
        try (Ops ops = Backend.open(backend);
                ContrastiveLoss loss = Losses.named(ops, "infonce");
                Tensor u = ops.parameterTensor(Shape.of(2, 2), 1, 2, 3, 4);
                Tensor v = ops.parameterTensor(Shape.of(2, 2), 1, 2, Double.NaN, 4);
                Tensor du = ops.allocateParameter(2, 2);
                Tensor dv = ops.allocateParameter(2, 2)) {
            Deferred<PairwiseOps.Result> result = loss.valueAndGradientLater(u, v, du, dv, 1);
            NonFiniteException found = assertThrows(NonFiniteException.class, result::get);
            assertEquals(1, found.row());
            assertTrue(found.getMessage().contains("of v"), found.getMessage());
        }
    }
}
