package org.contrastive4j.bench.device;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.contrastive4j.Backend;
import org.contrastive4j.device.DeviceEvent;
import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.ops.ptx.HopperInfoNce;
import org.contrastive4j.ops.ptx.HopperPairwise;
import org.contrastive4j.ops.ptx.HopperPairwise.Factors;
import org.contrastive4j.ops.ptx.HopperPairwise.Precision;
import org.contrastive4j.ops.ptx.HopperPairwise.Sums;
import org.contrastive4j.ops.ptx.HopperPairwise.Tiling;

/**
 * Device time of each sm_90a kernel of the pairwise loss and of the whole loss, as the file that {@link CostModel} puts
 * beside its predictions: HopperTimes DEVICE FILE [n d ...].
 */
public final class HopperTimes {
    private static final int REPEATS = 5;
    private static final long WORKSPACE = 40_000_000_000L;
    private static final int[] SIZES = {8192, 512, 8192, 768, 8192, 1024, 32768, 512, 32768, 768, 32768, 1024, 131072,
            512, 131072, 768};

    private final PtxDevice device;
    private final PrintWriter out;
    private final List<DeviceStorage> live = new ArrayList<>();

    private HopperTimes(PtxDevice device, PrintWriter out) {
        this.device = device;
        this.out = out;
    }

    private DeviceStorage storage(long bytes) {
        DeviceStorage storage = device.allocate(bytes);
        live.add(storage);
        return storage;
    }

    /** Rows of numbers of both signs: zeros would draw less power than real features, and run faster. */
    private DeviceStorage random(long count, long seed) {
        DeviceStorage storage = storage(4 * count);
        ByteBuffer chunk = ByteBuffer.allocateDirect(1 << 22).order(ByteOrder.nativeOrder());
        long state = seed;
        for (long at = 0; at < 4 * count; at += chunk.capacity()) {
            chunk.clear().limit((int) Math.min(chunk.capacity(), 4 * count - at));
            while (chunk.hasRemaining()) {
                state = state * 6364136223846793005L + 1442695040888963407L;
                chunk.putFloat((state >> 32) * 0x1p-31f);
            }
            storage.upload(at, chunk.flip());
        }
        return storage;
    }

    private void time(int n, int d, String kernel, DeviceStream stream, Runnable work) {
        work.run();
        double[] milliseconds = new double[REPEATS];
        for (int i = 0; i < REPEATS; i++) {
            try (DeviceEvent start = stream.record()) {
                work.run();
                try (DeviceEvent end = stream.record()) {
                    milliseconds[i] = end.millisecondsSince(start);
                }
            }
        }
        Arrays.sort(milliseconds);
        out.printf(Locale.ROOT, "%d,%d,%s,%.4f%n", n, d, kernel, milliseconds[REPEATS / 2]);
        out.flush();
    }

    private void times(int n, int d) {
        try {
            Tiling tiling = Tiling.of(n, n, d, device.facts().multiprocessors());
            DeviceStream stream = device.stream();
            DeviceStorage u = random((long) n * d, 1);
            DeviceStorage v = random((long) n * d, 2);
            DeviceStorage scale = storage(4);
            scale.upload(0, ByteBuffer.allocateDirect(4).order(ByteOrder.nativeOrder()).putFloat(20).flip());
            HopperInfoNce.Plan plan = HopperInfoNce.Plan.of(n, n, d, device.facts().multiprocessors(), WORKSPACE);
            DeviceStorage workspace = storage(plan.workspaceBytes());
            HopperInfoNce.Outputs outputs = new HopperInfoNce.Outputs(storage(4L * n), storage(4L * n), storage(4L * n),
                    storage(4L * n * d), storage(4L * n * d));
            HopperInfoNce loss = new HopperInfoNce(device, Precision.BF16);
            HopperInfoNce.Inputs inputs = new HopperInfoNce.Inputs(u, v, null, scale, 0.5f, 0.5f);
            time(n, d, "all", stream, () -> loss.run(stream, plan, inputs, workspace, outputs));
            if (plan.stripeRows() == n) {
                kernels(tiling, inputs, outputs);
            }
        } finally {
            live.forEach(DeviceStorage::close);
            live.clear();
        }
    }

    private void kernels(Tiling tiling, HopperInfoNce.Inputs in, HopperInfoNce.Outputs outputs) {
        int n = tiling.n();
        int d = tiling.d();
        DeviceStream stream = device.stream();
        HopperPairwise kernels = new HopperPairwise(device, Precision.BF16);
        DeviceStorage x = storage(HopperPairwise.imageBytes(n, d));
        DeviceStorage y = storage(HopperPairwise.imageBytes(n, d));
        Sums sums = new Sums(storage(4L * n), storage(tiling.rowSumBytes()), storage(tiling.columnSumBytes()));
        Factors factors = new Factors(storage(4L * n), storage(4L * n), storage(4L * n));
        DeviceStorage g = storage(tiling.gradientBytes());
        time(n, d, "normalise", stream, () -> {
            kernels.normalize(stream, in.u(), n, d, x, outputs.inverseNormU());
            kernels.normalize(stream, in.v(), n, d, y, outputs.inverseNormV());
        });
        time(n, d, "forward", stream, () -> kernels.forward(stream, tiling, x, y, null, 0, in.scale(), sums));
        time(n, d, "merge", stream,
                () -> kernels.merge(stream, tiling, sums, null, in.scale(), 16_384, 0.5f, 0.5f, factors,
                outputs.losses()));
        time(n, d, "g", stream, () -> kernels.gradients(stream, tiling, x, y, null, 0, in.scale(), factors, g));
        time(n, d, "dx", stream, () -> kernels.rowGradients(stream, tiling, g, y, in.scale(), 1, outputs.dx(), false));
        time(n, d, "dy", stream, () -> kernels.columnGradients(stream, tiling, g, x, in.scale(), 1, outputs.dy(),
                false));
    }

    /**
     * @param arguments device (cuda, sim), file to write, and pairs of n and d where others than the usual are wanted
     */
    public static void main(String[] arguments) throws IOException {
        if (arguments.length < 2 || arguments.length % 2 != 0) {
            System.err.println("usage: HopperTimes DEVICE FILE [n d ...]");
            System.exit(2);
        }
        int[] sizes = arguments.length == 2 ? SIZES
                : Arrays.stream(arguments, 2, arguments.length).mapToInt(Integer::parseInt).toArray();
        try (PtxDevice device = Backend.device(arguments[0]);
                PrintWriter out = new PrintWriter(Files.newBufferedWriter(Path.of(arguments[1]),
                        StandardCharsets.UTF_8))) {
            out.println("# " + device.facts().name() + ", driver " + device.facts().driver() + ", bf16, median of "
                    + REPEATS);
            for (int i = 0; i < sizes.length; i += 2) {
                new HopperTimes(device, out).times(sizes[i], sizes[i + 1]);
            }
        }
    }
}
