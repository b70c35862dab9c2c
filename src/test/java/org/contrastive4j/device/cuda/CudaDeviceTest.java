package org.contrastive4j.device.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.contrastive4j.device.DeviceEvent;
import org.contrastive4j.device.DeviceException;
import org.contrastive4j.device.DeviceGraph;
import org.contrastive4j.device.DeviceLostException;
import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.Kernel;
import org.contrastive4j.device.Launch;
import org.contrastive4j.device.LaunchException;
import org.contrastive4j.device.NoDeviceException;
import org.contrastive4j.device.PinnedBuffer;
import org.contrastive4j.device.PtxModule;
import org.contrastive4j.device.parse.PtxException;
import org.contrastive4j.device.parse.Signatures;
import org.contrastive4j.memory.Memory;
import org.contrastive4j.memory.MemoryLeakException;
import org.contrastive4j.memory.OutOfBudgetException;
import org.contrastive4j.support.Devices;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;

/** What a machine without a GPU says, and everything else on one that has it. */
class CudaDeviceTest {
    private static final String PTX = """
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

    @Test
    void withoutAGpuOneSentenceSaysWhatToDo() {
        if (CudaDevice.count() > 0) {
            assertTrue(assertThrows(NoDeviceException.class, () -> CudaDevice.open(CudaDevice.count())).getMessage()
                    .contains("this machine has " + CudaDevice.count()));
            return;
        }
        String message = assertThrows(NoDeviceException.class, () -> CudaDevice.open(0)).getMessage();
        assertNotEquals("cuda", System.getProperty("require"), "-Drequire=cuda, but " + message);
        assertTrue(message.startsWith("no CUDA device: ") && message.contains("; ") && message.lines().count() == 1,
                message);
        assertEquals(message, assertThrows(NoDeviceException.class, () -> CudaDevice.open(1)).getMessage());
        assertThrows(IllegalArgumentException.class, () -> CudaDevice.open(0, 0));
    }

    /**
     * Breaks the device, on a process of its own because the driver does not recover; exits with 0 when all went as
     * it should.
     */
    public static final class Breaks {
        public static void main(String[] arguments) {
            CudaDevice device = CudaDevice.open(0);
            DeviceStorage open = device.allocate(4);
            Kernel saxpy = device.module("saxpy.ptx", PTX).kernel("saxpy");
            saxpy.launch(device.stream(), Launch.of(1, 1), 16L, 16L, 1f, 1);
            DeviceLostException first = assertThrows(DeviceLostException.class, device::synchronize);
            assertTrue(first.getMessage().contains("CUDA_ERROR_ILLEGAL_ADDRESS") && first.getMessage()
                    .contains("kernel saxpy with grid"),
                    first.getMessage());
            for (Runnable later : List.<Runnable>of(device::synchronize, () -> device.allocate(4),
                    () -> Devices.download(open), () -> device.module("x", PTX),
                    () -> saxpy.launch(device.stream(), Launch.of(1, 1), 16L, 16L, 1f, 1))) {
                assertTrue(assertThrows(DeviceLostException.class, later::run).getMessage()
                        .contains("the first error was: "));
            }
            open.close();
            device.close();
        }
    }

    @Nested
    class OnAGpu {
        private CudaDevice device;

        @BeforeEach
        void open() {
            assumeTrue(CudaDevice.count() > 0, "no GPU here");
            device = CudaDevice.open(0, 1 << 28);
        }

        @AfterEach
        void close() {
            if (device != null) {
                device.close();
            }
        }

        private Kernel saxpy() {
            return device.module("saxpy.ptx", PTX).kernel("saxpy");
        }

        @Test
        void factsAreFilledIn() {
            var facts = device.facts();
            assertTrue(!facts.name().isBlank() && facts.architecture() >= 50 && facts.multiprocessors() > 0
                    && facts.memoryBytes() > 1 << 28 && facts.sharedBytesPerBlock() >= 48 << 10
                    && facts.sharedBytesPerMultiprocessor() >= facts.sharedBytesPerBlock()
                    && facts.registersPerMultiprocessor() >= 1 << 15 && facts.threadsPerMultiprocessor() >= 1024
                    && facts.l2Bytes() > 0 && facts.driver().matches("\\d+\\.\\d+"), facts.toString());
        }

        @Test
        void bytesComeBackAsTheyWere() {
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
        void kernelsRunOnEveryRaggedSize() {
            Kernel saxpy = saxpy();
            assertEquals("saxpy", saxpy.name());
            assertEquals(4, saxpy.parameters().size());
            assertTrue(saxpy.attributes().registers() > 0 && saxpy.attributes().maxThreadsPerBlock() > 0);
            assertTrue(saxpy.blocksPerMultiprocessor(128, 0) > 0);
            assertTrue(saxpy.blocksPerMultiprocessor(128, 0) >= saxpy.blocksPerMultiprocessor(128, device.facts()
                    .sharedBytesPerBlock()));
            for (int n : new int[] {1, 31, 32, 33, 103, 127, 128, 129, 1000}) {
                float[] x = new float[n];
                float[] y = new float[n];
                float[] wanted = new float[n];
                for (int i = 0; i < n; i++) {
                    x[i] = i;
                    y[i] = 1f / (i + 1);
                    wanted[i] = Math.fma(x[i], 2.5f, y[i]);
                }
                try (DeviceStorage dx = Devices.floats(device, x); DeviceStorage dy = Devices.floats(device, y)) {
                    Launch launch = Launch.of((n + 127) / 128, 128);
                    saxpy.launch(device.stream(), n % 2 == 0 ? launch : launch.shared(60 << 10), dy, dx, 2.5f, n);
                    assertArrayEquals(wanted, Devices.toFloats(dy), "n " + n);
                }
            }
            device.module("saxpy.ptx", PTX).kernel("nothing").launch(device.stream(), Launch.of(3, 32).together());
            device.synchronize();
        }

        @Test
        void impossibleLaunchesAreRefusedBeforeAnythingRuns() {
            Kernel saxpy = saxpy();
            DeviceStorage y = Devices.floats(device, 1, 2, 3);
            Launch launch = Launch.of(1, 32);
            for (Runnable wrong : List.<Runnable>of(
                    () -> saxpy.launch(device.stream(), launch, y, y, 1f),
                    () -> saxpy.launch(device.stream(), launch, y, y, 1, 3),
                    () -> saxpy.launch(device.stream(), launch, y, null, 1f, 3),
                    () -> saxpy.launch(device.stream(), launch.shared(device.facts().sharedBytesPerBlock() + 1), y, y,
                            1f, 3),
                    () -> saxpy.launch(device.stream(), Launch.of(1 << 30, 1024).together(), y, y, 1f, 3))) {
                assertThrows(LaunchException.class, wrong::run);
            }
            try (CudaDevice second = CudaDevice.open(0); DeviceStorage foreign = second.allocate(12)) {
                assertTrue(assertThrows(LaunchException.class, () -> saxpy.launch(device.stream(), launch, y, foreign,
                        1f, 3))
                        .getMessage().contains("of another device"));
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
        void modulesAreAssembledOnceAndRefusedWithTheirLine() {
            PtxModule module = device.module("saxpy.ptx", PTX);
            assertSame(module, device.module("again.ptx", PTX));
            assertSame(module.kernel("saxpy"), module.kernel("saxpy"));
            assertEquals(List.of("saxpy", "nothing"), module.kernels());
            assertTrue(assertThrows(PtxException.class, () -> module.kernel("sax")).getMessage()
                    .contains("saxpy, nothing"));
            PtxException bad = assertThrows(PtxException.class, () -> device.module("bad.ptx",
                    PTX.replace("mov.u32 i", "mov.u33 i")));
            assertEquals("bad.ptx", bad.file());
            assertEquals(Signatures.line(PTX, PTX.indexOf("mov.u32 i")), bad.line(), bad.getMessage());
            assertTrue(assertThrows(PtxException.class, () -> device.module("new.ptx", PTX.replace("7.0", "99.0")))
                    .getMessage()
                    .contains("99.0"));
            assertThrows(PtxException.class, () -> device.module("empty.ptx", ""));
        }

        @Test
        void viewsStayInsideAndEndWithTheirStorage() {
            DeviceStorage storage = Devices.ints(device, 1, 2, 3, 4, 5);
            DeviceStorage view = storage.view(4, 12).view(4, 8);
            assertEquals(storage.address() + 8, view.address());
            assertArrayEquals(new int[] {3, 4}, Devices.toInts(view));
            for (long[] wrong : new long[][] {{-1, 1}, {0, 21}, {21, 0}, {4, -1}, {Long.MAX_VALUE, 1}, {1,
                    Long.MAX_VALUE}}) {
                assertThrows(IndexOutOfBoundsException.class, () -> storage.view(wrong[0], wrong[1]),
                        Arrays.toString(wrong));
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
        void bytesAreCountedAndBlocksKept() {
            long address;
            try (Memory.Meter meter = device.meter(); DeviceStorage first = device.allocate(1000)) {
                address = first.address();
                device.allocate(24).close();
                assertEquals(1000, device.currentBytes());
                assertEquals(1024, device.peakBytes());
                assertEquals(1024, meter.peakBytes());
            }
            assertEquals(1024 + 256, device.pooledBytes());
            try (DeviceStreamAndStorage other = new DeviceStreamAndStorage(device, 1000)) {
                assertNotEquals(address, other.storage.address(),
                        "a block that another stream may still use was given away");
            }
            device.synchronize();
            try (DeviceStorage again = device.allocate(900)) {
                assertEquals(1024 + 256, device.pooledBytes());
                assertNotEquals(0, again.address());
            }
            device.trim();
            assertEquals(0, device.pooledBytes());
            device.resetPeak();
            assertEquals(0, device.peakBytes());
            assertThrows(IllegalArgumentException.class, () -> device.allocate(-1));
        }

        private record DeviceStreamAndStorage(DeviceStream stream, DeviceStorage storage) implements AutoCloseable {
            DeviceStreamAndStorage(CudaDevice device, long bytes) {
                this(device.newStream(), bytes, device);
            }

            private DeviceStreamAndStorage(DeviceStream stream, long bytes, CudaDevice device) {
                this(stream, device.allocate(bytes, stream));
            }

            @Override
            public void close() {
                storage.close();
                stream.close();
            }
        }

        @Test
        void tooMuchIsRefused() {
            OutOfBudgetException budget = assertThrows(OutOfBudgetException.class, () -> device.allocate((1 << 28)
                    + 1));
            assertEquals(1 << 28, budget.limit());
            try (CudaDevice unlimited = CudaDevice.open(0)) {
                for (long bytes : new long[] {2 * unlimited.facts().memoryBytes(), Long.MAX_VALUE}) {
                    assertTrue(assertThrows(OutOfBudgetException.class, () -> unlimited.allocate(bytes)).getMessage()
                            .contains("bytes left"));
                }
                unlimited.allocate(1024).close();
            }
        }

        @Test
        void leaksAreReported() {
            CudaDevice leaky = CudaDevice.open(0);
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
                CudaDevice traced = CudaDevice.open(0);
                traced.allocate(24);
                Throwable origin = assertThrows(MemoryLeakException.class, traced::close).getSuppressed()[0];
                assertTrue(Arrays.stream(origin.getStackTrace()).anyMatch(line -> line.getMethodName()
                        .equals("leaksAreReported")));
            } finally {
                System.clearProperty("contrastive4j.traceLeaks");
            }
        }

        @Test
        void streamsEventsAndPinnedBytes() {
            try (PinnedBuffer pinned = device.pinned(64); DeviceStorage a = device.allocate(64);
                    DeviceStorage b = device.allocate(64); DeviceStream other = device.newStream()) {
                for (int i = 0; i < 64; i++) {
                    pinned.bytes().put(i, (byte) i);
                }
                DeviceStream stream = device.stream();
                DeviceEvent begin = stream.record();
                stream.fill(a, (byte) 9);
                stream.upload(pinned, 4, a, 8, 16);
                DeviceEvent written = stream.record();
                other.await(written);
                other.copy(a, 0, b, 32, 32);
                other.download(b, 32, pinned, 0, 32);
                DeviceEvent end = other.record();
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
                stream.close();
                stream.fill(a, (byte) 0); // the device's own stream stays
                pinned.close();
                assertThrows(IllegalStateException.class, pinned::bytes);
                assertThrows(IllegalArgumentException.class, () -> device.pinned(1L << 31));
            }
        }

        @Test
        void aGraphDoesTheSameAgain() {
            Kernel saxpy = saxpy();
            try (DeviceStorage x = Devices.floats(device, 1, 2, 3); DeviceStorage y = Devices.floats(device, 0, 0, 0);
                    DeviceGraph graph = device.stream().capture(() -> {
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
        void whatCannotBeRecordedIsRefusedAndTheStreamGoesOn() {
            DeviceStream stream = device.stream();
            try (DeviceStorage storage = Devices.ints(device, 1)) {
                IllegalArgumentException own = new IllegalArgumentException("of the work");
                assertSame(own, assertThrows(IllegalArgumentException.class, () -> stream.capture(() -> {
                    stream.fill(storage, (byte) 1);
                    throw own;
                })));
                for (Runnable wrong : List.<Runnable>of(device::synchronize, stream::synchronize, () ->
                        device.allocate(1 << 20),
                        () -> Devices.download(storage), () -> device.pinned(4), () -> stream.capture(() -> {}))) {
                    assertThrows(DeviceException.class, () -> stream.capture(wrong));
                    assertArrayEquals(new int[] {1}, Devices.toInts(storage));
                }
            }
        }

        @Test
        void whoWaitsForTheDeviceDoesNotSpoilARecording() throws InterruptedException {
            Kernel saxpy = saxpy();
            try (DeviceStorage x = Devices.floats(device, 1); DeviceStorage y = Devices.floats(device, 0)) {
                Thread waiting = new Thread(device::synchronize);
                try (DeviceGraph graph = device.stream().capture(() -> {
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
        void everyThreadMayUseTheDevice() throws InterruptedException {
            Kernel saxpy = saxpy();
            float[][] results = new float[4][];
            Thread[] threads = new Thread[results.length];
            for (int t = 0; t < threads.length; t++) {
                int index = t;
                threads[t] = new Thread(() -> {
                    try (DeviceStream stream = device.newStream(); DeviceStorage x = Devices.floats(device, index);
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

        @Test
        void afterAnErrorThatStaysEverythingSaysSo() throws Exception {
            Process broken = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "-cp",
                    System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                            Breaks.class.getName())
                    .redirectErrorStream(true).start();
            String output = new String(broken.getInputStream().readAllBytes());
            assertTrue(broken.waitFor(60, TimeUnit.SECONDS), output);
            assertEquals(0, broken.exitValue(), output);
            assertFalse(output.contains("Exception"), output);
        }
    }
}
