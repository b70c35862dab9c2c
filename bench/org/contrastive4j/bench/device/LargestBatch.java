package org.contrastive4j.bench.device;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.contrastive4j.bench.device.PairwiseCase.Kind;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.memory.Memory;
import org.contrastive4j.memory.Memory.OutOfBudgetException;

/**
 * Quadruples the batch until it does not fit in memory or in time.
 *
 * <p>The batch is a block of random pairs, repeated K times. Then each loss is that of the block + ln K and each
 * gradient that of the block / K, which is checked at every size.
 */
final class LargestBatch {
    private static final int SAMPLES = 8;
    private static final int GROWTH = 4;

    private final PtxDevice device;
    private final double scale;
    private final int block;
    private final long stripeBytes;
    private final Runnable trim;

    /** @param trim releases cached memory */
    LargestBatch(PtxDevice device, double scale, int block, long stripeBytes, Runnable trim) {
        this.device = device;
        this.scale = scale;
        this.block = block;
        this.stripeBytes = stripeBytes;
        this.trim = trim;
    }

    /** Results of the last run. */
    private record Values(double milliseconds, double loss, double[][] dx, double[][] dy) {}

    private static double operations(boolean gradients, int n, int d) {
        return (gradients ? 8.0 : 2.0) * n * n * d;
    }

    /** All sizes from twice the block, which is run twice, to the largest. */
    static double operations(boolean gradients, int block, int most, int d) {
        double sum = 2 * operations(gradients, block, d);
        for (int n = block; n < most; ) {
            n = (int) Math.min(GROWTH * (long) n, most);
            sum += operations(gradients, n, d);
        }
        return sum;
    }

    /**
     * Returns one line for each size; the last line names the reason for stopping.
     *
     * @param most pairs of the last size, at least 4 million for a full run; a multiple of the block
     * @param deadline of System.nanoTime: a size that should take longer, by the one before, is not begun
     * @param first flops per second expected at the first size
     */
    List<Map<String, Object>> find(Kind kind, boolean gradients, int d, int most, long deadline, double first) {
        List<Map<String, Object>> tried = new ArrayList<>();
        Features features = Features.random(11, block, d);
        double flops = first;
        Values base = run(kind, gradients, features, block);
        for (int n = block; n < most; ) {
            n = (int) Math.min(GROWTH * (long) n, most);
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("kind", kind.toString());
            line.put("gradients", gradients);
            line.put("n", n);
            line.put("d", d);
            tried.add(line);
            double operations = operations(gradients, n, d);
            double seconds = operations / flops;
            if (System.nanoTime() + (long) (1.3e9 * seconds) > deadline) {
                line.put("stopped", "no time: would take " + Math.round(seconds) + " s");
                return tried;
            }
            long before = device.currentBytes();
            try (Memory.Meter memory = device.meter()) {
                Values values = run(kind, gradients, features, n);
                flops = operations / (values.milliseconds * 1e-3);
                line.put("milliseconds", values.milliseconds);
                line.put("teraflops", flops / 1e12);
                line.put("peakBytes", memory.peakBytes() - before);
                line.put("agrees", compare(line, kind, base, values, n / block));
            } catch (OutOfBudgetException e) {
                line.put("stopped", "out of memory: " + e.getMessage());
                return tried;
            }
        }
        return tried;
    }

    private boolean compare(Map<String, Object> line, Kind kind, Values base, Values values, int copies) {
        double loss = Math.abs(values.loss - base.loss - Math.log(copies));
        line.put("loss", values.loss);
        line.put("lossToBlock", loss);
        boolean agrees = loss <= scale * Math.min(kind.tolerance, 0x1p-8);
        if (base.dx != null) {
            double dx = SampledReference.difference(values.dx, over(base.dx, copies));
            double dy = SampledReference.difference(values.dy, over(base.dy, copies));
            line.put("dxToBlock", dx);
            line.put("dyToBlock", dy);
            agrees &= dx <= kind.tolerance && dy <= kind.tolerance;
        }
        return agrees;
    }

    private static double[][] over(double[][] rows, int copies) {
        return Arrays.stream(rows)
                .map(row -> Arrays.stream(row).map(value -> value / copies).toArray())
                .toArray(double[][]::new);
    }

    /** Times one run, the block after a warm-up. The compared rows are those of the last copy of the block. */
    private Values run(Kind kind, boolean gradients, Features features, int n) {
        trim.run();
        try (DeviceStream stream = device.newStream();
                DeviceStorage u = repeated(features.u(), n, stream);
                DeviceStorage v = repeated(features.v(), n, stream);
                PairwiseCase loss = new PairwiseCase(device, kind, scale, u, v, n, gradients, stripeBytes)) {
            PairwiseCase.Launches launches = loss.launches(device);
            loss.poison(stream);
            if (n == block) {
                launches.run(stream, 0.5, 0.5);
            }
            stream.synchronize();
            try (DeviceStream.Event begin = stream.record()) {
                launches.run(stream, 0.5, 0.5);
                try (DeviceStream.Event end = stream.record()) {
                    int[] samples = IntStream.range(0, SAMPLES)
                            .map(i -> n - block + (int) ((long) i * (block - 1) / (SAMPLES - 1)))
                            .toArray();
                    return new Values(
                            end.millisecondsSince(begin),
                            loss.loss(),
                            gradients ? loss.dx(samples) : null,
                            gradients ? loss.dy(samples) : null);
                }
            }
        }
    }

    private DeviceStorage repeated(float[][] rows, int n, DeviceStream stream) {
        long bytes = 4L * block * rows[0].length;
        DeviceStorage all = device.allocate(bytes / block * n);
        try (DeviceStorage one = Features.upload(device, rows)) {
            for (int i = 0; i < n / block; i++) {
                stream.copy(one, 0, all, i * bytes, bytes);
            }
            stream.synchronize();
        } catch (RuntimeException e) {
            all.close();
            throw e;
        }
        return all;
    }
}
