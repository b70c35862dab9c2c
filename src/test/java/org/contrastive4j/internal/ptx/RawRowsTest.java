package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.ByteBuffer;
import java.util.List;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.ptx.KernelMutation.Change;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.kernels.FusedLoss.Rows;
import org.contrastive4j.support.Devices;
import org.contrastive4j.tensor.DType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Rows of a stride become contiguous f32 rows and come back unchanged, and nothing between them is touched. */
class RawRowsTest {
    private static final int COUNT = 7;

    static List<Change> changes() {
        return List.of(
                new Change("read_rows", "mul.wide.u32 %xStart, %row, %stride", 0, "mul.wide.u32 %xStart, %row, %d"),
                new Change("read_rows_bf16", "and.b32 %v1, %two0, 0xFFFF0000", 0, "and.b32 %v1, %two1, 0xFFFF0000"),
                new Change("read_rows_f16", "add.u64 %y, %y, 512", 0, "add.u64 %y, %y, 256"),
                new Change("write_rows", "mul.wide.u32 %yStart, %row, %stride", 0, "mul.wide.u32 %yStart, %row, %d"),
                new Change(
                        "write_rows_bf16", "cvt.rn.bf16x2.f32 %two1, %v3, %v2", 0, "cvt.rn.bf16x2.f32 %two1, %v2, %v3"),
                new Change("write_rows_f16", "add.u64 %y, %y, 64", 0, "add.u64 %y, %y, 128"));
    }

    private static void check(PtxDevice device, Kernels kernels) {
        RawRows raw = new RawRows(kernels);
        for (DType type : new DType[] {DType.F32, DType.BF16, DType.F16}) {
            for (int[] shape : new int[][] {{1, 1}, {40, 43}, {136, 140}, {600, 600}}) {
                check(device, raw, type, shape[0], shape[1]);
            }
        }
    }

    private static void check(PtxDevice device, RawRows raw, DType type, int width, int stride) {
        int size = type.bytes();
        String what = type + ", width " + width + ", stride " + stride;
        try (DeviceStorage in = device.allocate((long) COUNT * stride * size);
                DeviceStorage contiguous = device.allocate(4L * COUNT * width);
                DeviceStorage out = device.allocate(in.bytes())) {
            ByteBuffer bytes = Devices.download(out).clear();
            for (int i = 0; i < COUNT * stride; i++) {
                float value =
                        i % stride < width ? (i * 37 % 255 - 127) * 0.125f : Float.NaN; // 7 bits: exact in all types
                put(bytes, i * size, value, type);
            }
            in.upload(0, bytes.rewind());
            device.stream().fill(out, (byte) 0x7B);
            raw.read(device.stream(), new Rows(in.address(), COUNT, width, stride, type), contiguous.address());
            float[] read = Devices.toFloats(contiguous);
            for (int i = 0; i < read.length; i++) {
                int at = i / width * stride + i % width;
                assertEquals((at * 37 % 255 - 127) * 0.125f, read[i], what + ", element " + i);
            }
            raw.write(device.stream(), contiguous.address(), new Rows(out.address(), COUNT, width, stride, type));
            ByteBuffer written = Devices.download(out);
            for (int i = 0; i < written.capacity(); i++) {
                byte expected = i / size % stride < width ? bytes.get(i) : 0x7B;
                assertEquals(expected, written.get(i), what + ", byte " + i);
            }
        }
    }

    private static void put(ByteBuffer bytes, int at, float value, DType type) {
        int bits = Float.floatToRawIntBits(value);
        if (type == DType.F32) {
            bytes.putInt(at, bits);
        } else if (type == DType.BF16 || value != value) {
            bytes.putShort(at, (short) (bits >>> 16));
        } else if (value == 0) {
            bytes.putShort(at, (short) 0);
        } else {
            int exponent = (bits >>> 23 & 0xFF) - 127 + 15;
            bytes.putShort(at, (short) (bits >>> 16 & 0x8000 | exponent << 10 | bits >>> 13 & 0x3FF));
        }
    }

    @Test
    void readAndWrite_anyTypeAndStride_areInverse() {
        try (PtxDevice device = SimDevice.open(SimOptions.defaults())) {
            check(device, new Kernels(device));
        }
    }

    @ParameterizedTest
    @MethodSource("changes")
    void mutation_ofEitherKernel_isDetected(Change change) {
        try (PtxDevice device = SimDevice.open(SimOptions.defaults())) {
            change.assertNoticedBy(() -> check(device, change.kernels(device)));
        }
    }
}
