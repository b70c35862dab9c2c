package org.contrastive4j.internal.sim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.internal.parse.Type;
import org.contrastive4j.internal.sim.exec.Fault;
import org.contrastive4j.internal.sim.exec.TensorMap;
import org.contrastive4j.support.Devices;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tensor copies of a program that nvcc compiled, with maps that the simulator encodes, against plain Java. */
final class TensorCopyTest {
    private static final int FILL = -1;

    /** What a copy to shared memory and back has left. */
    private record Result(byte[] box, int[] copy) {
        int word(int at) {
            return box[4 * at] & 0xFF
                    | (box[4 * at + 1] & 0xFF) << 8
                    | (box[4 * at + 2] & 0xFF) << 16
                    | box[4 * at + 3] << 24;
        }
    }

    private interface Maps {
        TensorMap of(long address);
    }

    /** Copies one box of a tensor of 32-bit elements and writes it to the same place of another tensor. */
    private static Result copy(int[] tensor, Maps maps, int boxWords, long seed, int... at) {
        int bytes = 4 * boxWords;
        try (SimDevice device = SimDevice.open(SimOptions.defaults().withSeed(seed));
                DeviceStorage from = Devices.ints(device, tensor);
                DeviceStorage to = Devices.ints(device, new int[tensor.length]);
                DeviceStorage coordinates = Devices.ints(device, at);
                DeviceStorage out = Devices.ints(device, new int[boxWords])) {
            device.module("tensorcopy.ptx", CudaProgram.text("tensorcopy"))
                    .kernel("copy" + at.length + "d")
                    .launch(
                            device.stream(),
                            Launch.of(1, 64).shared(bytes),
                            maps.of(from.address()).encode(),
                            maps.of(to.address()).encode(),
                            coordinates,
                            out,
                            bytes);
            byte[] box = new byte[bytes];
            Devices.download(out).get(box);
            return new Result(box, Devices.toInts(to));
        }
    }

    private static int[] numbered(int count) {
        return IntStream.rangeClosed(1, count).toArray();
    }

    private static int product(List<Integer> sizes) {
        return sizes.stream().reduce(1, (a, b) -> a * b);
    }

    /** Boxes that lie across the lower and the upper end of every dimension. */
    @ParameterizedTest
    @CsvSource({
        "1,0", "1,-2", "1,18", "2,0", "2,-1", "2,3", "3,0", "3,-1", "3,2", "4,0", "4,-1", "4,1", "5,0", "5,-1", "5,1"
    })
    void copy_ofABox_readsTheTensorAndFillsOutsideItWithZeros(int rank, int start) {
        List<Integer> sizes = List.of(20, 5, 4, 3, 2).subList(0, rank);
        List<Integer> box = List.of(4, 3, 2, 2, 2).subList(0, rank);
        int[] tensor = numbered(product(sizes));
        List<Long> longSizes = sizes.stream().map(Integer::longValue).toList();
        int[] at = IntStream.range(0, rank).map(d -> start).toArray();
        for (long seed = 0; seed < 3; seed++) {
            Result result =
                    copy(tensor, address -> TensorMap.dense(Type.S32, address, longSizes, box), product(box), seed, at);
            int[] expectedCopy = new int[tensor.length];
            for (int i = 0; i < product(box); i++) {
                int index = index(i, sizes, box, at);
                assertEquals(index < 0 ? 0 : tensor[index], result.word(i), "element " + i + " of the box");
                if (index >= 0) {
                    expectedCopy[index] = tensor[index];
                }
            }
            assertArrayEquals(expectedCopy, result.copy);
        }
    }

    /** Returns where an element of the box lies in the tensor; -1 outside it. */
    private static int index(int element, List<Integer> sizes, List<Integer> box, int[] at) {
        int rest = element;
        int index = 0;
        int stride = 1;
        for (int d = 0; d < sizes.size(); d++) {
            int coordinate = at[d] + rest % box.get(d);
            rest /= box.get(d);
            if (coordinate < 0 || coordinate >= sizes.get(d)) {
                return FILL;
            }
            index += coordinate * stride;
            stride *= sizes.get(d);
        }
        return index;
    }

    @ParameterizedTest
    @EnumSource(TensorMap.Swizzle.class)
    void swizzle_exchangesChunksOfSixteenBytesWithinItsSpan(TensorMap.Swizzle swizzle) {
        int span = swizzle == TensorMap.Swizzle.NONE
                ? 128
                : Integer.parseInt(swizzle.name().substring(6));
        int width = span / 4;
        int[] tensor = numbered(width * 16);
        Result result = copy(
                tensor,
                address -> TensorMap.dense(Type.S32, address, List.of((long) width, 16L), List.of(width, 16))
                        .withSwizzle(swizzle),
                width * 16,
                0,
                0,
                0);
        int mask = swizzle == TensorMap.Swizzle.NONE ? 0 : span / 16 - 1;
        for (int i = 0; i < tensor.length; i++) {
            int offset = 4 * i;
            int expected = offset ^ (offset / 128 & mask) * 16;
            assertEquals(tensor[i], result.word(expected / 4), "element " + i);
        }
        assertArrayEquals(tensor, result.copy);
    }

    @Test
    void fill_withNaN_isNaNOutsideTheTensor() {
        Result result = copy(
                numbered(8),
                address -> TensorMap.dense(Type.F32, address, List.of(8L), List.of(8))
                        .withNanFill(),
                8,
                0,
                4);
        assertEquals(5, result.word(0));
        assertTrue(Float.isNaN(Float.intBitsToFloat(result.word(4))));
    }

    @Test
    void elementStrides_copyEverySecondElement() {
        Result result = copy(
                numbered(64),
                address -> new TensorMap(
                        Type.S32,
                        address,
                        List.of(8L, 8L),
                        List.of(32L),
                        List.of(8, 4),
                        List.of(2, 1),
                        TensorMap.Swizzle.NONE,
                        false),
                16,
                0,
                0,
                1);
        for (int i = 0; i < 16; i++) {
            assertEquals(9 + i / 4 * 8 + 2 * (i % 4), result.word(i));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 64})
    void parameter_thatIsNoMap_isAFault(int ones) {
        byte[] bytes = new byte[TensorMap.BYTES];
        Arrays.fill(bytes, 0, ones, (byte) 1);
        try (SimDevice device = SimDevice.open(SimOptions.defaults());
                DeviceStorage out = Devices.ints(device, new int[16])) {
            Fault fault = assertThrows(
                    Fault.class,
                    () -> device.module("tensorcopy.ptx", CudaProgram.text("tensorcopy"))
                            .kernel("copy1d")
                            .launch(device.stream(), Launch.of(1, 32).shared(64), bytes, bytes, out, out, 64));
            assertTrue(fault.getMessage().contains("not a tensor map"), fault.getMessage());
        }
    }

    @Test
    void map_thatADriverWouldRefuse_isRefusedWithTheReason() {
        List<String> messages = List.of(
                message(() -> TensorMap.dense(Type.F32, 8, List.of(8L), List.of(8))),
                message(() -> TensorMap.dense(Type.F32, 0, List.of(8L), List.of(3))),
                message(() -> TensorMap.dense(Type.F32, 0, List.of(8L), List.of(260))),
                message(() -> TensorMap.dense(Type.F32, 0, List.of(3L, 8L), List.of(4, 4))),
                message(() -> TensorMap.dense(Type.F32, 0, List.of(64L), List.of(64))
                        .withSwizzle(TensorMap.Swizzle.BYTES_128)),
                message(() ->
                        TensorMap.dense(Type.S32, 0, List.of(8L), List.of(4)).withNanFill()));
        List<String> expected = List.of(
                "multiple of 16",
                "12 bytes",
                "1 to 256",
                "stride 12",
                "at most 128 of the swizzle",
                "NaN as the value");
        for (int i = 0; i < expected.size(); i++) {
            assertTrue(messages.get(i).contains(expected.get(i)), messages.get(i));
        }
    }

    private static String message(Runnable work) {
        return assertThrows(IllegalArgumentException.class, work::run).getMessage();
    }
}
