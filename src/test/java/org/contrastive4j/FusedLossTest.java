package org.contrastive4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.ptx.PtxOps;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.kernels.FusedLoss;
import org.contrastive4j.loss.InfoNce;
import org.contrastive4j.loss.PairLabels;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;

/** Losses of raw rows on device addresses give the bits of the same loss on tensors, and write nothing else. */
class FusedLossTest {
    private static final byte POISON = (byte) 0xFF; // NaN in every type
    private static final int N = 37;
    private static final int M = 70;

    /** Rows inside a poisoned buffer: before, between and behind them nothing may change. */
    private static final class Region implements AutoCloseable {
        final DeviceStorage storage;
        final FusedLoss.Rows rows;
        private final int guard;

        Region(PtxDevice device, int count, int width, int stride, int guard, DType type) {
            this.guard = guard * type.bytes();
            storage = device.allocate((long) (count * stride + 2 * guard) * type.bytes());
            device.stream().fill(storage, POISON);
            rows = new FusedLoss.Rows(storage.address() + this.guard, count, width, stride, type);
        }

        void set(float[] values) {
            ByteBuffer bytes = Devices.download(storage);
            for (int i = 0; i < values.length; i++) {
                int at = at(i / rows.width(), i % rows.width());
                if (rows.type() == DType.F32) {
                    bytes.putFloat(at, values[i]);
                } else {
                    bytes.putShort(at, bits(values[i], rows.type()));
                }
            }
            storage.upload(0, bytes.rewind());
        }

        private int at(int row, int column) {
            return guard + (row * rows.stride() + column) * rows.type().bytes();
        }

        /** Compares every element, and every byte that is none. */
        void assertHolds(float[] expected, String name) {
            ByteBuffer bytes = Devices.download(storage);
            boolean[] written = new boolean[bytes.capacity()];
            for (int i = 0; i < expected.length; i++) {
                int at = at(i / rows.width(), i % rows.width());
                Arrays.fill(written, at, at + rows.type().bytes(), true);
                String what = name + " element " + i;
                if (rows.type() == DType.F32) {
                    assertEquals(
                            Float.floatToRawIntBits(expected[i]), Float.floatToRawIntBits(bytes.getFloat(at)), what);
                } else {
                    assertEquals(bits(expected[i], rows.type()), bytes.getShort(at), what);
                }
            }
            for (int i = 0; i < written.length; i++) {
                assertTrue(written[i] || bytes.get(i) == POISON, name + ": byte " + i + " beside the rows was written");
            }
        }

        @Override
        public void close() {
            storage.close();
        }
    }

    private static short bits(float value, DType type) {
        if (type == DType.F16) {
            return half(value);
        }
        int bits = Float.floatToRawIntBits(value);
        return (short) ((bits + 0x7FFF + (bits >>> 16 & 1)) >>> 16);
    }

    /** Rounds to f16, to nearest, ties to even, by exact arithmetic on doubles. */
    private static short half(float value) {
        double size = Math.abs((double) value);
        int exponent = Math.max(-14, Math.getExponent(size));
        double unit = Math.scalb(1.0, exponent - 10);
        long steps = (long) Math.rint(size / unit); // of at most 11 bits
        long bits = exponent == -14 ? steps : steps + ((exponent + 14L) << 10);
        return (short) (bits | (Float.floatToRawIntBits(value) >>> 16 & 0x8000));
    }

    /** Rows that the type represents, with lengths far from 1, a duplicate and a row of zeros. */
    private static float[] rows(int count, int width, DType type, long seed) {
        Random random = new Random(seed);
        float[] values = new float[count * width];
        for (int i = 0; i < values.length; i++) {
            int steps = random.nextInt(255) - 127; // 7 bits, which bf16 holds
            values[i] = steps * (i / width % 3 == 0 ? 0x1p-9f : 0.125f);
        }
        System.arraycopy(values, 0, values, width, width);
        Arrays.fill(values, 2 * width, 3 * width, 0);
        return values;
    }

    static Stream<Arguments> sets() {
        List<Arguments> all = new ArrayList<>();
        DType[] types = {DType.F32, DType.BF16, DType.F16};
        int turn = 0;
        for (Precision precision : List.of(Precision.F32, Precision.TF32, Precision.BF16, Precision.F16)) {
            for (int architecture : new int[] {80, 90}) {
                if (architecture == 80 || precision == Precision.BF16 || precision == Precision.F16) {
                    all.add(Arguments.of(
                            precision, architecture, types[turn % 3], types[(turn + 1) % 3], turn % 2 == 0));
                    turn++;
                }
            }
        }
        return all.stream();
    }

    /** One call, replayed from a graph as well, against the loss of tensors in every set of kernels. */
    @ParameterizedTest
    @SampledSource(value = "sets", every = 3)
    void fusedInfoNce_anyTypeAndStride_hasTheBitsOfTensors(
            Precision precision, int architecture, DType typeOfU, DType typeOfV, boolean aligned) {
        int d = aligned ? 20 : 13;
        float[] u = rows(N, d, typeOfU, 1);
        float[] v = rows(M, d, typeOfV, 2);
        float logScale = 1.25f;
        try (PtxDevice device = SimDevice.open(SimOptions.defaults().withArchitecture(architecture));
                Region inU = new Region(device, N, d, aligned ? d + 12 : d + 3, aligned ? 8 : 3, typeOfU);
                Region inV = new Region(device, M, d, d, 4, typeOfV);
                Region outU = new Region(device, N, d, d, 4, DType.F32);
                Region outV = new Region(device, M, d, aligned ? d + 4 : d + 1, aligned ? 4 : 5, typeOfV);
                DeviceStorage scale = Devices.floats(device, logScale);
                DeviceStorage dScale = Devices.floats(device, 0);
                DeviceStorage result = device.allocate(FusedLoss.RESULT_BYTES)) {
            inU.set(u);
            inV.set(v);
            FusedLoss loss = Backend.fusedInfoNce(device, precision);
            long bytes = loss.workspaceBytes(N, M, d);
            FusedLoss.Inputs inputs = new FusedLoss.Inputs(inU.rows, inV.rows, 0, scale.address(), 0);
            FusedLoss.Gradients gradients = new FusedLoss.Gradients(outU.rows, outV.rows, dScale.address(), 0, 0.5);
            Expected expected = Expected.of(precision, architecture, u, v, d, logScale, 0.5);
            try (DeviceStorage workspace = device.allocate(bytes);
                    DeviceStream stream = device.newStream()) {
                device.stream().fill(workspace, POISON);
                device.synchronize();
                loss.valueAndGradient(stream, inputs, gradients, result.address(), workspace.address(), bytes);
                stream.synchronize();
                expected.check(outU, outV, result, Devices.toFloats(dScale)[0]);
                device.stream().fill(outU.storage, POISON);
                device.stream().fill(outV.storage, POISON);
                device.stream().fill(dScale, (byte) 0);
                device.synchronize();
                try (DeviceStream.Graph graph = stream.capture(() -> loss.valueAndGradient(
                        stream, inputs, gradients, result.address(), workspace.address(), bytes))) {
                    graph.launch(stream);
                    stream.synchronize();
                }
                expected.check(outU, outV, result, Devices.toFloats(dScale)[0]);
            }
        }
    }

    /** The gradients may replace the rows, and two sides may lie side by side in one matrix. */
    @Test
    void fusedInfoNce_interleavedSidesInPlace_hasTheBitsOfSeparateOnes() {
        int d = 12;
        try (PtxDevice device = SimDevice.open(SimOptions.defaults());
                Region both = new Region(device, N, 2 * d, 2 * d + 4, 8, DType.F32);
                DeviceStorage scale = Devices.floats(device, 1);
                DeviceStorage dScale = Devices.floats(device, 0);
                DeviceStorage result = device.allocate(FusedLoss.RESULT_BYTES)) {
            float[] u = rows(N, d, DType.F32, 3);
            float[] v = rows(N, d, DType.F32, 4);
            both.set(sideBySide(u, v, d));
            FusedLoss loss = Backend.fusedInfoNce(device, Precision.F32);
            long bytes = loss.workspaceBytes(N, N, d);
            FusedLoss.Rows left = new FusedLoss.Rows(both.rows.address(), N, d, 2 * d + 4, DType.F32);
            FusedLoss.Rows right = new FusedLoss.Rows(both.rows.address() + 4L * d, N, d, 2 * d + 4, DType.F32);
            try (DeviceStorage workspace = device.allocate(bytes)) {
                loss.valueAndGradient(
                        device.stream(),
                        new FusedLoss.Inputs(left, right, 0, scale.address(), 0),
                        new FusedLoss.Gradients(left, right, dScale.address(), 0, 1),
                        result.address(),
                        workspace.address(),
                        bytes);
            }
            Expected expected = Expected.of(Precision.F32, 90, u, v, d, 1, 1);
            both.assertHolds(sideBySide(expected.du, expected.dv, d), "gradients");
        }
    }

    private static float[] sideBySide(float[] u, float[] v, int d) {
        float[] both = new float[u.length + v.length];
        for (int row = 0; row < u.length / d; row++) {
            System.arraycopy(u, row * d, both, 2 * row * d, d);
            System.arraycopy(v, row * d, both, (2 * row + 1) * d, d);
        }
        return both;
    }

    /** Every fault of the arguments is reported before the first launch. */
    @Test
    void fusedInfoNce_invalidArguments_areRefusedBeforeLaunch() {
        try (SimDevice device = SimDevice.open(SimOptions.defaults());
                DeviceStorage memory = device.allocate(1 << 16)) {
            FusedLoss loss = Backend.fusedInfoNce(device, Precision.F32);
            long at = memory.address();
            long bytes = loss.workspaceBytes(4, 4, 8);
            FusedLoss.Rows u = FusedLoss.Rows.f32(at, 4, 8);
            FusedLoss.Rows v = FusedLoss.Rows.f32(at + 128, 4, 8);
            FusedLoss.Rows du = FusedLoss.Rows.f32(at + 256, 4, 8);
            long scale = at + 384;
            long result = at + 512;
            long workspace = at + 1024;
            long launches = device.traffic().launches();
            record Case(
                    String message, FusedLoss.Rows u, FusedLoss.Rows v, FusedLoss.Gradients out, long result, long n) {}
            FusedLoss.Gradients out = new FusedLoss.Gradients(du, null, 0, 0, 1);
            for (Case c : List.of(
                    new Case("v 8, expected the same", FusedLoss.Rows.f32(at, 4, 7), v, out, result, bytes),
                    new Case("stride 7", new FusedLoss.Rows(at, 4, 8, 7, DType.F32), v, out, result, bytes),
                    new Case("type I32", new FusedLoss.Rows(at, 4, 8, 8, DType.I32), v, out, result, bytes),
                    new Case("address of u is 0", FusedLoss.Rows.f32(0, 4, 8), v, out, result, bytes),
                    new Case("multiple of 2", new FusedLoss.Rows(at + 1, 4, 8, 8, DType.F16), v, out, result, bytes),
                    new Case("5 rows of u but only 4", FusedLoss.Rows.f32(at, 5, 8), v, out, result, bytes),
                    new Case("expected " + bytes, u, v, out, result, bytes - 1),
                    new Case("share memory", u, v, new FusedLoss.Gradients(v, null, 0, 0, 1), result, bytes),
                    new Case("share memory", u, v, out, at + 256, bytes),
                    new Case(
                            "gradient of u has 3",
                            u,
                            v,
                            new FusedLoss.Gradients(FusedLoss.Rows.f32(at + 256, 3, 8), null, 0, 0, 1),
                            result,
                            bytes),
                    new Case(
                            "scale is NaN",
                            u,
                            v,
                            new FusedLoss.Gradients(du, null, 0, 0, Double.NaN),
                            result,
                            bytes))) {
                RuntimeException refusal = assertThrows(
                        RuntimeException.class,
                        () -> loss.valueAndGradient(
                                device.stream(),
                                new FusedLoss.Inputs(c.u, c.v, 0, scale, 0),
                                c.out,
                                c.result,
                                workspace,
                                c.n));
                assertTrue(refusal instanceof LaunchException || refusal instanceof ShapeException, refusal::toString);
                assertTrue(refusal.getMessage().contains(c.message), refusal.getMessage());
            }
            assertEquals(launches, device.traffic().launches());
        }
    }

    /** A result is read in the byte order of the machine, from the position of the buffer. */
    @Test
    void result_ofBytes_namesTheNumbers() {
        ByteBuffer bytes = ByteBuffer.allocate(40).order(ByteOrder.nativeOrder());
        bytes.putDouble(8, 1).putDouble(16, 2).putDouble(24, 3).putDouble(32, 4);
        bytes.position(8).order(ByteOrder.BIG_ENDIAN);
        assertEquals(new PairwiseOps.Result(1, 2, 3, 4), FusedLoss.result(bytes));
        assertEquals(8, bytes.position());
    }

    /** Value and gradients of the loss on tensors. */
    private record Expected(float[] du, float[] dv, float dScale, PairwiseOps.Result result) {
        static Expected of(
                Precision precision, int architecture, float[] u, float[] v, int d, float logScale, double factor) {
            try (PtxOps ops = new PtxOps(
                            "sim", SimDevice.open(SimOptions.defaults().withArchitecture(architecture)), precision);
                    InfoNce loss = InfoNce.of(ops, InfoNce.Direction.SYMMETRIC, logScale, null);
                    Tensor tu = ops.allocateParameter(Shape.of(u.length / d, d));
                    Tensor tv = ops.allocateParameter(Shape.of(v.length / d, d));
                    Tensor du = ops.allocateParameter(Shape.of(u.length / d, d));
                    Tensor dv = ops.allocateParameter(Shape.of(v.length / d, d))) {
                tu.set(u);
                tv.set(v);
                PairwiseOps.Result result = loss.valueAndGradient(tu, tv, PairLabels.DIAGONAL, du, dv, factor)
                        .get();
                float dScale = loss.parameters().get(0).gradient().toFloats()[0];
                return new Expected(du.toFloats(), dv.toFloats(), dScale, result);
            }
        }

        void check(Region outU, Region outV, DeviceStorage result, float actualScale) {
            outU.assertHolds(du, "du");
            outV.assertHolds(dv, "dv");
            assertEquals(dScale, actualScale);
            assertEquals(result(), FusedLoss.result(Devices.download(result)));
        }
    }
}
