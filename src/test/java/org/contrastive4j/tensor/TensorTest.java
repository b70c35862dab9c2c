package org.contrastive4j.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.contrastive4j.internal.memory.HostMemory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

class TensorTest {
    private final HostMemory memory = new HostMemory();

    @AfterEach
    void closeMemory() {
        memory.close();
    }

    @Test
    void views_shareElements_andDoNotFree() {
        try (Tensor owner = Tensor.of(memory, DType.F32, Shape.of(3, 2), 1, 2, 3, 4, 5, 6)) {
            Tensor rows = owner.rows(1, 3);
            assertArrayEquals(new double[] {3, 4, 5, 6}, rows.toDoubles());
            assertEquals(2, rows.offset());
            rows.reshape(4).set(7, 8, 9, 10);
            assertArrayEquals(new double[] {1, 2, 7, 8, 9, 10}, owner.toDoubles());
            rows.close();
            owner.checkOpen();
            assertThrows(IllegalArgumentException.class, () -> owner.reshape(5));
            assertThrows(IndexOutOfBoundsException.class, () -> owner.rows(1, 4));
        }
    }

    @Test
    void useAfterClose_isRefused() {
        Tensor owner = Tensor.allocate(memory, DType.F32, Shape.of(2));
        Tensor view = owner.rows(0, 1);
        owner.close();
        assertThrows(IllegalStateException.class, view::checkOpen);
        assertThrows(IllegalStateException.class, owner::toDoubles);
    }

    @Test
    void wrongTypeOrCount_isRefusedWithExpectation() {
        try (Tensor ints = Tensor.ofInts(memory, Shape.of(2), 1, 2);
                Tensor floats = Tensor.of(memory, DType.F32, Shape.of(2), 1, 2)) {
            assertMessage("expected a tensor of i32, got f32[2]", () -> floats.set(new int[] {1, 2}));
            assertMessage("expected a tensor of i32, got f32[2]", floats::toInts);
            assertMessage("expected a tensor of a floating-point type, got i32[2]", () -> ints.set(1.0, 2.0));
            assertMessage("expected a tensor of f32, got i32[2]", ints::toFloats);
            assertMessage("expected 2 values for f32[2], got 3", () -> floats.set(1.0, 2.0, 3.0));
        }
    }

    private static void assertMessage(String expected, Executable call) {
        assertEquals(
                expected, assertThrows(IllegalArgumentException.class, call).getMessage());
    }

    @Test
    void hasValuesWithin_knowsOnlyWhatTheHostWrote() {
        try (Tensor ids = Tensor.ofInts(memory, Shape.of(3), 2, 5, 3)) {
            assertTrue(ids.hasValuesWithin(0, 6));
            assertFalse(ids.hasValuesWithin(0, 5));
            assertEquals(6, ids.requiredEnd());
            ids.rows(0, 1).set(new int[] {9});
            assertFalse(ids.hasValuesWithin(0, 6), "a write to a view extends the range");
            ids.invalidateValues();
            assertFalse(ids.hasValuesWithin(0, 100));
            ids.recordValues(new int[] {0, 1, 1});
            assertTrue(ids.hasValuesWithin(0, 2));
        }
    }

    @Test
    void shape_sizesAndErrors() {
        assertEquals(1, Shape.of().size());
        assertEquals(6, Shape.of(2, 3).size());
        assertEquals(3, Shape.of(2, 3).dim(-1));
        assertEquals(Shape.of(5, 3), Shape.of(2, 3).withFirst(5));
        assertEquals(Shape.of(2, 7), Shape.of(2, 3).withLast(7));
        assertEquals(4, Shape.of(2, 2, 9).rows());
        assertThrows(IllegalArgumentException.class, () -> Shape.of(2, -1));
        assertThrows(ArithmeticException.class, () -> Shape.of(1 << 30, 1 << 30, 1 << 30));
    }
}
