package org.contrastive4j.ops.ptx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.contrastive4j.device.DeviceGraph;
import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.memory.OutOfBudgetException;
import org.contrastive4j.ops.ptx.HopperPairwise.Precision;
import org.contrastive4j.support.Devices;
import org.contrastive4j.support.PairwiseReference;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The whole loss on the device: rows in, losses and gradients out, whatever the workspace. */
@Tag("gpu")
final class HopperInfoNceTest {
    private static final int N = 140;
    private static final int M = 260;
    private static final int D = 72;
    private static final float SCALE = 12;
    private static final int[] TARGETS = IntStream.range(0, N).map(i -> (i * 7 + 5) % M).toArray();

    private record Result(float[] losses, float[] dx, float[] dy) {}

    private static Result run(PtxDevice device, Precision precision, int stripeRows, int[] targets, boolean asGraph) {
        HopperInfoNce.Plan most = HopperInfoNce.Plan.of(N, M, D, 2, Long.MAX_VALUE / 4);
        HopperInfoNce.Plan plan = new HopperInfoNce.Plan(most.all(), stripeRows);
        try (DeviceStorage u = Devices.floats(device, Hopper.random(1, N * D));
                DeviceStorage v = Devices.floats(device, Hopper.random(2, M * D));
                DeviceStorage t = targets == null ? null : Devices.ints(device, targets);
                DeviceStorage s = Devices.floats(device, SCALE);
                DeviceStorage workspace = device.allocate(plan.workspaceBytes());
                DeviceStorage normU = device.allocate(4L * N);
                DeviceStorage normV = device.allocate(4L * M);
                DeviceStorage losses = device.allocate(4L * N);
                DeviceStorage dx = device.allocate(4L * N * D);
                DeviceStorage dy = device.allocate(4L * M * D)) {
            HopperInfoNce loss = new HopperInfoNce(device, precision);
            HopperInfoNce.Inputs inputs = new HopperInfoNce.Inputs(u, v, t, s, 0.5f, 0.5f);
            HopperInfoNce.Outputs outputs = new HopperInfoNce.Outputs(normU, normV, losses, dx, dy);
            if (asGraph) {
                try (DeviceStream stream = device.newStream();
                        DeviceGraph graph = stream.capture(() -> loss.run(stream, plan, inputs, workspace, outputs))) {
                    graph.launch(stream);
                    graph.launch(stream);
                    stream.synchronize();
                }
            } else {
                loss.run(device.stream(), plan, inputs, workspace, outputs);
            }
            return new Result(Devices.toFloats(losses), Devices.toFloats(dx), Devices.toFloats(dy));
        }
    }

    @ParameterizedTest
    @CsvSource({"BF16, 140, 6e-3", "F16, 128, 8e-4"})
    void valueAndGradients(Precision precision, int stripeRows, double most) {
        for (int[] targets : new int[][] {null, TARGETS}) {
            double[] x = flat(Hopper.unit(Hopper.random(1, N * D), D));
            double[] y = flat(Hopper.unit(Hopper.random(2, M * D), D));
            int[] columns = targets == null ? IntStream.range(0, N).toArray() : targets;
            PairwiseReference wanted = new PairwiseReference(N, M, D, x, y, columns, Math.log(SCALE), 0, 0.5, 0.5);
            Hopper.devices().forEach(opened -> {
                try (PtxDevice device = opened.get()) {
                    Result got = run(device, precision, stripeRows, targets, false);
                    double loss = IntStream.range(0, N).mapToDouble(i -> got.losses[i]).average().orElseThrow();
                    assertEquals(wanted.loss, loss, SCALE * Hopper.roundOff(precision) / 4, "loss");
                    near(wanted.dx, got.dx, most, "dx");
                    near(wanted.dy, got.dy, most, "dy");
                }
            });
        }
    }

    private static double[] flat(double[][] rows) {
        return Arrays.stream(rows).flatMapToDouble(Arrays::stream).toArray();
    }

    /** Relative to the norm of all, and no element further off than that of a row. */
    private static void near(double[] wanted, float[] got, double most, String name) {
        double error = 0;
        double size = 0;
        double largest = 0;
        for (int i = 0; i < wanted.length; i++) {
            error += (got[i] - wanted[i]) * (got[i] - wanted[i]);
            size += wanted[i] * wanted[i];
            largest = Math.max(largest, Math.abs(got[i] - wanted[i]));
        }
        double relative = Math.sqrt(error / size);
        double typical = Math.sqrt(size / wanted.length);
        double furthest = largest / typical;
        assertTrue(relative < most && furthest < 8 * most, () -> name + ": relative error " + relative
                + ", furthest element "
                + furthest);
    }

    /** Row gradients do not know of stripes; those of columns are added up in their order. */
    @Test
    void stripesOfRows() {
        Hopper.devices().forEach(opened -> {
            try (PtxDevice device = opened.get()) {
                Result whole = run(device, Precision.F16, N, TARGETS, false);
                Result striped = run(device, Precision.F16, 128, TARGETS, false);
                assertArrayEquals(whole.losses, striped.losses);
                assertArrayEquals(whole.dx, striped.dx);
                double typical = Math.sqrt(IntStream.range(0, whole.dy.length).mapToDouble(i -> whole.dy[i]
                        * whole.dy[i]).average()
                        .orElseThrow());
                for (int i = 0; i < whole.dy.length; i++) {
                    assertEquals(whole.dy[i], striped.dy[i], 1e-5 * typical, "dy " + i);
                }
            }
        });
    }

    @Test
    void asOneGraph() {
        Hopper.devices().forEach(opened -> {
            try (PtxDevice device = opened.get()) {
                Result plain = run(device, Precision.BF16, 128, null, false);
                Result graph = run(device, Precision.BF16, 128, null, true);
                assertArrayEquals(plain.losses, graph.losses);
                assertArrayEquals(plain.dx, graph.dx);
                assertArrayEquals(plain.dy, graph.dy);
            }
        });
    }

    @Test
    void budgetChoosesTheStripe() {
        long fixed = new HopperInfoNce.Plan(HopperInfoNce.Plan.of(1000, 1000, 64, 4, 1L << 40).all(),
                0).workspaceBytes();
        long tile = 2L * 128 * 1024;
        assertEquals(1000, HopperInfoNce.Plan.of(1000, 1000, 64, 4, 1L << 40).stripeRows());
        assertEquals(256, HopperInfoNce.Plan.of(1000, 1000, 64, 4, fixed + 3 * tile - 1).stripeRows());
        assertTrue(HopperInfoNce.Plan.of(1000, 1000, 64, 4, fixed + 3 * tile - 1).workspaceBytes() <= fixed + 3
                * tile - 1);
        assertThrows(OutOfBudgetException.class, () -> HopperInfoNce.Plan.of(1000, 1000, 64, 4, fixed + tile - 1));
        assertThrows(OutOfBudgetException.class, () -> HopperInfoNce.Plan.of(1000, 1000, 64, 4, 1));
    }
}
