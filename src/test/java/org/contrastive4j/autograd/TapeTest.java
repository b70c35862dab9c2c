package org.contrastive4j.autograd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Tape.AutogradException;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Who lives how long, what is recorded, what an error says. */
class TapeTest {
    private static final long ROW = 4 * Double.BYTES;

    private final Ops ops = Backend.open("cpu-f64");
    private final Parameter p = new Parameter(ops, "p", ops.tensor(Shape.of(4), 1, 2, 3, 4), true);
    private final long base = ops.memory().currentBytes();

    @AfterEach
    void nothingIsLeft() {
        p.close();
        assertEquals(0, ops.memory().currentBytes());
        ops.close();
    }

    private static Variable gelu(Tape tape, Variable x) {
        return Functions.gelu(tape, x, PointwiseOps.Gelu.EXACT);
    }

    private static Variable doubled(Tape tape, Variable x) {
        return Functions.scale(tape, x, 2);
    }

    @Test
    void scope_closed_keepsItsResultAndFreesTheRest() {
        try (Tape tape = Tape.inference(ops)) {
            Variable[] inner = new Variable[1];
            Variable y = tape.scope("block", () -> {
                inner[0] = doubled(tape, p);
                return doubled(tape, doubled(tape, inner[0]));
            });
            assertEquals(base + ROW, ops.memory().currentBytes());
            assertArrayEquals(new double[] {8, 16, 24, 32}, y.value().toDoubles());
            IllegalStateException freed = assertThrows(IllegalStateException.class, () -> inner[0].value());
            assertTrue(freed.getMessage().contains("block/scale"), freed.getMessage());
        }
        assertEquals(base, ops.memory().currentBytes());
    }

    @Test
    void backward_recordedTape_freesEachValueAfterItsLastRead() {
        p.gradient();
        long start = ops.memory().currentBytes();
        try (Tape tape = Tape.recording(ops);
                Tensor seed = ops.tensor(Shape.of(4), 1, 1, 1, 1)) {
            Variable y = tape.scope("block", () -> doubled(tape, gelu(tape, doubled(tape, p))));
            // the input of gelu is saved, its output is not, the result lives
            assertEquals(start + 3 * ROW, ops.memory().currentBytes());
            tape.backward(y, seed);
            assertEquals(start + 2 * ROW, ops.memory().currentBytes(), "only the result and the seed are left");
        }
        assertEquals(start, ops.memory().currentBytes());
    }

    @Test
    void backward_severalPassesAndUses_accumulates() {
        try (Tensor seed = ops.tensor(Shape.of(4), 1, 10, 100, 1000)) {
            for (int pass = 0; pass < 2; pass++) {
                try (Tape tape = Tape.recording(ops)) {
                    Variable y = Functions.add(tape, doubled(tape, p), p);
                    tape.backward(Functions.add(tape, y, y), seed);
                }
            }
        }
        assertArrayEquals(new double[] {12, 120, 1200, 12000}, p.gradient().toDoubles());
        p.zeroGradient();
        assertArrayEquals(new double[4], p.gradient().toDoubles());
    }

    @Test
    void backward_severalOutputs_takeTheirOwnSeeds() {
        try (Tape tape = Tape.recording(ops);
                Tensor ones = ops.tensor(Shape.of(4), 1, 1, 1, 1);
                Tensor tens = ops.tensor(Shape.of(4), 10, 10, 10, 10)) {
            Variable twice = doubled(tape, p);
            Variable four = doubled(tape, twice);
            tape.backward(List.of(four, twice, twice), List.of(ones, tens, ones));
            assertArrayEquals(new double[] {26, 26, 26, 26}, p.gradient().toDoubles());
            assertArrayEquals(new double[] {10, 10, 10, 10}, tens.toDoubles(), "seeds are only read");
        }
    }

    /** Two outputs of one function, one of them unused. */
    private static final class Split extends Function {
        Split() {
            super("split");
        }

        @Override
        protected Tensor[] forward(Forward f) {
            Tensor[] halves = {f.allocate(2), f.allocate(2)};
            f.ops().pointwise().copy(f.input(0).rows(0, 2), halves[0]);
            f.ops().pointwise().copy(f.input(0).rows(2, 4), halves[1]);
            return halves;
        }

        @Override
        protected void backward(Backward b) {
            Tensor dx = b.zerosLike(0);
            for (int k = 0; k < 2; k++) {
                if (b.hasOutputGradient(k)) {
                    b.ops().pointwise().copy(b.outputGradient(k), dx.rows(2 * k, 2 * k + 2));
                }
            }
            b.accumulate(0, dx);
        }
    }

    @Test
    void apply_functionWithSeveralOutputs_returnsAll() {
        try (Tape tape = Tape.recording(ops);
                Tensor seed = ops.tensor(Shape.of(2), 5, 6)) {
            List<Variable> halves = tape.applyMany(new Split(), p);
            tape.backward(halves.get(1), seed);
            assertArrayEquals(new double[] {0, 0, 5, 6}, p.gradient().toDoubles());
        }
    }

    @Test
    void apply_frozenParametersOrInference_recordsNothing() {
        try (Tape tape = Tape.recording(ops);
                Tensor seed = ops.tensor(Shape.of(4), 1, 1, 1, 1)) {
            Variable outside = tape.noGradient(() -> gelu(tape, p));
            assertFalse(outside.requiresGradient());
            assertThrows(IllegalStateException.class, () -> tape.backward(outside, seed));
            p.freeze(true);
            Variable frozen = gelu(tape, p);
            assertFalse(frozen.requiresGradient());
            p.freeze(false);
            assertTrue(gelu(tape, p).requiresGradient());
        }
    }

    @Test
    void apply_failingFunction_namesTheNodeAndLeaksNothing() {
        try (Tape tape = Tape.recording(ops);
                Tensor other = ops.zeros(Shape.of(3))) {
            AutogradException failed = assertThrows(
                    AutogradException.class,
                    () -> tape.scope(
                            "text",
                            () -> tape.scope(
                                    "block1",
                                    () -> Functions.add(tape, doubled(tape, p), tape.constant("other", other)))));
            assertEquals("text/block1/add", failed.node());
            assertTrue(failed.getCause() instanceof ShapeException);
            assertTrue(failed.getMessage().contains("text/block1/add"), failed.getMessage());
        }
        assertEquals(base, ops.memory().currentBytes());
    }

    /** Fails on its way back, after it has allocated. */
    private static final class FailsBackward extends Function {
        FailsBackward() {
            super("fails");
        }

        @Override
        protected Tensor[] forward(Forward f) {
            f.allocate(1000); // scratch
            return new Tensor[] {f.keep(f.allocate(f.input(0).shape()))};
        }

        @Override
        protected void backward(Backward b) {
            b.allocate(Shape.of(77));
            throw new IllegalArgumentException("on purpose");
        }
    }

    @Test
    void backward_failingFunction_leaksNothing() {
        try (Tensor seed = ops.zeros(Shape.of(4))) {
            try (Tape tape = Tape.recording(ops)) {
                Variable y = doubled(tape, tape.apply(new FailsBackward(), gelu(tape, p)));
                AutogradException failed = assertThrows(AutogradException.class, () -> tape.backward(y, seed));
                assertTrue(failed.getMessage().startsWith("backward of fails"), failed.getMessage());
            }
            assertEquals(base + ROW, ops.memory().currentBytes());
        }
    }

    @Test
    void close_twiceOrBeforeUse_isIdempotentOrRefused() {
        Tape tape = Tape.recording(ops);
        tape.close();
        tape.close();
        assertThrows(IllegalStateException.class, () -> doubled(tape, p));
        try (Tensor gone = ops.zeros(Shape.of(4));
                Tape next = Tape.recording(ops)) {
            gone.close();
            assertThrows(IllegalStateException.class, () -> next.constant("gone", gone));
        }
    }

    @Test
    void backward_seedOfAnotherShape_isRefused() {
        try (Tape tape = Tape.recording(ops);
                Tensor seed = ops.zeros(Shape.of(3))) {
            Variable y = doubled(tape, p);
            assertThrows(ShapeException.class, () -> tape.backward(y, seed));
        }
    }

    @Test
    void observe_anyFunction_receivesEveryOutputByName() {
        List<String> names = new ArrayList<>();
        try (Tape tape = Tape.inference(ops)) {
            tape.observe((name, value) -> names.add(name));
            tape.scope("a", () -> gelu(tape, doubled(tape, p)));
        }
        assertEquals(List.of("a/scale", "a/gelu"), names);
    }
}
