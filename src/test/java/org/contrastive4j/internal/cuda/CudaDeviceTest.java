package org.contrastive4j.internal.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.contrastive4j.device.DeviceContract;
import org.contrastive4j.device.DeviceException.DeviceLostException;
import org.contrastive4j.device.DeviceException.NoDeviceException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule;
import org.contrastive4j.device.PtxModule.Kernel;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.device.PtxModule.PtxException;
import org.contrastive4j.internal.parse.Signatures;
import org.contrastive4j.memory.Memory;
import org.contrastive4j.memory.Memory.OutOfBudgetException;
import org.contrastive4j.support.Devices;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;

/** What a machine without a GPU says, and everything else on one that has it. */
class CudaDeviceTest {
    @Test
    void open_withoutGpu_saysWhatToDo() {
        if (CudaDevice.count() > 0) {
            assertTrue(assertThrows(NoDeviceException.class, () -> CudaDevice.open(CudaDevice.count()))
                    .getMessage()
                    .contains("this machine has " + CudaDevice.count()));
            return;
        }
        String message =
                assertThrows(NoDeviceException.class, () -> CudaDevice.open(0)).getMessage();
        assertNotEquals("cuda", System.getProperty("require"), "-Drequire=cuda, but " + message);
        assertTrue(
                message.startsWith(JCudaPlatform.supported() ? "no CUDA device: " : "no CUDA on this platform")
                        && message.contains("; ")
                        && message.lines().count() == 1,
                message);
        assertEquals(
                message,
                assertThrows(NoDeviceException.class, () -> CudaDevice.open(1)).getMessage());
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
            Kernel saxpy = device.module("saxpy.ptx", DeviceContract.PTX).kernel("saxpy");
            saxpy.launch(device.stream(), Launch.of(1, 1), 16L, 16L, 1f, 1);
            DeviceLostException first = assertThrows(DeviceLostException.class, device::synchronize);
            assertTrue(
                    first.getMessage().contains("CUDA_ERROR_ILLEGAL_ADDRESS")
                            && first.getMessage().contains("kernel saxpy with grid"),
                    first.getMessage());
            for (Runnable later : List.<Runnable>of(
                    device::synchronize,
                    () -> device.allocate(4),
                    () -> Devices.download(open),
                    () -> device.module("x", DeviceContract.PTX),
                    () -> saxpy.launch(device.stream(), Launch.of(1, 1), 16L, 16L, 1f, 1))) {
                assertTrue(assertThrows(DeviceLostException.class, later::run)
                        .getMessage()
                        .contains("the first error was: "));
            }
            open.close();
            device.close();
        }
    }

    @Nested
    class OnAGpu extends DeviceContract<CudaDevice> {
        @Override
        protected CudaDevice open() {
            assumeTrue(CudaDevice.count() > 0, "no GPU here");
            return CudaDevice.open(0, 1 << 28);
        }

        @Test
        void facts_areFilledIn() {
            var facts = device.facts();
            assertTrue(
                    !facts.name().isBlank()
                            && facts.architecture() >= 50
                            && facts.multiprocessors() > 0
                            && facts.memoryBytes() > 1 << 28
                            && facts.sharedBytesPerBlock() >= 48 << 10
                            && facts.sharedBytesPerMultiprocessor() >= facts.sharedBytesPerBlock()
                            && facts.registersPerMultiprocessor() >= 1 << 15
                            && facts.threadsPerMultiprocessor() >= 1024
                            && facts.l2Bytes() > 0
                            && facts.driver().matches("\\d+\\.\\d+"),
                    facts.toString());
        }

        @Test
        void module_isAssembledOnceAndErrorsNameTheirLine() {
            PtxModule module = device.module("saxpy.ptx", PTX);
            assertSame(module, device.module("again.ptx", PTX));
            assertSame(module.kernel("saxpy"), module.kernel("saxpy"));
            assertEquals(List.of("saxpy", "nothing"), module.kernels());
            assertTrue(assertThrows(PtxException.class, () -> module.kernel("sax"))
                    .getMessage()
                    .contains("saxpy, nothing"));
            PtxException bad = assertThrows(
                    PtxException.class, () -> device.module("bad.ptx", PTX.replace("mov.u32 i", "mov.u33 i")));
            assertEquals("bad.ptx", bad.file());
            assertEquals(Signatures.line(PTX, PTX.indexOf("mov.u32 i")), bad.line(), bad.getMessage());
            assertTrue(assertThrows(PtxException.class, () -> device.module("new.ptx", PTX.replace("7.0", "99.0")))
                    .getMessage()
                    .contains("99.0"));
            assertThrows(PtxException.class, () -> device.module("empty.ptx", ""));
        }

        @Test
        void allocate_countsBytesAndReusesBlocks() {
            long address;
            try (Memory.Meter meter = device.meter();
                    DeviceStorage first = device.allocate(1000)) {
                address = first.address();
                device.allocate(24).close();
                assertEquals(1000, device.currentBytes());
                assertEquals(1024, device.peakBytes());
                assertEquals(1024, meter.peakBytes());
            }
            assertEquals(1024 + 256, device.pooledBytes());
            try (DeviceStreamAndStorage other = new DeviceStreamAndStorage(device, 1000)) {
                assertNotEquals(
                        address, other.storage.address(), "a block that another stream may still use was given away");
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
        void allocate_tooMuch_isRefused() {
            OutOfBudgetException budget =
                    assertThrows(OutOfBudgetException.class, () -> device.allocate((1 << 28) + 1));
            assertEquals(1 << 28, budget.limit());
            try (CudaDevice unlimited = CudaDevice.open(0)) {
                for (long bytes : new long[] {2 * unlimited.facts().memoryBytes(), Long.MAX_VALUE}) {
                    assertTrue(assertThrows(OutOfBudgetException.class, () -> unlimited.allocate(bytes))
                            .getMessage()
                            .contains("bytes left"));
                }
                unlimited.allocate(1024).close();
            }
        }

        @Test
        void use_afterAStickyError_reportsIt() throws Exception {
            Process broken = new ProcessBuilder(
                            Path.of(System.getProperty("java.home"), "bin", "java")
                                    .toString(),
                            "-cp",
                            System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                            Breaks.class.getName())
                    .redirectErrorStream(true)
                    .start();
            String output = new String(broken.getInputStream().readAllBytes());
            assertTrue(broken.waitFor(60, TimeUnit.SECONDS), output);
            assertEquals(0, broken.exitValue(), output);
            assertFalse(output.contains("Exception"), output);
        }
    }
}
