package org.contrastive4j.internal.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Cases worked out by hand, each with the bound that decides. */
class OccupancyTest {
    @ParameterizedTest
    @CsvSource({
        // warps: 64 / 8, 48 / 8
        "80, 32, 0, 256, 8",
        "86, 32, 0, 256, 6",
        "89, 32, 0, 256, 6",
        "90, 32, 0, 256, 8",
        // blocks: one warp each
        "80, 32, 0, 32, 32",
        "86, 32, 0, 32, 16",
        "89, 32, 0, 32, 24",
        "90, 32, 0, 1, 32",
        // 40 registers: 1280 per warp, 12 warps in each quarter of 16384, 48 warps, 48 / 4
        "80, 40, 0, 128, 12",
        // 33 registers: 1056 rounded up to 1280, as 40
        "90, 33, 0, 128, 12",
        // 168 registers: 5376 per warp, 3 in each quarter, 12 warps: one block of 12, none of 13
        "90, 168, 0, 384, 1",
        "90, 168, 0, 416, 0",
        // 255 registers: 8160 rounded up to 8192, 2 in each quarter, 8 warps
        "90, 255, 0, 256, 1",
        "90, 255, 0, 288, 0",
        "80, 255, 0, 32, 8",
        // 64 registers and 1024 threads: 2048 per warp, 32 warps
        "80, 64, 0, 1024, 1",
        "80, 65, 0, 1024, 0",
        "80, 32, 0, 1024, 2",
        "86, 32, 0, 1024, 1",
        // 72 registers: 2304 per warp, 7 in each quarter, 28 warps, blocks of 5 warps: 5
        "80, 72, 0, 160, 5",
        // shared: 227 KiB and 1 KiB are all of 228 KiB; 128 bytes more are too much
        "90, 32, 232448, 128, 1",
        "90, 32, 232449, 128, 0",
        // 113 KiB and 1 KiB twice are 228 KiB; one byte more takes 128
        "90, 32, 115712, 128, 2",
        "90, 32, 115713, 128, 1",
        // 163 KiB on sm_80, 99 KiB on sm_86
        "80, 32, 166912, 128, 1",
        "80, 32, 166913, 128, 0",
        "86, 32, 101376, 128, 1",
        "89, 32, 101377, 128, 0",
        // 48 KiB: 49 KiB each, 228 / 49 and 164 / 49 and 100 / 49
        "90, 32, 49152, 128, 4",
        "80, 32, 49152, 128, 3",
        "86, 32, 49152, 128, 2"
    })
    void blocksPerMultiprocessor_isTheSmallestBound(
            int architecture, int registers, int sharedBytes, int threads, int blocks) {
        assertEquals(blocks, Occupancy.blocksPerMultiprocessor(architecture, registers, sharedBytes, threads));
    }

    @Test
    void blocksPerMultiprocessor_invalidNumbers_areRefused() {
        assertThrows(IllegalArgumentException.class, () -> Occupancy.blocksPerMultiprocessor(75, 32, 0, 32));
        assertThrows(IllegalArgumentException.class, () -> Occupancy.blocksPerMultiprocessor(90, 256, 0, 32));
        assertThrows(IllegalArgumentException.class, () -> Occupancy.blocksPerMultiprocessor(90, 32, -1, 32));
        assertThrows(IllegalArgumentException.class, () -> Occupancy.blocksPerMultiprocessor(90, 32, 0, 0));
        assertThrows(IllegalArgumentException.class, () -> Occupancy.blocksPerMultiprocessor(90, 32, 0, 1025));
        assertEquals(0, Occupancy.blocksPerMultiprocessor(90, 32, Integer.MAX_VALUE - 1024, 32));
    }
}
