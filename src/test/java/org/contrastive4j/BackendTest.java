package org.contrastive4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import org.contrastive4j.device.DeviceException.NoDeviceException;
import org.contrastive4j.device.DeviceException.UnsupportedDeviceException;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.ptx.Kernels;
import org.contrastive4j.internal.ptx.PtxOps;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Which backend is chosen, and which devices are refused. */
class BackendTest {
    private static PtxDevice.Facts gpu(int architecture) {
        return new PtxDevice.Facts("GPU of a test", architecture, 1, 1, 1, 1, 1, 1, 1, "12.6");
    }

    @ParameterizedTest
    @ValueSource(ints = {80, 86, 89, 90, 100})
    void auto_gpuPresent_isCuda(int architecture) {
        Backend.Choice choice = Backend.auto(() -> gpu(architecture));
        assertEquals("cuda", choice.name());
        assertTrue(
                choice.reason().contains("GPU of a test") && choice.reason().contains("sm_" + architecture),
                choice.reason());
    }

    @ParameterizedTest
    @ValueSource(ints = {35, 70, 75})
    void auto_oldGpu_isCpuAndLogsTheReason(int architecture) {
        Backend.Choice choice = Backend.auto(() -> gpu(architecture));
        assertEquals("cpu", choice.name());
        assertTrue(
                choice.reason().contains("capability " + architecture / 10 + "." + architecture % 10), choice.reason());
    }

    @Test
    void auto_withoutGpu_isCpuAndStatesTheReason() {
        Backend.Choice choice = Backend.auto(() -> {
            throw new NoDeviceException("no CUDA device: a reason");
        });
        assertEquals(new Backend.Choice("cpu", "no CUDA device: a reason"), choice);
    }

    /** Nothing is loaded on a device that kernels are not for. */
    @Test
    void open_deviceBelowCapability8_isRefusedBeforeLoading() {
        try (PtxDevice device = Backend.device("sim")) {
            PtxDevice old = (PtxDevice) Proxy.newProxyInstance(
                    PtxDevice.class.getClassLoader(), new Class<?>[] {PtxDevice.class}, (self, method, arguments) -> {
                        if (method.getName().equals("facts")) {
                            return gpu(75);
                        }
                        if (method.getName().equals("module")) {
                            throw new AssertionError("a module is loaded on an old device");
                        }
                        try {
                            return method.invoke(device, arguments);
                        } catch (InvocationTargetException e) {
                            throw e.getCause();
                        }
                    });
            for (Runnable opening : new Runnable[] {() -> new PtxOps("old", old), () -> new Kernels(old)}) {
                String message = assertThrows(UnsupportedDeviceException.class, opening::run)
                        .getMessage();
                assertTrue(message.contains("7.5") && message.contains("8.0"), message);
            }
        }
    }

    @Test
    void open_closedDevice_isRefusedBeforeLoading() {
        Ops ops = Backend.open("sim");
        Tensor tensor = ops.zeros(Shape.of(3));
        tensor.close();
        ops.close();
        assertThrows(IllegalStateException.class, () -> ops.allocate(3));
        assertThrows(IllegalStateException.class, () -> ops.pointwise().fill(tensor, 1));
        assertThrows(IllegalStateException.class, () -> ops.update().firstNonFinite(tensor));
        ops.close();
    }
}
