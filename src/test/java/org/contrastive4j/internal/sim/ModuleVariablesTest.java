package org.contrastive4j.internal.sim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.device.PtxModule.PtxException;
import org.contrastive4j.support.Devices;
import org.junit.jupiter.api.Test;

/** Variables of a module from Java: constants that a kernel reads, counters that it writes. */
final class ModuleVariablesTest {
    private static byte[] scale() {
        return ByteBuffer.allocate(24)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putFloat(3)
                .putInt(1)
                .putShort((short) 2)
                .putDouble(16, 0.5)
                .array();
    }

    @Test
    void variable_writtenBeforeAndReadAfterALaunch_isThatOfTheKernel() {
        try (SimDevice device = SimDevice.open(SimOptions.defaults());
                DeviceStorage in = Devices.floats(device, 1, 1, 1, 1);
                DeviceStorage out = Devices.floats(device, new float[4])) {
            PtxModule module = device.module("module.ptx", CudaProgram.text("module"));
            ByteBuffer weights = ByteBuffer.allocateDirect(16).order(ByteOrder.LITTLE_ENDIAN);
            weights.putFloat(1).putFloat(2).putFloat(3).putFloat(4).flip();
            module.variable("weights").upload(0, weights);
            for (int launch = 1; launch <= 2; launch++) {
                module.kernel("module").launch(device.stream(), Launch.of(1, 4), in, out, scale(), 4);
            }
            assertArrayEquals(new float[] {5, 8, 11, 14}, Devices.toFloats(out));
            assertArrayEquals(new int[] {7}, Devices.toInts(module.variable("launches")));
            assertEquals(16, module.variable("weights").bytes());
        }
    }

    @Test
    void variable_thatIsNotThere_isNamedWithThoseThatAre() {
        try (SimDevice device = SimDevice.open(SimOptions.defaults())) {
            PtxModule module = device.module("module.ptx", CudaProgram.text("module"));
            String message = assertThrows(PtxException.class, () -> module.variable("bias"))
                    .getMessage();
            assertTrue(message.contains("no variable bias") && message.contains("weights"), message);
        }
    }
}
