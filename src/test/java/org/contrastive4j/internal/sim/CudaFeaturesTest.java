package org.contrastive4j.internal.sim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.device.PtxModule.PtxException;
import org.contrastive4j.internal.sim.exec.Fault;
import org.contrastive4j.support.Devices;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Features of CUDA in programs that nvcc compiled, with all checks on. */
final class CudaFeaturesTest {
    private static int[] values(int count, IntUnaryOperator f) {
        return IntStream.range(0, count).map(f).toArray();
    }

    @Test
    void link_declarationsOfOneFile_areDefinedByAnother() {
        List<String> printed = new ArrayList<>();
        try (SimDevice device = SimDevice.open(SimOptions.defaults());
                DeviceStorage out = Devices.ints(device, new int[4])) {
            device.onPrint(printed::add);
            PtxModule module =
                    device.link(List.of(CudaProgram.source("link_main"), CudaProgram.source("link_library")));
            module.kernel("linked").launch(device.stream(), Launch.of(1, 4), out);
            assertArrayEquals(values(4, i -> 3 * (i + 1) + 100), Devices.toInts(out));
        }
        assertEquals(List.of("library 1\n", "main 1\n"), printed);
    }

    @Test
    void module_declarationThatNoFileDefines_namesTheFunction() {
        try (SimDevice device = SimDevice.open(SimOptions.defaults())) {
            String message = assertThrows(
                            PtxException.class, () -> device.module("main.ptx", CudaProgram.text("link_main")))
                    .getMessage();
            assertTrue(message.contains("link the file that defines it") || message.contains("external"), message);
        }
    }

    @Test
    void link_sameVisibleNameTwice_isRefused() {
        try (SimDevice device = SimDevice.open(SimOptions.defaults())) {
            SimDevice.Source library = CudaProgram.source("link_library");
            SimDevice.Source again = new SimDevice.Source("again.ptx", library.ptx());
            String message = assertThrows(PtxException.class, () -> device.link(List.of(library, again)))
                    .getMessage();
            assertTrue(message.contains("is defined in link_library.ptx too"), message);
        }
    }

    private static int[] dynamicArray(int beyond) {
        try (SimDevice device = SimDevice.open(SimOptions.defaults());
                DeviceStorage out = Devices.ints(device, new int[32])) {
            device.module("alloca.ptx", CudaProgram.text("alloca"))
                    .kernel("dynamicarray")
                    .launch(device.stream(), Launch.of(1, 32), out, beyond);
            return Devices.toInts(out);
        }
    }

    @Test
    void alloca_arraysOfEveryThread_haveTheirOwnSize() {
        int[] expected =
                values(32, i -> IntStream.range(0, i + 1).map(k -> k + i + 1).sum());
        assertArrayEquals(expected, dynamicArray(0));
    }

    @Test
    void alloca_readBehindTheEnd_isOutOfBounds() {
        Fault fault = assertThrows(Fault.class, () -> dynamicArray(1));
        assertEquals(Fault.Kind.OUT_OF_BOUNDS, fault.kind(), fault.getMessage());
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 1, 2, 3, 4})
    void gridSync_ofACooperativeLaunch_ordersAllBlocks(long seed) {
        try (SimDevice device = SimDevice.open(SimOptions.defaults().withSeed(seed));
                DeviceStorage buffer = Devices.ints(device, new int[3 * 64]);
                DeviceStorage out = Devices.ints(device, new int[3 * 64])) {
            device.module("gridsync.ptx", CudaProgram.text("gridsync"))
                    .kernel("gridsync")
                    .launch(device.stream(), Launch.of(3, 64).asCooperative(), buffer, out);
            assertArrayEquals(values(192, i -> (i + 64) % 192 + 2), Devices.toInts(out));
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 1, 2, 3, 4})
    void tileOfTwoWarps_synchronisesThroughReservedSharedMemory(long seed) {
        try (SimDevice device = SimDevice.open(SimOptions.defaults().withSeed(seed));
                DeviceStorage out = Devices.ints(device, new int[128])) {
            device.module("tile64.ptx", CudaProgram.text("tile64"))
                    .kernel("tile64")
                    .launch(device.stream(), Launch.of(1, 128), out);
            assertArrayEquals(values(128, i -> (i ^ 32) + 64), Devices.toInts(out));
        }
    }

    @Test
    void launch_inClusters_blocksReadTheSharedMemoryOfTheOthers() {
        try (SimDevice device = SimDevice.open(SimOptions.defaults());
                DeviceStorage out = Devices.ints(device, new int[8])) {
            PtxModule module = device.module("clusterlaunch.ptx", CudaProgram.text("clusterlaunch"));
            Launch launch = Launch.of(8, 32).inClusters(new Launch.Dim(4, 1, 1));
            module.kernel("clusterlaunch").launch(device.stream(), launch, out);
            assertArrayEquals(values(8, i -> i < 4 ? 1004 : 2604), Devices.toInts(out));
            Launch odd = Launch.of(8, 32).inClusters(new Launch.Dim(3, 1, 1));
            assertThrows(
                    LaunchException.class, () -> module.kernel("clusterlaunch").launch(device.stream(), odd, out));
        }
    }

    @Test
    void vectorRegisters_areReadByElementAndAsAWhole() {
        float[] in = new float[4 * 32];
        float[] expected = new float[32];
        for (int i = 0; i < 32; i++) {
            for (int k = 0; k < 4; k++) {
                in[4 * i + k] = i + 10 * k;
            }
            expected[i] = in[4 * i] + in[4 * i + 1] + in[4 * i + 2] * in[4 * i + 3];
        }
        try (SimDevice device = SimDevice.open(SimOptions.defaults());
                DeviceStorage from = Devices.floats(device, in);
                DeviceStorage out = Devices.floats(device, new float[32])) {
            device.module("vectors.ptx", CudaProgram.text("vectors"))
                    .kernel("vectors")
                    .launch(device.stream(), Launch.of(1, 32), from, out);
            assertArrayEquals(expected, Devices.toFloats(out));
        }
    }

    private static int[] runtime(List<String> printed, int limit) {
        try (SimDevice device = SimDevice.open(SimOptions.defaults());
                DeviceStorage out = Devices.ints(device, new int[8])) {
            device.onPrint(printed::add);
            device.module("runtime.ptx", CudaProgram.text("runtime"))
                    .kernel("runtime")
                    .launch(device.stream(), Launch.of(1, 8), out, limit);
            return Devices.toInts(out);
        }
    }

    @Test
    void runtimeFunctions_ofCompiledCode_printAllocateAndCallThroughPointers() {
        List<String> printed = new ArrayList<>();
        assertArrayEquals(values(8, i -> i % 2 == 0 ? i + 3 : 3 * i), runtime(printed, 8));
        assertEquals(List.of("thread 0: 3 0.5 even\n", "thread 1: 3 1.5 odd\n"), printed);
    }

    @Test
    void assertion_ofCompiledCode_isAFaultWithItsTextAndSourceLine() {
        String message =
                assertThrows(Fault.class, () -> runtime(new ArrayList<>(), 7)).getMessage();
        assertTrue(message.contains("i < limit") && message.contains("runtime.cu"), message);
        assertTrue(message.contains("thread (7, 0, 0)"), message);
    }

    @Test
    void textures_refuseTheirEntryOnly() {
        try (SimDevice device = SimDevice.open(SimOptions.defaults());
                DeviceStorage out = Devices.floats(device, new float[2])) {
            PtxModule module = device.module("texture.ptx", CudaProgram.text("texture"));
            module.kernel("plain").launch(device.stream(), Launch.of(1, 2), out);
            assertArrayEquals(new float[] {0, 1}, Devices.toFloats(out));
            String message = assertThrows(PtxException.class, () -> module.kernel("textured"))
                    .getMessage();
            assertTrue(message.contains("entry textured uses textures or surfaces"), message);
        }
    }
}
