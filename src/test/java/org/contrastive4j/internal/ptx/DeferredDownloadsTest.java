package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.support.Devices;
import org.junit.jupiter.api.Test;

/** Small results on their way to the host. */
class DeferredDownloadsTest {
    private static final int PLACES = 1024; // of a page

    /** Notes the names of calls; the stream does not wait where it {@code forgets} to. */
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

    /** One that forgets to wait has other numbers, each time it is asked. */
    @Test
    void theHostWaitsOnceForAllThatIsOnItsWay() {
        for (boolean forgets : new boolean[] {false, true}) {
            List<String> calls = new ArrayList<>();
            try (SimDevice device = SimDevice.open(SimOptions.defaults());
                    DeferredDownloads readback = new DeferredDownloads(watched(device, calls, forgets));
                    DeviceStorage numbers = Devices.ints(device, 3, -1, 7)) {
                for (int round = 0; round < 2; round++) {
                    List<Deferred<Integer>> results = new ArrayList<>();
                    for (int i = 0; i < 3; i++) {
                        results.add(readback.later(numbers, 4L * i, 4, ByteBuffer::getInt));
                    }
                    calls.clear();
                    for (int i = 0; i < 3; i++) {
                        int wanted = new int[] {3, -1, 7}[i];
                        int seen = results.get(i).get();
                        if (forgets) {
                            assertNotEquals(wanted, seen, "result " + i);
                        } else {
                            assertEquals(wanted, seen, "result " + i);
                        }
                    }
                    assertEquals(1, calls.stream().filter("synchronize"::equals).count(), "waits");
                }
            }
        }
    }

    /** Nobody asks for most of them: they do not take a place for ever. */
    @Test
    void theyMayBeDropped() {
        List<String> calls = new ArrayList<>();
        try (SimDevice device = SimDevice.open(SimOptions.defaults().withoutChecks());
                DeferredDownloads readback = new DeferredDownloads(watched(device, calls, false));
                DeviceStorage numbers = Devices.ints(device, 3, -1, 7)) {
            Deferred<Integer> asked = readback.later(numbers, 4, 4, ByteBuffer::getInt);
            boolean reused = false;
            for (int round = 0; round < 20 && !reused; round++) {
                calls.clear();
                for (int i = 0; i < 2 * PLACES; i++) {
                    readback.later(numbers, 8, 4, ByteBuffer::getInt);
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
