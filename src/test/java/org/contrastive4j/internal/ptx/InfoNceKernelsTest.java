package org.contrastive4j.internal.ptx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.SampledSource;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;

/**
 * Calls with raw addresses: outputs that are left out, capture, and arguments that are refused, of every set of
 * kernels.
 */
class InfoNceKernelsTest {
    static Stream<Arguments> everywhere() {
        return InfoNceKernelSet.everywhere();
    }

    /** The buffers of a call with raw addresses. */
    private record Bound(
            PtxDevice device,
            InfoNceKernels.Inputs inputs,
            long result,
            long workspace,
            long bytes,
            List<DeviceStorage> open)
            implements AutoCloseable {
        static Bound of(PtxDevice device, InfoNceKernels pairwise, InfoNceCase c) {
            List<DeviceStorage> open = new ArrayList<>(List.of(
                    Devices.floats(device, c.x),
                    Devices.floats(device, c.y),
                    Devices.floats(device, c.logScale),
                    device.allocate(InfoNceKernels.RESULT_BYTES)));
            long bytes = pairwise.workspaceBytes(c.n, c.m, c.d, true);
            open.add(device.allocate(bytes));
            return new Bound(
                    device,
                    new InfoNceKernels.Inputs(
                            c.n,
                            c.m,
                            c.d,
                            open.get(0).address(),
                            open.get(1).address(),
                            0,
                            open.get(2).address(),
                            0,
                            0.5,
                            0.5),
                    open.get(3).address(),
                    open.get(4).address(),
                    bytes,
                    open);
        }

        DeviceStorage allocate(long count) {
            open.add(device.allocate(count));
            return open.get(open.size() - 1);
        }

        @Override
        public void close() {
            open.forEach(DeviceStorage::close);
        }
    }

    @ParameterizedTest
    @SampledSource(value = "everywhere", every = 4)
    void infoNce_skippedGradients_changeNothing(String name, InfoNceKernelSet set) {
        InfoNceKernelSet.on(name, set, bench -> {
            PtxDevice device = bench.device();
            InfoNceKernels pairwise = bench.open(InfoNceKernelSet.PLENTY);
            InfoNceCase c = new InfoNceCase(66, 70, 9, true, 5);
            c.bias = 0;
            InfoNceCase.Answer all = c.ask(device, pairwise);
            try (Bound bound = Bound.of(device, pairwise, c)) {
                DeviceStorage dx = bound.allocate(4L * c.x.length);
                DeviceStorage dy = bound.allocate(4L * c.y.length);
                DeviceStorage dLogScale = Devices.floats(device, 2);
                bound.open.add(dLogScale);
                List<InfoNceKernels.Gradients> expected = new ArrayList<>(List.of(
                        new InfoNceKernels.Gradients(dx.address(), 0, 0, 0, 1),
                        new InfoNceKernels.Gradients(0, dy.address(), 0, 0, 1),
                        new InfoNceKernels.Gradients(0, 0, dLogScale.address(), 0, 1)));
                expected.add(null);
                for (InfoNceKernels.Gradients gradients : expected) {
                    long bytes = pairwise.workspaceBytes(c.n, c.m, c.d, gradients != null);
                    pairwise.infoNce(device.stream(), bound.inputs, gradients, 0, bound.result, bound.workspace, bytes);
                    assertArrayEquals(
                            all.result(), InfoNceCase.toDoubles(bound.open.get(3)), "without hardest negatives");
                }
                assertArrayEquals(all.dx(), Devices.toFloats(dx));
                assertArrayEquals(all.dy(), Devices.toFloats(dy));
                assertEquals(all.dLogScale(), Devices.toFloats(dLogScale)[0] - 2);
            }
        });
    }

    /** A captured call is launched twice with other inputs at the same addresses, without allocation. */
    @ParameterizedTest
    @SampledSource(value = "everywhere", every = 6)
    void infoNce_capturedAndReplayed_agreesWithDefinition(String name, InfoNceKernelSet set) {
        InfoNceKernelSet.on(name, set, bench -> {
            PtxDevice device = bench.device();
            InfoNceKernels pairwise = bench.open(InfoNceKernelSet.PLENTY);
            InfoNceCase first = new InfoNceCase(70, 70, 8, true, 5);
            InfoNceCase second = new InfoNceCase(70, 70, 8, true, 6);
            first.bias = 0;
            second.bias = 0;
            try (Bound bound = Bound.of(device, pairwise, first);
                    DeviceStream stream = device.newStream();
                    DeviceStorage dx = device.allocate(4L * first.x.length);
                    DeviceStorage other = Devices.floats(device, second.x)) {
                long before = device.currentBytes();
                InfoNceKernels.Gradients gradients = new InfoNceKernels.Gradients(dx.address(), 0, 0, 0, 1);
                try (DeviceStream.Graph graph = stream.capture(() -> pairwise.infoNce(
                        stream, bound.inputs, gradients, 0, bound.result, bound.workspace, bound.bytes))) {
                    graph.launch(stream);
                    stream.synchronize();
                    assertArrayEquals(first.ask(device, pairwise).dx(), Devices.toFloats(dx));
                    stream.copy(other, 0, bound.open.get(0), 0, other.bytes());
                    System.arraycopy(first.y, 0, second.y, 0, first.y.length);
                    graph.launch(stream);
                    stream.synchronize();
                    assertArrayEquals(second.ask(device, pairwise).dx(), Devices.toFloats(dx));
                }
                assertEquals(before, device.currentBytes());
            }
        });
    }

    @ParameterizedTest
    @SampledSource(value = "everywhere", every = 4)
    void invalidArguments_areRefused(String name, InfoNceKernelSet set) {
        InfoNceKernelSet.on(name, set, bench -> {
            PtxDevice device = bench.device();
            InfoNceKernels pairwise = bench.open(InfoNceKernelSet.PLENTY);
            InfoNceCase c = new InfoNceCase(10, 10, 4, true, 5);
            try (Bound bound = Bound.of(device, pairwise, c)) {
                InfoNceKernels.Inputs in = bound.inputs;
                refused(
                        ShapeException.class,
                        "at least 1",
                        bound,
                        pairwise,
                        with(in, 0, 10, 4, in.x()),
                        0,
                        0,
                        bound.bytes);
                refused(
                        ShapeException.class,
                        "10 rows but only 9",
                        bound,
                        pairwise,
                        with(in, 10, 9, 4, in.x()),
                        0,
                        0,
                        bound.bytes);
                refused(LaunchException.class, "x is 0", bound, pairwise, with(in, 10, 10, 4, 0), 0, 0, bound.bytes);
                refused(
                        LaunchException.class,
                        "multiple of 4",
                        bound,
                        pairwise,
                        with(in, 10, 10, 4, in.x() + 2),
                        0,
                        0,
                        bound.bytes);
                refused(LaunchException.class, "multiple of 256", bound, pairwise, in, 16, 0, bound.bytes + 16);
                refused(LaunchException.class, "expected " + bound.bytes, bound, pairwise, in, 0, 0, bound.bytes - 1);
                refused(LaunchException.class, "dx and x share", bound, pairwise, in, 0, in.x() + 16, bound.bytes);
            }
            PtxDevice closed = Backend.device(name);
            closed.close();
            assertThrows(IllegalStateException.class, () -> set.open(new Kernels(closed), 1));
        });
    }

    private static InfoNceKernels.Inputs with(InfoNceKernels.Inputs in, int n, int m, int d, long x) {
        return new InfoNceKernels.Inputs(n, m, d, x, in.y(), 0, in.logScale(), 0, 0.5, 0.5);
    }

    private static void refused(
            Class<? extends RuntimeException> type,
            String message,
            Bound bound,
            InfoNceKernels pairwise,
            InfoNceKernels.Inputs inputs,
            int offset,
            long dx,
            long bytes) {
        RuntimeException refusal = assertThrows(
                type,
                () -> pairwise.infoNce(
                        bound.device.stream(),
                        inputs,
                        new InfoNceKernels.Gradients(dx, 0, 0, 0, 1),
                        0,
                        bound.result,
                        bound.workspace + offset,
                        bytes));
        assertTrue(refusal.getMessage().contains(message), refusal.getMessage());
    }
}
