package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.support.Devices;
import org.junit.jupiter.api.Test;

/** Asynchronous downloads of small results into pinned memory. */
class DeferredDownloadsTest {
    private static final int SLOTS = 1024; // of a page

    /** Records the names of calls; {@code forgets} skips the synchronisation of the stream. */
    private static PtxDevice watched(PtxDevice device, List<String> calls, boolean forgets) {
        DeviceStream stream = watched(DeviceStream.class, device.stream(), calls, null, forgets);
        return watched(PtxDevice.class, device, calls, stream, false);
    }

    private static <T> T watched(Class<T> type, T of, List<String> calls, DeviceStream stream, boolean forgets) {
        return type.cast(Proxy.newProxyInstance(
                type.getClassLoader(), new Class<?>[] {type}, (proxy, method, given) -> {
                    calls.add(method.getName());
                    if (stream != null && method.getName().equals("stream")) {
                        return stream;
                    }
                    if (forgets && method.getName().equals("synchronize")) {
                        return null;
                    }
                    try {
                        return method.invoke(of, given);
                    } catch (InvocationTargetException thrown) {
                        throw thrown.getCause();
                    }
                }));
    }

    /** A stream that skips the synchronisation returns other values. */
    @Test
    void get_severalPendingResults_synchronizesOnce() {
        for (boolean forgets : new boolean[] {false, true}) {
            List<String> calls = new ArrayList<>();
            try (SimDevice device = SimDevice.open(SimOptions.defaults());
                    DeferredDownloads downloads = new DeferredDownloads(watched(device, calls, forgets));
                    DeviceStorage numbers = Devices.ints(device, 3, -1, 7)) {
                for (int round = 0; round < 2; round++) {
                    List<Deferred<Integer>> results = new ArrayList<>();
                    for (int i = 0; i < 3; i++) {
                        results.add(downloads.download(numbers, 4L * i, 4, ByteBuffer::getInt));
                    }
                    calls.clear();
                    for (int i = 0; i < 3; i++) {
                        int expected = new int[] {3, -1, 7}[i];
                        int seen = results.get(i).get();
                        if (forgets) {
                            assertNotEquals(expected, seen, "result " + i);
                        } else {
                            assertEquals(expected, seen, "result " + i);
                        }
                    }
                    assertEquals(1, calls.stream().filter("synchronize"::equals).count(), "waits");
                }
            }
        }
    }

    /** Results that are never read release their slots. */
    @Test
    void download_resultsNeverRead_releasesSlots() {
        List<String> calls = new ArrayList<>();
        try (SimDevice device = SimDevice.open(SimOptions.defaults().withoutChecks());
                DeferredDownloads downloads = new DeferredDownloads(watched(device, calls, false));
                DeviceStorage numbers = Devices.ints(device, 3, -1, 7)) {
            Deferred<Integer> asked = downloads.download(numbers, 4, 4, ByteBuffer::getInt);
            boolean reused = false;
            for (int round = 0; round < 20 && !reused; round++) {
                calls.clear();
                for (int i = 0; i < 2 * SLOTS; i++) {
                    downloads.download(numbers, 8, 4, ByteBuffer::getInt);
                    if (i % 256 == 255) {
                        System.gc();
                    }
                }
                reused = calls.stream().filter("pinned"::equals).count() <= 1;
            }
            assertTrue(reused, "each round took two pages of its own");
            assertEquals(-1, asked.get(), "one that can be asked for has its place");
        }
    }
}
