package org.contrastive4j.internal.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.contrastive4j.memory.Memory.OutOfBudgetException;
import org.junit.jupiter.api.Test;

/** Parts of a scratch memory never overlap, and what is given back can be had again. */
class ScratchSpaceTest {
    private record Part(long at, long end) {}

    @Test
    void allocate_afterAnyFrees_doesNotOverlap() {
        Random random = new Random(3);
        ScratchSpace space = new ScratchSpace(64 << 10);
        List<Part> live = new ArrayList<>();
        int refused = 0;
        for (int turn = 0; turn < 5000; turn++) {
            if (random.nextBoolean() && !live.isEmpty()) {
                space.free(live.remove(random.nextInt(live.size())).at);
                continue;
            }
            long bytes = random.nextInt(6000);
            try {
                Part part = new Part(space.allocate(bytes), 0);
                Part whole = new Part(part.at, part.at + bytes);
                assertEquals(0, whole.at % 256);
                assertTrue(whole.end <= 64 << 10, "turn " + turn + ", seed 3");
                assertTrue(
                        live.stream().noneMatch(o -> whole.at < o.end && o.at < whole.end),
                        "turn " + turn + ", seed 3");
                live.add(whole);
            } catch (OutOfBudgetException full) {
                refused++;
            }
        }
        assertTrue(refused > 0, "the memory must get full for this to say anything");
        live.forEach(part -> space.free(part.at));
        assertEquals(0, space.allocate(64 << 10), "all holes have become one");
    }

    @Test
    void allocate_sameRequests_getTheSameOffsets() {
        for (int run = 0; run < 2; run++) {
            ScratchSpace space = new ScratchSpace(4096);
            assertEquals(0, space.allocate(1));
            assertEquals(256, space.allocate(300));
            space.free(0);
            assertEquals(768, space.allocate(257));
            assertEquals(0, space.allocate(256));
            assertEquals(1280, space.highest());
            assertThrows(OutOfBudgetException.class, () -> space.allocate(4096));
        }
    }
}
