package org.contrastive4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import jcuda.driver.CUstream;
import jcuda.runtime.cudaStream_t;
import org.contrastive4j.device.DeviceException;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.cuda.CudaDevice;
import org.junit.jupiter.api.Test;

/** Streams and contexts of other code; without a GPU, what is said about it. */
class CudaTest {
    @Test
    void handle_ofAnAddress_isTheStreamOfThatAddress() {
        assertTrue(
                Cuda.handle(0xABCDEF0L).toString().toLowerCase().contains("abcdef0"),
                Cuda.handle(0xABCDEF0L).toString());
        assertEquals(new CUstream(), Cuda.handle(0));
        assertEquals(Cuda.handle(16), new CUstream(new cudaStream_t(Cuda.handle(16))));
    }

    @Test
    void stream_ofTheSimulator_isRefused() {
        try (PtxDevice device = Backend.device("sim")) {
            DeviceException refusal = assertThrows(DeviceException.class, () -> Cuda.stream(device, 0L));
            assertTrue(refusal.getMessage().contains("expected a GPU, got PTX simulator"), refusal.getMessage());
        }
    }

    @Test
    void currentContext_withoutOne_saysWhatToDo() {
        DeviceException refusal = assertThrows(DeviceException.class, Cuda::currentContext);
        String expected = CudaDevice.count() == 0 ? "no CUDA" : "open the device by name";
        assertTrue(refusal.getMessage().contains(expected), refusal.getMessage());
    }
}
