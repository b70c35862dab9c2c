package org.contrastive4j.bench.device;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.contrastive4j.bench.device.PairwiseCase.Kind;

/**
 * Options of {@link PairwiseTimes}, each given as name=value.
 *
 * @param device as for {@code Backend.device}
 * @param out folder of results
 * @param kinds bf16, f16: kernels of sm_90a; bf16-portable, f16-portable, tf32, f32
 * @param wideSizes further sizes, of largestWidth only: what a batch takes of memory as it grows
 * @param scale logit scale
 * @param seconds after which nothing more is begun
 * @param caseSeconds of repetitions of one case
 * @param repeats at least, of one case
 * @param matrix size of the matrix product whose rate is the measure, a multiple of 256
 * @param stripeBytes of the gradient matrix that the sm_90a kernels hold at a time
 * @param flushBytes written between repetitions, more than the L2 cache holds
 * @param late portable cases of so many pairs come last
 * @param largest pairs to reach, a multiple of block; no search when not more than block
 * @param block pairs that the large batches repeat
 * @param largestWidth d of that
 * @param once one evaluation of each case and nothing else
 */
record PairwiseTimesOptions(
        String device,
        Path out,
        List<Integer> sizes,
        List<Integer> widths,
        List<Integer> wideSizes,
        List<Kind> kinds,
        double scale,
        double seconds,
        double caseSeconds,
        int repeats,
        int matrix,
        long stripeBytes,
        long flushBytes,
        int late,
        int largest,
        int block,
        int largestWidth,
        boolean once) {
    private static final Map<String, String> USUAL = Map.ofEntries(
            Map.entry("device", "cuda"),
            Map.entry("out", "."),
            Map.entry("sizes", "8192,32768,131072"),
            Map.entry("widths", "512,768,1024"),
            Map.entry("wideSizes", "65536,262144"),
            Map.entry("kinds", "bf16,f16,bf16-portable,f16-portable,tf32,f32"),
            Map.entry("scale", "14.285714"),
            Map.entry("seconds", "240"),
            Map.entry("caseSeconds", "1.5"),
            Map.entry("repeats", "2"),
            Map.entry("matrix", "8192"),
            Map.entry("stripeBytes", "16000000000"),
            Map.entry("flushBytes", "268435456"),
            Map.entry("late", "100000"),
            Map.entry("largest", "4063232"),
            Map.entry("block", "65536"),
            Map.entry("largestWidth", "512"),
            Map.entry("once", "false"));

    static PairwiseTimesOptions of(String[] arguments) {
        Map<String, String> given = new TreeMap<>(USUAL);
        for (String argument : arguments) {
            String[] parts = argument.split("=", 2);
            if (parts.length != 2 || given.replace(parts[0], parts[1]) == null) {
                throw new IllegalArgumentException(
                        "\"" + argument + "\" given, expected name=value with one of " + USUAL.keySet());
            }
        }
        return new PairwiseTimesOptions(
                given.get("device"),
                Path.of(given.get("out")),
                numbers(given.get("sizes")),
                numbers(given.get("widths")),
                numbers(given.get("wideSizes")),
                Arrays.stream(given.get("kinds").split(",")).map(Kind::of).toList(),
                Double.parseDouble(given.get("scale")),
                Double.parseDouble(given.get("seconds")),
                Double.parseDouble(given.get("caseSeconds")),
                Integer.parseInt(given.get("repeats")),
                Integer.parseInt(given.get("matrix")),
                Long.parseLong(given.get("stripeBytes")),
                Long.parseLong(given.get("flushBytes")),
                Integer.parseInt(given.get("late")),
                Integer.parseInt(given.get("largest")),
                Integer.parseInt(given.get("block")),
                Integer.parseInt(given.get("largestWidth")),
                Boolean.parseBoolean(given.get("once")));
    }

    private static List<Integer> numbers(String text) {
        return text.isEmpty()
                ? List.of()
                : Arrays.stream(text.split(",")).map(Integer::valueOf).toList();
    }
}
