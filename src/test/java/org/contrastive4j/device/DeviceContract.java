package org.contrastive4j.device;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxDevice.PinnedBuffer;
import org.contrastive4j.device.PtxModule.Kernel;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.memory.Memory.MemoryLeakException;
import org.contrastive4j.support.Devices;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Behaviour that a GPU and the simulator share; the tests of each device extend this class. */
public abstract class DeviceContract<D extends PtxDevice> {
    public static final String PTX = """
            .version 7.0
            .target sm_70
            .address_size 64
            // y[i] += a x[i]
            .visible .entry saxpy(.param .u64 y, .param .u64 x, .param .f32 a, .param .u32 n)
            {
                .reg .pred p;
                .reg .b32 i, m, b, t;
                .reg .b64 py, px, o;
                .reg .f32 fy, fx, fa;
                ld.param.u64 py, [y];
                ld.param.u64 px, [x];
                ld.param.f32 fa, [a];
                ld.param.u32 m, [n];
                mov.u32 i, %ctaid.x;
                mov.u32 b, %ntid.x;
                mov.u32 t, %tid.x;
                mad.lo.u32 i, i, b, t;
                setp.ge.u32 p, i, m;
                @p ret;
                mul.wide.u32 o, i, 4;
                add.u64 py, py, o;
                add.u64 px, px, o;
                ld.global.f32 fy, [py];
                ld.global.f32 fx, [px];
                fma.rn.f32 fy, fx, fa, fy;
                st.global.f32 [py], fy;
                ret;
            }
            .visible .entry nothing() { ret; }
            """;

    protected D device;

    /** Opens the device for one test. */
    protected abstract D open();

    @BeforeEach
    void openDevice() {
        device = open();
    }

    @AfterEach
    void closeDevice() {
        if (device != null) {
            device.close();
        }
    }

    protected Kernel saxpy() {
        return device.module("saxpy.ptx", PTX).kernel("saxpy");
    }

    @Test
    void upload_download_roundTrips() {
        for (int size : new int[] {0, 1, 31, 129, 1 << 20, (8 << 20) + 5, (16 << 20)}) {
            byte[] bytes = new byte[size + 7];
            for (int i = 0; i < bytes.length; i++) {
                bytes[i] = (byte) (i * 31 + (i >> 8));
            }
            try (DeviceStorage storage = device.allocate(size + 7)) {
                assertEquals(0, storage.address() % 256);
                device.stream().fill(storage, (byte) -1);
                storage.upload(0, ByteBuffer.wrap(bytes).asReadOnlyBuffer());
                ByteBuffer source = ByteBuffer.wrap(bytes, 3, size);
                storage.upload(4, source);
                assertEquals(0, source.remaining());
                ByteBuffer target = ByteBuffer.allocateDirect(size + 7);
                storage.download(0, target);
                System.arraycopy(bytes.clone(), 3, bytes, 4, size);
                byte[] seen = new byte[size + 7];
                target.flip().get(seen);
                assertArrayEquals(bytes, seen, "size " + size);
            }
        }
    }

    @Test
    void launch_raggedSizes_agreesWithJava() {
        Kernel saxpy = saxpy();
        assertEquals("saxpy", saxpy.name());
        assertEquals(4, saxpy.parameters().size());
        assertTrue(saxpy.attributes().maxThreadsPerBlock() >= 128);
        assertTrue(saxpy.blocksPerMultiprocessor(128, 0) > 0);
        assertTrue(saxpy.blocksPerMultiprocessor(128, 0)
                >= saxpy.blocksPerMultiprocessor(128, device.facts().sharedBytesPerBlock()));
        for (int n : new int[] {1, 31, 32, 33, 103, 127, 128, 129, 1000}) {
            float[] x = new float[n];
            float[] y = new float[n];
            float[] expected = new float[n];
            for (int i = 0; i < n; i++) {
                x[i] = i;
                y[i] = 1f / (i + 1);
                expected[i] = Math.fma(x[i], 2.5f, y[i]);
            }
            try (DeviceStorage dx = Devices.floats(device, x);
                    DeviceStorage dy = Devices.floats(device, y)) {
                Launch launch = Launch.of((n + 127) / 128, 128);
                saxpy.launch(device.stream(), n % 2 == 0 ? launch : launch.shared(60 << 10), dy, dx, 2.5f, n);
                assertArrayEquals(expected, Devices.toFloats(dy), "n " + n);
            }
        }
        device.module("saxpy.ptx", PTX)
                .kernel("nothing")
                .launch(device.stream(), Launch.of(3, 32).asCooperative());
        device.synchronize();
    }

    @Test
    void launch_invalid_isRefusedBeforeAnythingRuns() {
        Kernel saxpy = saxpy();
        DeviceStorage y = Devices.floats(device, 1, 2, 3);
        Launch launch = Launch.of(1, 32);
        for (Runnable wrong : List.<Runnable>of(
                () -> saxpy.launch(device.stream(), launch, y, y, 1f),
                () -> saxpy.launch(device.stream(), launch, y, y, 1, 3),
                () -> saxpy.launch(device.stream(), launch, y, null, 1f, 3),
                () -> saxpy.launch(
                        device.stream(), launch.shared(device.facts().sharedBytesPerBlock() + 1), y, y, 1f, 3),
                () -> saxpy.launch(device.stream(), Launch.of(1 << 30, 1024).asCooperative(), y, y, 1f, 3))) {
            assertThrows(LaunchException.class, wrong::run);
        }
        try (D second = open();
                DeviceStorage foreign = second.allocate(12)) {
            assertTrue(
                    assertThrows(LaunchException.class, () -> saxpy.launch(device.stream(), launch, y, foreign, 1f, 3))
                            .getMessage()
                            .contains("of another device"));
            assertThrows(DeviceException.class, () -> saxpy.launch(second.stream(), launch, y, y, 1f, 3));
            assertThrows(DeviceException.class, () -> second.stream().fill(y, (byte) 0));
        }
        assertArrayEquals(new float[] {1, 2, 3}, Devices.toFloats(y));
        y.close();
        assertTrue(assertThrows(LaunchException.class, () -> saxpy.launch(device.stream(), launch, y, y, 1f, 3))
                .getMessage()
                .contains("was closed"));
    }

    @Test
    void view_isBoundedAndEndsWithItsStorage() {
        DeviceStorage storage = Devices.ints(device, 1, 2, 3, 4, 5);
        DeviceStorage view = storage.view(4, 12).view(4, 8);
        assertEquals(storage.address() + 8, view.address());
        assertArrayEquals(new int[] {3, 4}, Devices.toInts(view));
        for (long[] wrong :
                new long[][] {{-1, 1}, {0, 21}, {21, 0}, {4, -1}, {Long.MAX_VALUE, 1}, {1, Long.MAX_VALUE}}) {
            assertThrows(
                    IndexOutOfBoundsException.class, () -> storage.view(wrong[0], wrong[1]), Arrays.toString(wrong));
        }
        assertThrows(IndexOutOfBoundsException.class, () -> view.upload(4, ByteBuffer.allocate(5)));
        assertThrows(IndexOutOfBoundsException.class, () -> view.download(-1, ByteBuffer.allocate(1)));
        DeviceStorage other = storage.view(0, 4);
        other.close();
        assertArrayEquals(new int[] {1, 2, 3, 4, 5}, Devices.toInts(storage));
        storage.close();
        storage.close();
        assertEquals(0, device.currentBytes());
        assertThrows(IllegalStateException.class, view::address);
        assertThrows(IllegalStateException.class, () -> view.download(0, ByteBuffer.allocate(1)));
        assertThrows(IllegalStateException.class, () -> storage.upload(0, ByteBuffer.allocate(1)));
        assertThrows(IllegalStateException.class, () -> storage.view(0, 1));
    }

    @Test
    void close_withOpenStorages_reportsLeaks() {
        D leaky = open();
        DeviceStorage leaked = leaky.allocate(24);
        MemoryLeakException leak = assertThrows(MemoryLeakException.class, leaky::close);
        assertTrue(leak.getMessage().startsWith("1 storages with 24 bytes"), leak.getMessage());
        assertTrue(leaked.isClosed());
        leaky.close();
        assertThrows(IllegalStateException.class, () -> leaky.allocate(1));
        assertThrows(IllegalStateException.class, leaky::synchronize);
        assertThrows(IllegalStateException.class, () -> leaky.module("x", PTX));
        System.setProperty("contrastive4j.traceLeaks", "true");
        try {
            D traced = open();
            traced.allocate(24);
            Throwable origin =
                    assertThrows(MemoryLeakException.class, traced::close).getSuppressed()[0];
            assertTrue(Arrays.stream(origin.getStackTrace())
                    .anyMatch(line -> line.getMethodName().equals("close_withOpenStorages_reportsLeaks")));
        } finally {
            System.clearProperty("contrastive4j.traceLeaks");
        }
    }

    @Test
    void streams_eventsAndPinnedCopies_work() {
        try (PinnedBuffer pinned = device.pinned(64);
                DeviceStorage a = device.allocate(64);
                DeviceStorage b = device.allocate(64);
                DeviceStream other = device.newStream()) {
            for (int i = 0; i < 64; i++) {
                pinned.bytes().put(i, (byte) i);
            }
            DeviceStream stream = device.stream();
            DeviceStream.Event begin = stream.record();
            stream.fill(a, (byte) 9);
            stream.upload(pinned, 4, a, 8, 16);
            DeviceStream.Event written = stream.record();
            other.await(written);
            other.copy(a, 0, b, 32, 32);
            other.download(b, 32, pinned, 0, 32);
            DeviceStream.Event end = other.record();
            end.synchronize();
            assertTrue(end.isDone() && written.isDone());
            assertTrue(written.millisecondsSince(begin) >= 0);
            for (int i = 0; i < 32; i++) {
                assertEquals(i < 8 || i >= 24 ? 9 : i - 4, pinned.bytes().get(i), "byte " + i);
            }
            assertThrows(IndexOutOfBoundsException.class, () -> stream.upload(pinned, 60, a, 0, 5));
            assertThrows(IndexOutOfBoundsException.class, () -> stream.download(a, 60, pinned, 0, 5));
            assertThrows(IllegalArgumentException.class, () -> stream.copy(a, 0, a, 8, 16));
            begin.close();
            begin.close();
            assertThrows(IllegalStateException.class, begin::isDone);
            other.close();
            assertThrows(IllegalStateException.class, () -> other.fill(a, (byte) 0));
            assertThrows(IllegalStateException.class, () -> other.await(written));
            assertThrows(IllegalStateException.class, other::record);
            stream.close();
            stream.fill(a, (byte) 0); // closing does not close the default stream
            pinned.close();
            assertThrows(IllegalStateException.class, pinned::bytes);
            assertThrows(IllegalArgumentException.class, () -> device.pinned(1L << 31));
        }
    }

    @Test
    void graph_launchedTwice_repeatsItsWork() {
        Kernel saxpy = saxpy();
        try (DeviceStorage x = Devices.floats(device, 1, 2, 3);
                DeviceStorage y = Devices.floats(device, 0, 0, 0);
                DeviceStream.Graph graph = device.stream().capture(() -> {
                    device.stream().fill(y, (byte) 0);
                    saxpy.launch(device.stream(), Launch.of(1, 32), y, x, 2f, 3);
                    saxpy.launch(device.stream(), Launch.of(1, 32), y, x, 1f, 3);
                })) {
            assertEquals(3, graph.nodes());
            assertArrayEquals(new float[3], Devices.toFloats(y));
            for (int i = 0; i < 2; i++) {
                graph.launch(device.stream());
                assertArrayEquals(new float[] {3, 6, 9}, Devices.toFloats(y));
            }
            x.upload(0, ByteBuffer.allocate(12).order(ByteOrder.nativeOrder()).putFloat(0, 5));
            graph.launch(device.stream());
            assertArrayEquals(new float[] {15, 0, 0}, Devices.toFloats(y));
        }
    }

    @Test
    void capture_ofUnsupportedWork_isRefusedAndTheStreamStaysUsable() {
        DeviceStream stream = device.stream();
        try (DeviceStorage storage = Devices.ints(device, 1);
                DeviceStream.Event outside = stream.record()) {
            IllegalArgumentException own = new IllegalArgumentException("of the work");
            assertSame(
                    own,
                    assertThrows(
                            IllegalArgumentException.class,
                            () -> stream.capture(() -> {
                                stream.fill(storage, (byte) 1);
                                throw own;
                            })));
            for (Runnable wrong : List.<Runnable>of(
                    device::synchronize,
                    stream::synchronize,
                    () -> device.allocate(1 << 20),
                    () -> Devices.download(storage),
                    () -> device.pinned(4),
                    () -> stream.capture(() -> {}),
                    stream::record,
                    () -> stream.await(outside))) {
                assertThrows(DeviceException.class, () -> stream.capture(wrong));
                assertArrayEquals(new int[] {1}, Devices.toInts(storage));
            }
        }
    }

    @Test
    void synchronize_byAnotherThread_doesNotDisturbACapture() throws InterruptedException {
        Kernel saxpy = saxpy();
        try (DeviceStorage x = Devices.floats(device, 1);
                DeviceStorage y = Devices.floats(device, 0)) {
            Thread waiting = new Thread(device::synchronize);
            try (DeviceStream.Graph graph = device.stream().capture(() -> {
                waiting.start();
                saxpy.launch(device.stream(), Launch.of(1, 1), y, x, 1f, 1);
                while (waiting.getState() != Thread.State.WAITING) {
                    Thread.onSpinWait();
                }
            })) {
                waiting.join();
                graph.launch(device.stream());
                assertArrayEquals(new float[] {1}, Devices.toFloats(y));
            }
        }
    }

    @Test
    void device_isThreadSafe() throws InterruptedException {
        Kernel saxpy = saxpy();
        float[][] results = new float[4][];
        Thread[] threads = new Thread[results.length];
        for (int t = 0; t < threads.length; t++) {
            int index = t;
            threads[t] = new Thread(() -> {
                try (DeviceStream stream = device.newStream();
                        DeviceStorage x = Devices.floats(device, index);
                        DeviceStorage y = Devices.floats(device, 1)) {
                    for (int i = 0; i < 50; i++) {
                        saxpy.launch(stream, Launch.of(1, 1), y, x, 1f, 1);
                    }
                    results[index] = Devices.toFloats(y);
                }
            });
            threads[t].start();
        }
        for (int t = 0; t < threads.length; t++) {
            threads[t].join();
            assertArrayEquals(new float[] {1 + 50 * t}, results[t], "thread " + t);
        }
    }
}
