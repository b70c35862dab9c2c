package org.contrastive4j.gradcache;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Random;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Functions;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.Tape;
import org.contrastive4j.autograd.Variable;
import org.contrastive4j.loss.ContrastiveLoss;
import org.contrastive4j.loss.InfoNce;
import org.contrastive4j.loss.Losses;
import org.contrastive4j.memory.Memory;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;

/** A step from the builder is a step of {@link GradCache} with zeroed gradients and a clamped scale. */
class CachedStepTest {
    private static final int N = 13;
    private static final int WIDTH = 6;

    /** Two linear encoders and the batch they share. */
    private static final class Model implements AutoCloseable {
        final Ops ops = Backend.open("cpu-f64");
        final Tensor samples = tensor(N, 5, 1);
        final Parameter left = new Parameter(ops, "left", tensor(5, WIDTH, 2), false);
        final Parameter right = new Parameter(ops, "right", tensor(5, WIDTH, 3), false);

        private Tensor tensor(int rows, int columns, int seed) {
            return ops.tensor(
                    Shape.of(rows, columns),
                    new Random(seed).doubles(rows * columns, -1, 1).toArray());
        }

        CachedStep.Builder<Tensor> encoders(CachedStep.Builder<Tensor> builder) {
            return builder.encoder("left", List.of(left), (tape, b, from, to) -> linear(tape, b, from, to, left))
                    .encoder("right", List.of(right), (tape, b, from, to) -> linear(tape, b, from, to, right));
        }

        private static Variable linear(Tape tape, Tensor batch, int from, int to, Parameter weight) {
            return Functions.linear(tape, tape.constant("samples", batch.rows(from, to)), weight, null);
        }

        @Override
        public void close() {
            left.close();
            right.close();
            samples.close();
            ops.close(); // fails if anything leaked
        }
    }

    private static int size(Tensor batch) {
        return batch.dim(0);
    }

    /** Runs replace each other's gradients; chunk or budget do not change them. */
    @Test
    void run_anyChunkOrBudget_givesTheGradientOfTheWholeBatch() {
        try (Model model = new Model()) {
            double[] whole = null;
            for (int chunk : new int[] {N, 1, 4, 100}) {
                try (CachedStep<Tensor> step = model.encoders(CachedStep.infoNce(model.ops, CachedStepTest::size))
                        .chunk(chunk)
                        .build()) {
                    assertEquals(3, step.parameters().size());
                    double loss = step.run(model.samples).get().loss();
                    assertEquals(loss, step.run(model.samples).get().loss());
                    double[] gradient = model.left.gradient().toDoubles();
                    whole = whole == null ? gradient : whole;
                    assertArrayEquals(whole, gradient, 1e-14, "chunk " + chunk);
                    assertTrue(gradient[0] != 0);
                }
            }
            try (CachedStep<Tensor> step = model.encoders(CachedStep.infoNce(model.ops, CachedStepTest::size))
                    .memoryBudget(1 << 20)
                    .build()) {
                step.run(model.samples);
                assertArrayEquals(whole, model.left.gradient().toDoubles(), 1e-14);
                assertTrue(step.plan(model.samples).peak() <= 1 << 20);
            }
        }
    }

    /** An encoder whose samples depend on their chunk is found. */
    @Test
    void check_encoderThatMixesItsChunk_disagrees() {
        try (Model model = new Model();
                CachedStep<Tensor> step = model.encoders(CachedStep.infoNce(model.ops, CachedStepTest::size))
                        .chunk(5)
                        .build();
                CachedStep<Tensor> mixing = CachedStep.<Tensor>infoNce(model.ops, CachedStepTest::size)
                        .encoder(
                                "left",
                                List.of(model.left),
                                (tape, b, from, to) -> Model.linear(tape, b, from, to, model.left))
                        .encoder(
                                "mixing",
                                List.of(model.left, model.right),
                                (tape, b, from, to) -> Functions.add(
                                        tape,
                                        Functions.scale(tape, Model.linear(tape, b, from, to, model.right), to - from),
                                        Model.linear(tape, b, from, to, model.left)))
                        .chunk(5)
                        .build()) {
            assertFalse(mixing.check(model.samples, List.of(3, 5)).agrees(1e-3));
            assertTrue(step.check(model.samples, List.of(3, 5)).agrees(1e-12));
        }
    }

    @Test
    void accumulate_twoRuns_addsScaledGradients() {
        try (Model model = new Model();
                CachedStep<Tensor> once = model.encoders(CachedStep.infoNce(model.ops, CachedStepTest::size))
                        .chunk(5)
                        .build();
                CachedStep<Tensor> step = model.encoders(CachedStep.infoNce(model.ops, CachedStepTest::size))
                        .chunk(5)
                        .accumulate(0.5)
                        .build()) {
            once.run(model.samples);
            double[] expected = model.right.gradient().toDoubles();
            model.right.zeroGradient();
            step.run(model.samples);
            step.run(model.samples);
            assertArrayEquals(expected, model.right.gradient().toDoubles(), 1e-15);
        }
    }

    /** The scale leaves its range in an optimiser step; the next run and close bring it back, unless told otherwise. */
    @Test
    void run_afterTheScaleLeftItsRange_clampsIt() {
        try (Model model = new Model();
                InfoNce loss = InfoNce.symmetric(model.ops)) {
            Tensor logScale = loss.parameters().get(0).value();
            try (CachedStep<Tensor> step = model.encoders(CachedStep.of(model.ops, CachedStepTest::size, loss))
                    .chunk(5)
                    .build()) {
                step.run(model.samples);
                logScale.set(7.0);
                step.run(model.samples);
                assertEquals(ContrastiveLoss.MAX_LOG_SCALE, logScale.toDoubles()[0]);
                logScale.set(-1.0);
            }
            assertEquals(0, logScale.toDoubles()[0]);
            try (CachedStep<Tensor> step = model.encoders(CachedStep.of(model.ops, CachedStepTest::size, loss))
                    .chunk(5)
                    .withoutClamping()
                    .build()) {
                step.run(model.samples);
                logScale.set(5.0);
            }
            assertEquals(5, logScale.toDoubles()[0]);
        }
    }

    @Test
    void build_invalidSettings_areRefused() {
        try (Model model = new Model();
                ContrastiveLoss loss = Losses.named(model.ops, "siglip")) {
            CachedStep.Builder<Tensor> builder = CachedStep.of(model.ops, CachedStepTest::size, loss);
            assertThrows(IllegalArgumentException.class, () -> builder.chunk(0));
            assertThrows(IllegalArgumentException.class, () -> builder.memoryBudget(0));
            assertThrows(IllegalArgumentException.class, () -> builder.accumulate(Double.NaN));
            assertThrows(IllegalArgumentException.class, builder::build);
            model.encoders(builder);
            assertThrows(IllegalArgumentException.class, builder::build);
            CachedStep<Tensor> step = builder.memoryBudget(100).build();
            assertThrows(Memory.OutOfBudgetException.class, () -> step.run(model.samples));
            try (Tensor empty = model.ops.zeros(Shape.of(0, 5))) {
                assertThrows(ShapeException.class, () -> builder.build().run(empty));
            }
            step.close();
            step.close();
            assertThrows(IllegalStateException.class, () -> step.run(model.samples));
        }
    }
}
