package org.contrastive4j.bench.device;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.nio.file.Files;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.contrastive4j.Backend;
import org.contrastive4j.bench.device.PairwiseCase.Kind;
import org.contrastive4j.device.DeviceException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.cuda.CudaDevice;
import org.contrastive4j.memory.Memory;
import org.contrastive4j.memory.Memory.OutOfBudgetException;

/**
 * Device time of value and gradients of the pairwise loss: right first, then as one graph and kernel by kernel,
 * next to the rate of a large matrix product of the same run and the prediction of {@link CostModel}; then the
 * largest batch that fits.
 *
 * <p>Writes {@code times.json} after every case, so that a run that is stopped leaves what it had, and a table to the
 * output at the end. The exit status is 1 if a comparison failed.
 */
public final class PairwiseTimes {
    private static final int MOST_REPEATS = 40;
    private static final int OTHER_RUNS = 7;
    private static final int KERNEL_REPEATS = 5;
    private static final double EXPECTED_SHARE = 0.5;
    private static final double LARGEST_SHARE = 0.7; // of the time that is left
    private static final int LEAST_WIDTH = 128;

    private final PairwiseTimesOptions options;
    private final PtxDevice device;
    private final long begin = System.nanoTime();
    private final Map<String, Object> report = new LinkedHashMap<>();
    private final List<Map<String, Object>> cases = new ArrayList<>();
    private final Map<List<Integer>, Agreement> agreements = new HashMap<>();
    private final List<Map<String, Object>> largest = new ArrayList<>();
    private MatrixRate rate;
    private boolean allAgree = true;

    private PairwiseTimes(PairwiseTimesOptions options, PtxDevice device) {
        this.options = options;
        this.device = device;
    }

    private double secondsLeft() {
        return options.seconds() - (System.nanoTime() - begin) / 1e9;
    }

    private void trim() {
        if (device instanceof CudaDevice cuda) {
            cuda.trim();
        }
    }

    private void run() throws IOException {
        rate = MatrixRate.measure(device, device instanceof CudaDevice, options.matrix(), 2 * options.repeats() + 1);
        report.put("date", Instant.now().toString());
        report.put("device", device.facts());
        report.put("timesMeanSomething", device instanceof CudaDevice);
        report.put("options", options);
        report.put("matrixRateBefore", rate);
        report.put("cases", cases);
        report.put("largest", largest);
        write();
        cases(false);
        largest();
        write();
        cases(true);
        MatrixRate after =
                MatrixRate.measure(device, device instanceof CudaDevice, options.matrix(), 2 * options.repeats() + 1);
        report.put("matrixRateAfter", after);
        rate = rate.orMore(after);
        for (Map<String, Object> line : cases) {
            addShare(line);
        }
        report.put("allAgree", allAgree);
        write();
    }

    private void write() throws IOException {
        new ObjectMapper()
                .enable(SerializationFeature.INDENT_OUTPUT)
                .writeValue(options.out().resolve("times.json").toFile(), report);
    }

    /** @param late whether to run the portable cases, which take seconds each, or all other cases */
    private void cases(boolean late) throws IOException {
        for (int n : options.sizes()) {
            for (int d : options.widths()) {
                cases(n, d, late);
            }
        }
        for (int n : options.wideSizes()) {
            cases(n, options.largestWidth(), late);
        }
    }

    private void cases(int n, int d, boolean late) throws IOException {
        List<Kind> kinds = options.kinds().stream()
                .filter(kind -> (kind.isPortable() && n >= options.late()) == late)
                .toList();
        if (kinds.isEmpty()) {
            return;
        }
        Features features = Features.random(31L * n + d, n, d);
        Agreement agreement =
                agreements.computeIfAbsent(List.of(n, d), key -> new Agreement(features, options.scale()));
        for (Kind kind : kinds) {
            cases.add(measured(kind, features, agreement));
            write();
        }
    }

    /** Expected rate of a kind before its first measurement. */
    private double expectedFlops(Kind kind) {
        double seen = cases.stream()
                .filter(line -> kind.toString().equals(line.get("kind")) && line.containsKey("teraflops"))
                .mapToDouble(line -> (Double) line.get("teraflops") * 1e12)
                .reduce((a, b) -> b)
                .orElse(0);
        return seen > 0 ? seen : EXPECTED_SHARE * rate.flops().getOrDefault(kind.type(), 60e12);
    }

    private Map<String, Object> measured(Kind kind, Features features, Agreement agreement) {
        int n = features.u().length;
        int d = features.d();
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("kind", kind.toString());
        line.put("n", n);
        line.put("d", d);
        if (!kind.isPortable() && device.facts().architecture() != 90) {
            line.put(
                    "skipped",
                    "kernels of sm_90a, and this is sm_" + device.facts().architecture());
            return line;
        }
        double seconds = 8.0 * n * n * d / expectedFlops(kind);
        double needed = (options.repeats() + OTHER_RUNS) * seconds;
        if (needed > secondsLeft()) {
            line.put(
                    "skipped",
                    "no time: would take " + Math.round(needed) + " s, left are " + Math.round(secondsLeft()));
            return line;
        }
        trim();
        long before = device.currentBytes();
        try (Memory.Meter memory = device.meter();
                DeviceStorage u = Features.upload(device, features.u());
                DeviceStorage v = Features.upload(device, features.v());
                PairwiseCase loss =
                        new PairwiseCase(device, kind, options.scale(), u, v, n, true, options.stripeBytes())) {
            line.put("peakBytes", memory.peakBytes() - before);
            try (DeviceStream stream = device.newStream()) {
                PairwiseCase.Launches launches = loss.launches(device);
                Map<String, Object> errors = agreement.check(kind, loss, launches, stream);
                line.put("agreement", errors);
                time(line, loss, launches, stream);
                boolean same = agreement.sameBits(kind, loss);
                line.put("sameBitsAsGraph", same);
                allAgree &= same && Boolean.TRUE.equals(errors.get("agrees"));
            }
        } catch (OutOfBudgetException e) {
            line.put("skipped", "out of memory: " + e.getMessage());
            return line;
        } catch (DeviceException e) { // other cases can still run unless the device is lost
            line.put("failed", e.toString());
            allAgree = false;
            return line;
        }
        line.put("teraflops", 8e-9 * n * n * d / (Double) line.get("milliseconds"));
        addShare(line);
        return line;
    }

    /** Times the graph and each kernel several times; the L2 cache is evicted between repetitions of the graph. */
    private void time(
            Map<String, Object> line, PairwiseCase loss, PairwiseCase.Launches launches, DeviceStream stream) {
        try (DeviceStream.Graph graph = stream.capture(() -> launches.run(stream, 0.5, 0.5));
                DeviceStorage flush = device.allocate(options.flushBytes(), stream)) {
            loss.poison(stream);
            graph.launch(stream);
            double once = milliseconds(graph, stream, flush);
            int repeats = (int) Math.max(options.repeats(), Math.min(MOST_REPEATS, 1e3 * options.caseSeconds() / once))
                    / 2
                    * 2;
            double[] times = new double[repeats];
            for (int i = 0; i < repeats; i++) {
                times[i] = milliseconds(graph, stream, flush);
            }
            double first = median(Arrays.copyOf(times, repeats / 2));
            double second = median(Arrays.copyOfRange(times, repeats / 2, repeats));
            line.put("milliseconds", median(times));
            line.put("least", Arrays.stream(times).min().orElseThrow());
            line.put("halvesDiffer", Math.abs(first - second) / median(times));
            line.put("repeats", repeats);
            line.put("nodes", graph.nodes());
            line.put("kernels", kernels(loss, graph, stream, (int)
                    Math.max(1, Math.min(KERNEL_REPEATS, 500 * options.caseSeconds() / once))));
        }
    }

    private static double milliseconds(DeviceStream.Graph graph, DeviceStream stream, DeviceStorage flush) {
        stream.fill(flush, (byte) 1);
        try (DeviceStream.Event begin = stream.record()) {
            graph.launch(stream);
            try (DeviceStream.Event end = stream.record()) {
                return end.millisecondsSince(begin);
            }
        }
    }

    /**
     * Returns the median time of each kernel, summed over its launches; a graph launched before keeps the stream busy
     * while the host enqueues the launches.
     */
    private Map<String, Double> kernels(PairwiseCase loss, DeviceStream.Graph graph, DeviceStream stream, int repeats) {
        Map<String, double[]> times = new LinkedHashMap<>();
        try (TimedDevice timed = new TimedDevice(device)) {
            PairwiseCase.Launches launches = loss.launches(timed);
            for (int i = 0; i < repeats; i++) {
                int at = i;
                graph.launch(stream);
                launches.run(stream, 0.5, 0.5);
                timed.take()
                        .forEach((name, time) -> times.computeIfAbsent(name, key -> new double[repeats])[at] = time);
            }
        }
        Map<String, Double> medians = new LinkedHashMap<>();
        times.forEach((name, values) -> medians.put(name, median(values)));
        return medians;
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        int half = sorted.length / 2;
        return sorted.length % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
    }

    private void addShare(Map<String, Object> line) {
        Double flops = rate.flops().get(Kind.of((String) line.get("kind")).type());
        if (flops != null && line.containsKey("teraflops")) {
            line.put("shareOfFloor", (Double) line.get("teraflops") * 1e12 / flops);
        }
    }

    /** Value and gradients at the largest width that the time allows; otherwise the value alone. */
    private void largest() {
        Kind kind = device.facts().architecture() == 90 ? Kind.BF16 : Kind.BF16_PORTABLE;
        if (options.largest() <= options.block() || !options.kinds().contains(kind)) {
            return;
        }
        LargestBatch search =
                new LargestBatch(device, options.scale(), options.block(), options.stripeBytes(), this::trim);
        for (boolean gradients : new boolean[] {true, false}) {
            double flops = expectedFlops(kind);
            double seconds = LARGEST_SHARE * secondsLeft();
            int d = options.largestWidth();
            while (d > LEAST_WIDTH
                    && LargestBatch.operations(gradients, options.block(), options.largest(), d) / flops > seconds) {
                d /= 2;
            }
            long deadline = System.nanoTime() + (long) (1e9 * seconds);
            List<Map<String, Object>> lines = search.find(kind, gradients, d, options.largest(), deadline, flops);
            largest.addAll(lines);
            if (!lines.get(lines.size() - 1).containsKey("stopped")) {
                break;
            }
        }
        allAgree &= largest.stream().noneMatch(line -> Boolean.FALSE.equals(line.get("agrees")));
    }

    /** Evaluates each case once, for profilers. */
    private void once() {
        for (int n : options.sizes()) {
            for (int d : options.widths()) {
                Features features = Features.random(31L * n + d, n, d);
                for (Kind kind : options.kinds()) {
                    try (DeviceStorage u = Features.upload(device, features.u());
                            DeviceStorage v = Features.upload(device, features.v());
                            PairwiseCase loss = new PairwiseCase(
                                    device, kind, options.scale(), u, v, n, true, options.stripeBytes())) {
                        loss.poison(device.stream());
                        loss.launches(device).run(device.stream(), 0.5, 0.5);
                        System.out.println(kind + " " + n + " " + d + ": loss " + loss.loss());
                    }
                }
            }
        }
    }

    private void writeMeasurements() throws IOException {
        for (Kind kind : List.of(Kind.BF16, Kind.F16)) {
            StringBuilder text = new StringBuilder("# n,d,kernel,milliseconds\n");
            for (Map<String, Object> line : cases) {
                if (kind.toString().equals(line.get("kind")) && line.containsKey("milliseconds")) {
                    Map<String, Double> times = PairwiseTable.byModelName(line);
                    times.forEach((name, time) ->
                            text.append(line.get("n") + "," + line.get("d") + "," + name + "," + time + "\n"));
                }
            }
            Files.writeString(options.out().resolve("measured-" + kind + ".csv"), text);
        }
    }

    /** @param arguments see {@link PairwiseTimesOptions}, as name=value */
    public static void main(String[] arguments) throws IOException {
        Locale.setDefault(Locale.ROOT);
        PairwiseTimesOptions options = PairwiseTimesOptions.of(arguments);
        Files.createDirectories(options.out());
        boolean agree;
        try (PtxDevice device = Backend.device(options.device())) {
            PairwiseTimes times = new PairwiseTimes(options, device);
            if (options.once()) {
                times.once();
                return;
            }
            times.run();
            times.writeMeasurements();
            PairwiseTable.print(System.out, device, times.rate, times.cases, times.largest);
            agree = times.allAgree;
        }
        if (!agree) {
            System.out.println("SOMETHING DISAGREED: see agreement in times.json; its times are worth nothing");
            System.exit(1);
        }
    }
}
