package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.contrastive4j.Backend;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.memory.Memory.OutOfBudgetException;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;

/** What only the kernel backend does; {@link org.contrastive4j.ops.BackendAgreementTest} tests its results. */
class PtxOpsTest {
    @Test
    void tensorOfOtherMemory_isRefused() {
        try (Ops sim = Backend.open("sim");
                Ops other = Backend.open("sim");
                Ops cpu = Backend.open("cpu");
                Tensor own = sim.zeros(Shape.of(4));
                Tensor foreign = other.zeros(Shape.of(4));
                Tensor host = cpu.zeros(Shape.of(4))) {
            for (Tensor wrong : new Tensor[] {foreign, host}) {
                assertThrows(LaunchException.class, () -> sim.pointwise().add(own, wrong, own));
                assertThrows(LaunchException.class, () -> sim.pointwise().copy(wrong, own));
                assertThrows(
                        LaunchException.class,
                        () -> sim.update().sumOfSquares(wrong).get());
            }
        }
    }

    @Test
    void operations_freeTheirWorkspaces() {
        try (Ops sim = Backend.open("sim", 1 << 20)) {
            assertEquals("sim", sim.name());
            try (Tensor dy = sim.zeros(Shape.of(300, 1, 4));
                    Tensor sums = sim.zeros(Shape.of(1, 4))) {
                long before = sim.memory().currentBytes();
                sim.sequence().addPositionsBackward(dy, sums);
                assertEquals(0, sim.update().sumOfSquares(sums).get());
                assertEquals(-1, sim.update().firstNonFinite(sums).get());
                sim.synchronize();
                assertEquals(before, sim.memory().currentBytes());
                assertThrows(OutOfBudgetException.class, () -> sim.allocate(1 << 20));
            }
        }
    }
}
