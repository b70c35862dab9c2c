package org.contrastive4j.bench.device;

import java.io.PrintStream;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.contrastive4j.bench.device.PairwiseCase.Kind;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.cuda.CudaDevice;

/** Prints the results of {@link PairwiseTimes} as a table. */
final class PairwiseTable {
    private static final String[] MODEL = {
        "normalize",
        "normalise",
        "_wide_",
        "statistics",
        "_fwd_",
        "forward",
        "_g_",
        "g",
        "_stored_",
        "g",
        "_dx_",
        "dx",
        "_dy_",
        "dy",
        "_sm90a",
        "statistics"
    };

    private PairwiseTable() {}

    static void print(
            PrintStream out,
            PtxDevice device,
            MatrixRate rate,
            List<Map<String, Object>> cases,
            List<Map<String, Object>> largest) {
        if (!(device instanceof CudaDevice)) {
            out.println("REHEARSAL on the simulator: times and shares mean nothing");
        }
        out.println(device.facts());
        out.printf("matrix product of size %d by %s, TFLOP/s:", rate.size(), rate.source());
        rate.flops().forEach((type, flops) -> out.printf(" %s %.4g", type, flops / 1e12));
        out.println();
        out.printf(
                "%n%13s %8s %5s %11s %11s %7s %8s %7s %10s %9s %7s%n",
                "kind", "n", "d", "ms", "least", "halves", "TFLOP/s", "floor", "predicted", "MiB", "agrees");
        for (Map<String, Object> line : cases) {
            out.printf("%13s %8d %5d ", line.get("kind"), line.get("n"), line.get("d"));
            if (!line.containsKey("milliseconds")) {
                out.println(line.getOrDefault("skipped", line.get("failed")));
                continue;
            }
            Double predicted = predictions(line).get("all");
            Double share = (Double) line.get("shareOfFloor");
            out.printf(
                    "%11.4f %11.4f %6.1f%% %8.4g %7s %10s %9.1f %7s%n",
                    line.get("milliseconds"),
                    line.get("least"),
                    100 * (Double) line.get("halvesDiffer"),
                    line.get("teraflops"),
                    share == null ? "-" : String.format("%.1f%%", 100 * share),
                    predicted == null ? "-" : String.format("%.4f", predicted),
                    (Long) line.get("peakBytes") / 1048576.0,
                    ((Map<?, ?>) line.get("agreement")).get("agrees"));
        }
        out.println("\nkernels, ms (all launches of one evaluation) and what the cost model says");
        for (Map<String, Object> line : cases) {
            kernels(out, line);
        }
        out.println("\nlargest batch");
        largest.forEach(out::println);
    }

    private static void kernels(PrintStream out, Map<String, Object> line) {
        if (line.get("kernels") instanceof Map<?, ?> kernels) {
            out.printf("%s %d %d%n", line.get("kind"), line.get("n"), line.get("d"));
            Map<String, Double> predictions = predictions(line);
            kernels.forEach((name, time) -> {
                Double predicted = predictions.get(modelName((String) name));
                out.printf(
                        "  %-32s %11.4f %11s%n",
                        name, time, predicted == null ? "-" : String.format("%.4f", predicted));
            });
        }
    }

    private static Map<String, Double> predictions(Map<String, Object> line) {
        return Kind.of((String) line.get("kind")).isPortable()
                ? Map.of()
                : CostModel.predicted((Integer) line.get("n"), (Integer) line.get("d"));
    }

    private static String modelName(String kernel) {
        for (int i = 0; i < MODEL.length; i += 2) {
            if (kernel.contains(MODEL[i])) {
                return MODEL[i + 1];
            }
        }
        return kernel;
    }

    /** Returns milliseconds by kernel name of {@link CostModel}. */
    static Map<String, Double> byModelName(Map<String, Object> line) {
        Map<String, Double> times = new LinkedHashMap<>();
        ((Map<?, ?>) line.get("kernels"))
                .forEach((name, time) -> times.merge(modelName((String) name), (Double) time, Double::sum));
        times.put("all", (Double) line.get("milliseconds"));
        return times;
    }
}
