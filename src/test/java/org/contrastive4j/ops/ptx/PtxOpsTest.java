package org.contrastive4j.ops.ptx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.contrastive4j.Backend;
import org.contrastive4j.device.LaunchException;
import org.contrastive4j.memory.OutOfBudgetException;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;

/** What is particular to the backend of kernels; that its numbers are right is tested with those of the others. */
class PtxOpsTest {
    @Test
    void tensorsOfOtherMemoryAreRefused() {
        try (Ops sim = Backend.open("sim"); Ops other = Backend.open("sim"); Ops cpu = Backend.open("cpu");
                Tensor own = sim.zeros(Shape.of(4)); Tensor foreign = other.zeros(Shape.of(4));
                Tensor host = cpu.zeros(Shape.of(4))) {
            for (Tensor wrong : new Tensor[] {foreign, host}) {
                assertThrows(LaunchException.class, () -> sim.pointwise().add(own, wrong, own));
                assertThrows(LaunchException.class, () -> sim.pointwise().copy(wrong, own));
                assertThrows(LaunchException.class, () -> sim.update().sumOfSquares(wrong));
            }
        }
    }

    @Test
    void nothingOfAnOperationStaysAllocated() {
        try (Ops sim = Backend.open("sim", 1 << 20)) {
            assertEquals("sim", sim.name());
            try (Tensor dy = sim.zeros(Shape.of(300, 1, 4)); Tensor sums = sim.zeros(Shape.of(1, 4))) {
                long before = sim.memory().currentBytes();
                sim.sequence().addPositionsBackward(dy, sums);
                assertEquals(0, sim.update().sumOfSquares(sums));
                assertEquals(-1, sim.update().firstNonFinite(sums));
                sim.synchronize();
                assertEquals(before, sim.memory().currentBytes());
                assertThrows(OutOfBudgetException.class, () -> sim.allocate(1 << 20));
            }
        }
    }

    /** Each id in one group, in order, no piece longer than asked for. */
    @Test
    void occurrencesAreGroupedInOrder() {
        for (int count : new int[] {1, 7, 64, 65, 500}) {
            int[] ids = new Random(count).ints(count, 0, 9).map(id -> id < 5 ? 3 : id).toArray();
            Occurrences of = new Occurrences(ids, 12, 4);
            assertEquals(Arrays.stream(ids).distinct().count(), of.groups);
            assertEquals(of.groups, of.targets.length);
            int next = 0;
            for (int group = 0; group < of.groups; group++) {
                int from = of.pieceStart[of.groupStart[group]];
                int end = of.pieceStart[of.groupStart[group + 1]];
                int row = of.targets[group];
                assertEquals(next, from);
                int[] wanted = IntStream.range(0, count).filter(i -> ids[i] == row).toArray();
                assertTrue(Arrays.equals(wanted, Arrays.copyOfRange(of.order, from, end)), "row " + row);
                next = end;
            }
            assertEquals(count, next);
            for (int piece = 0; piece < of.pieces; piece++) {
                int size = of.pieceStart[piece + 1] - of.pieceStart[piece];
                assertTrue(size >= 1 && size <= 4, "piece of " + size);
            }
        }
    }
}
