package org.contrastive4j.internal.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import org.contrastive4j.memory.Memory;
import org.contrastive4j.memory.Memory.MemoryLeakException;
import org.contrastive4j.memory.Memory.OutOfBudgetException;
import org.contrastive4j.memory.Memory.Storage;
import org.junit.jupiter.api.Test;

class AllocationLedgerTest {
    @Test
    void check_overLimit_isRefusedWithFigures() {
        try (HostMemory memory = new HostMemory(100, false);
                Storage kept = memory.allocate(60)) {
            assertThrows(IllegalArgumentException.class, () -> memory.allocate(-1));
            OutOfBudgetException refusal = assertThrows(OutOfBudgetException.class, () -> memory.allocate(41));
            assertEquals(41, refusal.requested());
            assertEquals(60, refusal.live());
            assertEquals(100, refusal.limit());
            assertEquals(60, memory.currentBytes(), "a refused allocation is not counted");
            memory.allocate(40).close();
            assertEquals(60, kept.bytes());
        }
        assertThrows(IllegalArgumentException.class, () -> new HostMemory(0, false));
    }

    @Test
    void peak_andMeters_areIndependent() {
        try (HostMemory memory = new HostMemory()) {
            memory.allocate(64).close();
            try (Memory.Meter meter = memory.meter()) {
                memory.resetPeak();
                memory.allocate(16).close();
                assertEquals(16, memory.peakBytes());
                assertEquals(16, meter.peakBytes());
                memory.resetPeak();
                assertEquals(0, memory.peakBytes());
                assertEquals(16, meter.peakBytes(), "resetPeak does not change a meter");
            }
        }
    }

    @Test
    void close_withOpenStorages_namesTheLinesIfTraced() {
        HostMemory traced = new HostMemory(1000, true);
        Storage leaked = traced.allocate(8);
        MemoryLeakException leak = assertThrows(MemoryLeakException.class, traced::close);
        assertTrue(leak.getMessage().startsWith("1 storages with 8 bytes"), leak.getMessage());
        assertEquals(1, leak.getSuppressed().length);
        assertTrue(
                Arrays.stream(leak.getSuppressed()[0].getStackTrace())
                        .anyMatch(line -> line.getClassName().equals(AllocationLedgerTest.class.getName())),
                "the trace contains the allocating line");
        assertTrue(leaked.isClosed());
        traced.close();

        HostMemory untraced = new HostMemory(1000, false);
        untraced.allocate(8);
        assertEquals(0, assertThrows(MemoryLeakException.class, untraced::close).getSuppressed().length);
        assertThrows(IllegalStateException.class, () -> untraced.allocate(1));
        assertFalse(untraced.currentBytes() > 0);
    }
}
