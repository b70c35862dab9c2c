package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.contrastive4j.device.DeviceException;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Calls of the raw-pointer API: capture and replay with other inputs, no hidden allocations, and refused arguments. */
class InfoNceCallsTest {
    private static final int N = 66;
    private static final int M = 70;
    private static final int D = 12;

    /** The memory of one call with all outputs. */
    private record Call(
            List<DeviceStorage> all,
            InfoNceKernels.Inputs inputs,
            InfoNceKernels.Gradients gradients,
            long hardest,
            long result,
            long workspace,
            long bytes)
            implements AutoCloseable {
        static Call of(PtxDevice device, InfoNceKernels pairwise) {
            long bytes = pairwise.workspaceBytes(N, M, D, true);
            long[] sizes = {
                4 * N * D, 4 * M * D, 4 * N, 4, 4, 4 * N * D, 4 * M * D, 4, 4, 4 * N, InfoNceKernels.RESULT_BYTES, bytes
            };
            List<DeviceStorage> all = new ArrayList<>();
            for (long size : sizes) {
                all.add(device.allocate(size));
                device.stream().fill(all.get(all.size() - 1), (byte) 0);
            }
            long[] at = all.stream().mapToLong(DeviceStorage::address).toArray();
            return new Call(
                    all,
                    new InfoNceKernels.Inputs(N, M, D, at[0], at[1], at[2], at[3], at[4], 0.5, 0.5),
                    new InfoNceKernels.Gradients(at[5], at[6], at[7], at[8], 1),
                    at[9],
                    at[10],
                    at[11],
                    bytes);
        }

        void run(InfoNceKernels pairwise, DeviceStream stream) {
            pairwise.infoNce(stream, inputs, gradients, hardest, result, workspace, bytes);
        }

        /** Sets new inputs, and scalars to 0. */
        void set(InfoNceCase c) {
            put(all.get(0), bits(c.x));
            put(all.get(1), bits(c.y));
            put(all.get(2), c.targets);
            put(all.get(3), Float.floatToRawIntBits(c.logScale));
            put(all.get(4), Float.floatToRawIntBits(c.bias));
            put(all.get(7), 0);
            put(all.get(8), 0);
        }

        private static int[] bits(float[] values) {
            return IntStream.range(0, values.length)
                    .map(i -> Float.floatToRawIntBits(values[i]))
                    .toArray();
        }

        private static void put(DeviceStorage storage, int... values) {
            ByteBuffer bytes = ByteBuffer.allocateDirect(4 * values.length).order(ByteOrder.nativeOrder());
            bytes.asIntBuffer().put(values);
            storage.upload(0, bytes);
        }

        List<float[]> outputs() {
            return List.of(5, 6, 7, 8, 9, 10).stream()
                    .map(i -> Devices.toFloats(all.get(i)))
                    .toList();
        }

        @Override
        public void close() {
            all.forEach(DeviceStorage::close);
        }
    }

    private static PtxDevice watched(PtxDevice device, UnaryOperator<String> before, PtxDevice.Facts facts) {
        return (PtxDevice) Proxy.newProxyInstance(
                PtxDevice.class.getClassLoader(), new Class<?>[] {PtxDevice.class}, (self, method, arguments) -> {
                    before.apply(method.getName());
                    if (facts != null && method.getName().equals("facts")) {
                        return facts;
                    }
                    try {
                        return method.invoke(device, arguments);
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                });
    }

    /** One graph serves batches for which one constant shift suffices and batches for which it does not. */
    @ParameterizedTest
    @SampledSource(every = 3)
    void graph_replayedWithOtherInputs_agreesWithF64(InfoNceKernelSet set) {
        try (PtxDevice device = SimDevice.open(SimOptions.defaults());
                DeviceStream stream = device.newStream()) {
            AtomicInteger allocations = new AtomicInteger();
            InfoNceKernels pairwise = set.open(
                    new Kernels(watched(
                            device,
                            name -> {
                                allocations.addAndGet(name.startsWith("allocate") ? 1 : 0);
                                return name;
                            },
                            null)),
                    1);
            try (Call captured = Call.of(device, pairwise);
                    Call plain = Call.of(device, pairwise)) {
                long bytes = device.currentBytes();
                List<InfoNceCase> cases = List.of(
                        new InfoNceCase(N, M, D, false, 1),
                        InfoNceCase.opposites(N, M, D, 100),
                        new InfoNceCase(N, M, D, false, 2));
                try (DeviceStream.Graph graph = stream.capture(() -> captured.run(pairwise, stream))) {
                    for (InfoNceCase c : cases) {
                        captured.set(c);
                        plain.set(c);
                        graph.launch(stream);
                        stream.synchronize();
                        plain.run(pairwise, device.stream());
                        device.stream().synchronize();
                        List<float[]> want = plain.outputs();
                        List<float[]> got = captured.outputs();
                        for (int i = 0; i < want.size(); i++) {
                            assertArrayEquals(want.get(i), got.get(i), c + ": output " + i);
                        }
                        assertTrue(got.get(0)[0] != 0 && got.get(2)[0] != 0, "something was computed");
                    }
                }
                assertEquals(bytes, device.currentBytes());
                assertEquals(0, allocations.get(), "memory that a call took");
            }
        }
    }

    /** The example in the documentation of the class, and the value without gradients. */
    @Test
    void documentationExample_ofClass_runs() {
        InfoNceCase c = new InfoNceCase(20, 20, 8, true, 3);
        try (PtxDevice device = SimDevice.open(SimOptions.defaults());
                DeviceStorage x = Devices.floats(device, c.x);
                DeviceStorage y = Devices.floats(device, c.y);
                DeviceStorage logScale = Devices.floats(device, c.logScale);
                DeviceStorage dx = device.allocate(x.bytes());
                DeviceStorage dy = device.allocate(y.bytes());
                DeviceStorage dLogScale = Devices.floats(device, 0)) {
            PortableInfoNce pairwise = new PortableInfoNce(device);
            long bytes = pairwise.workspaceBytes(20, 20, 8, true);
            ByteBuffer values =
                    ByteBuffer.allocateDirect(InfoNceKernels.RESULT_BYTES).order(ByteOrder.nativeOrder());
            try (DeviceStorage workspace = device.allocate(bytes);
                    DeviceStorage result = device.allocate(InfoNceKernels.RESULT_BYTES)) {
                InfoNceKernels.Inputs inputs = new InfoNceKernels.Inputs(
                        20, 20, 8, x.address(), y.address(), 0, logScale.address(), 0, 0.5, 0.5);
                InfoNceKernels.Gradients gradients =
                        new InfoNceKernels.Gradients(dx.address(), dy.address(), dLogScale.address(), 0, 1);
                pairwise.infoNce(device.stream(), inputs, gradients, 0, result.address(), workspace.address(), bytes);
                result.download(0, values);
                assertEquals(c.truth().loss, values.getDouble(0), 1e-5);
                assertEquals(c.truth().dx[5], Devices.toFloats(dx)[5], 1e-5);
                values.clear();
                long less = pairwise.workspaceBytes(20, 20, 8, false);
                pairwise.infoNce(device.stream(), inputs, null, 0, result.address(), workspace.address(), less);
                result.download(0, values);
                assertEquals(c.truth().loss, values.getDouble(0), 1e-5);
            }
        }
    }

    /** The example in the documentation of the interface, in every precision, with the kernels of the device. */
    @ParameterizedTest
    @EnumSource
    void documentationExample_ofInterface_runs(InfoNceKernelSet set) {
        InfoNceCase c = new InfoNceCase(33, 40, 12, true, 3);
        SimOptions options = SimOptions.defaults();
        try (PtxDevice device = SimDevice.open(set.hopper ? options : options.withArchitecture(80));
                DeviceStorage x = Devices.floats(device, c.x);
                DeviceStorage y = Devices.floats(device, c.y);
                DeviceStorage logScale = Devices.floats(device, c.logScale);
                DeviceStorage dx = device.allocate(x.bytes());
                DeviceStorage dy = device.allocate(y.bytes());
                DeviceStorage dLogScale = Devices.floats(device, 0)) {
            InfoNceKernels infoNce = KernelChoice.infoNce(device, set.precision, 1 << 20);
            assertEquals(set.open(new Kernels(device), 1).getClass(), infoNce.getClass());
            long bytes = infoNce.workspaceBytes(33, 40, 12, true);
            try (DeviceStorage workspace = device.allocate(bytes);
                    DeviceStorage result = device.allocate(InfoNceKernels.RESULT_BYTES)) {
                InfoNceKernels.Inputs inputs = new InfoNceKernels.Inputs(
                        33, 40, 12, x.address(), y.address(), 0, logScale.address(), 0, 0.5, 0.5);
                InfoNceKernels.Gradients gradients =
                        new InfoNceKernels.Gradients(dx.address(), dy.address(), dLogScale.address(), 0, 1);
                infoNce.infoNce(device.stream(), inputs, gradients, 0, result.address(), workspace.address(), bytes);
                ByteBuffer values =
                        ByteBuffer.allocateDirect(InfoNceKernels.RESULT_BYTES).order(ByteOrder.nativeOrder());
                result.download(0, values);
                double most = Math.max(1e-5, 8 * set.roundOff());
                assertEquals(c.truth().loss, values.getDouble(0), most * c.truth().loss);
                assertNear(c.truth().dx, Devices.toFloats(dx), most, "dx");
                assertNear(c.truth().dy, Devices.toFloats(dy), most, "dy");
            }
        }
    }

    /** Compares each element, relative to the largest of all. */
    private static void assertNear(double[] expected, float[] actual, double most, String what) {
        double largest = Arrays.stream(expected).map(Math::abs).max().orElseThrow();
        assertEquals(expected.length, actual.length);
        for (int i = 0; i < expected.length; i++) {
            assertEquals(expected[i], actual[i], most * largest, what + " element " + i);
        }
    }

    private static InfoNceKernels.Inputs inputs(InfoNceKernels.Inputs in, long x, long targets, double rowWeight) {
        return new InfoNceKernels.Inputs(
                in.n(), in.m(), in.d(), x, in.y(), targets, in.logScale(), in.bias(), rowWeight, 0.5);
    }

    private static void refused(Class<? extends RuntimeException> type, String message, Runnable call) {
        RuntimeException refusal = assertThrows(type, call::run);
        assertTrue(refusal.getMessage().contains(message), refusal.getMessage());
    }

    /** Arguments are refused before anything is launched; the simulator counts launches. */
    @ParameterizedTest
    @EnumSource
    void invalidArguments_areRefusedBeforeLaunch(InfoNceKernelSet set) {
        try (SimDevice device = SimDevice.open(SimOptions.defaults())) {
            InfoNceKernels pairwise = set.open(new Kernels(device), 1);
            DeviceStream stream = device.stream();
            Call call = Call.of(device, pairwise);
            long launches = device.traffic().launches();
            try (call) {
                InfoNceKernels.Inputs in = call.inputs;
                InfoNceKernels.Gradients out = call.gradients;
                for (InfoNceKernels.Inputs wrong : List.of(
                        inputs(in, in.x() + 2, 0, 1),
                        inputs(in, in.x(), in.targets() + 2, 1),
                        inputs(in, 0, 0, 1),
                        inputs(in, call.result, 0, 1))) {
                    assertThrows(
                            LaunchException.class,
                            () -> pairwise.infoNce(stream, wrong, out, 0, call.result, call.workspace, call.bytes));
                }
                for (double weight : new double[] {-1, Double.NaN, Double.POSITIVE_INFINITY, 1e39}) {
                    refused(
                            ShapeException.class,
                            "weights are",
                            () -> pairwise.infoNce(
                                    stream,
                                    inputs(in, in.x(), 0, weight),
                                    out,
                                    0,
                                    call.result,
                                    call.workspace,
                                    call.bytes));
                }
                for (double scale : new double[] {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY}) {
                    refused(
                            ShapeException.class,
                            "the gradient scale is " + scale,
                            () -> pairwise.infoNce(
                                    stream,
                                    in,
                                    new InfoNceKernels.Gradients(out.dx(), out.dy(), 0, 0, scale),
                                    0,
                                    call.result,
                                    call.workspace,
                                    call.bytes));
                }
                // the last element of dx is the first of dy; a scalar twice; gradients in the workspace
                for (InfoNceKernels.Gradients wrong : List.of(
                        new InfoNceKernels.Gradients(out.dy() - 4L * N * D + 4, out.dy(), 0, 0, 1),
                        new InfoNceKernels.Gradients(out.dx(), out.dy(), out.dBias(), out.dBias(), 1),
                        new InfoNceKernels.Gradients(call.workspace, 0, 0, 0, 1))) {
                    refused(
                            LaunchException.class,
                            "share memory",
                            () -> pairwise.infoNce(stream, in, wrong, 0, call.result, call.workspace, call.bytes));
                }
                refused(
                        LaunchException.class,
                        "hardest and ",
                        () -> pairwise.infoNce(stream, in, out, in.x(), call.result, call.workspace, call.bytes));
                refused(
                        LaunchException.class,
                        "multiple of 8",
                        () -> pairwise.infoNce(stream, in, out, 0, call.result + 4, call.workspace, call.bytes));
                refused(
                        LaunchException.class,
                        "expected " + call.bytes,
                        () -> pairwise.infoNce(stream, in, out, 0, call.result, call.workspace, call.bytes - 1));
                for (int[] sizes : new int[][] {{0, 1, 1}, {1, 0, 1}, {1, 1, 0}, {1, (1 << 30) + 1, 1}}) {
                    refused(
                            ShapeException.class,
                            "expected at least 1 of each, at most",
                            () -> pairwise.workspaceBytes(sizes[0], sizes[1], sizes[2], false));
                }
                refused(
                        ShapeException.class,
                        N + " rows but only 9 columns",
                        () -> pairwise.infoNce(
                                stream,
                                new InfoNceKernels.Inputs(N, 9, D, in.x(), in.y(), 0, in.logScale(), 0, 1, 1),
                                out,
                                0,
                                call.result,
                                call.workspace,
                                call.bytes));
                assertEquals(launches, device.traffic().launches(), "launches of calls that were refused");
            }
            device.close();
            assertThrows(IllegalStateException.class, () -> call.run(pairwise, stream));
        }
    }

    /** 16-bit rows are read 16 bytes at a time. */
    @Test
    void sixteenBitRows_misaligned_areRefused() {
        try (PtxDevice device = SimDevice.open(SimOptions.defaults())) {
            PortableInfoNce pairwise = new PortableInfoNce(device, Precision.BF16, 1);
            try (Call call = Call.of(device, pairwise)) {
                refused(
                        LaunchException.class,
                        "multiple of 16",
                        () -> pairwise.infoNce(
                                device.stream(),
                                inputs(call.inputs, call.inputs.x() + 8, 0, 1),
                                call.gradients,
                                0,
                                call.result,
                                call.workspace,
                                call.bytes));
            }
        }
    }

    @Test
    void deviceBelowCapability8_isRefused() {
        try (PtxDevice device = SimDevice.open(SimOptions.defaults())) {
            PtxDevice.Facts f = device.facts();
            PtxDevice old = watched(
                    device,
                    name -> name,
                    new PtxDevice.Facts(
                            "an old one",
                            75,
                            f.multiprocessors(),
                            f.memoryBytes(),
                            f.sharedBytesPerBlock(),
                            f.sharedBytesPerMultiprocessor(),
                            f.registersPerMultiprocessor(),
                            f.threadsPerMultiprocessor(),
                            f.l2Bytes(),
                            f.driver()));
            for (Runnable open : List.<Runnable>of(
                    () -> new PortableInfoNce(old), () -> new PtxNormalize(old), () -> new PtxAttentionOps(old))) {
                refused(DeviceException.class, "capability 7.5", open);
            }
        }
    }
}
