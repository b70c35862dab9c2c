package org.contrastive4j.internal.memory;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Test;

class HostStorageTest {
    @Test
    void address_nativeCode_readsSameBytes() {
        try (HostMemory memory = new HostMemory();
                HostStorage storage = memory.allocate(40)) {
            assertEquals(0, storage.address() % HostMemory.ALIGNMENT);
            float[] values = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
            storage.store(0, values, 0, 10);
            float[] seen = new float[10];
            new FloatPointer(new Raw(storage.address())).capacity(10).get(seen);
            assertArrayEquals(values, seen);
            storage.load(3, seen, 0, 7);
            assertArrayEquals(new float[] {4, 5, 6, 7, 8, 9, 10, 8, 9, 10}, seen);
        }
    }

    @Test
    void load_everyAlignment_agreesWithDownload() {
        try (HostMemory memory = new HostMemory()) {
            for (int size = 4; size < 400; size += 4) { // malloc aligns to 16, so that blocks begin at every offset
                try (HostStorage storage = memory.allocate(size)) {
                    ByteBuffer bytes = ByteBuffer.allocate(size).order(ByteOrder.nativeOrder());
                    bytes.putInt(size - 4, 77);
                    storage.upload(0, bytes);
                    int[] last = new int[1];
                    storage.load(size / 4 - 1, last, 0, 1);
                    assertEquals(77, last[0]);
                    storage.store(0, new int[] {99}, 0, 1);
                    storage.download(0, bytes.clear());
                    assertEquals(99, bytes.getInt(0));
                }
            }
        }
    }

    private static final class Raw extends Pointer {
        Raw(long at) {
            address = at;
        }
    }

    @Test
    void load_acrossWindows_agrees() {
        long window = 1L << 28; // floats in a GiB
        try (HostMemory memory = new HostMemory();
                HostStorage storage = memory.allocate(4 * window + 64)) {
            float[] values = {1, 2, 3, 4, 5, 6, 7, 8};
            storage.store(window - 3, values, 0, 8);
            float[] seen = new float[8];
            storage.load(window - 3, seen, 0, 8);
            assertArrayEquals(values, seen);
            storage.load(window, seen, 0, 2);
            assertEquals(4, seen[0]);
            assertEquals(5, seen[1]);
        }
    }
}
