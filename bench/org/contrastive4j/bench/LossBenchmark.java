package org.contrastive4j.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.function.DoubleSupplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.loss.ContrastiveLoss;
import org.contrastive4j.loss.DistilledContrast;
import org.contrastive4j.loss.Losses;
import org.contrastive4j.loss.PairLabels;
import org.contrastive4j.loss.QueueContrast;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Value and gradient of each named loss from raw representations, f32, two threads, against the same loss in PyTorch,
 * which stores the logits. Setup throws if the peer disagrees. The two representations of a pair are similar,
 * as in training: at random ones, losses are sums of ties and the comparison of gradients is one of rounding.
 *
 * <p>A queue has n past keys; momentum encoders make nearly what the trained ones do.
 *
 * <p>Memory is printed at the end of each trial: the peak resident set above that before the first call, for both, and
 * what this library's memory counted beyond inputs and outputs.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(
        value = 1,
        jvmArgsAppend = {"-Xmx3g", "-Dcontrastive4j.threads=2", "-DOMP_NUM_THREADS=2"})
@Warmup(iterations = 1, time = 5)
@Measurement(iterations = 3, time = 6)
public class LossBenchmark {
    private static final int THREADS = 2;
    private static final double TOLERANCE = 2e-4; // of f32 gradients, relative to their norm

    @Param({
        "infonce",
        "infonce-rows",
        "infonce-smoothed",
        "infonce-multipositive",
        "infonce-fourway",
        "siglip",
        "bce",
        "bce-balanced",
        "bce-warmup",
        "triplet",
        "triplet-hardest",
        "triplet-semihard",
        "sinkhorn",
        "sinkhorn-symmetric",
        "infonce-distilled",
        "queue"
    })
    String loss;

    @Param("4096")
    int n;

    @Param("512")
    int d;

    @Param({"contrastive4j", "pytorch-javacpp"})
    String peer;

    private Ops ops;
    private AutoCloseable ours;
    private List<Parameter> parameters;
    private DoubleSupplier call; // value and gradient
    private Tensor u;
    private Tensor v;
    private Tensor du;
    private Tensor dv;
    private Tensor ids;
    private final List<Tensor> momentum = new ArrayList<>(); // of u, of v, past of u, past of v
    private TorchContrast torch;
    private long residentBefore;

    @Setup(Level.Trial)
    public void setup() throws IOException {
        Random random = new Random(1);
        float[] left = new float[n * d];
        float[] right = new float[n * d];
        for (int i = 0; i < left.length; i++) {
            left[i] = (float) random.nextGaussian();
            right[i] = left[i] + 2 * (float) random.nextGaussian();
        }
        int[] tags = IntStream.range(0, n).map(i -> i / 2).toArray();
        ops = Backend.open("cpu");
        u = tensor(left);
        v = tensor(right);
        du = ops.allocate(n, d);
        dv = ops.allocate(n, d);
        ids = ops.ints(Shape.of(n), tags);
        float[][] averaged = Losses.names().contains(loss)
                ? null
                : new float[][] {near(left, random), near(right, random), near(left, random), near(right, random)};
        open(averaged);
        parameters.forEach(parameter -> parameter.gradient()); // allocates the gradients before the measurement
        if (peer.equals("contrastive4j")) {
            residentBefore = resetResident();
            ops.memory().resetPeak();
            return;
        }
        torch = new TorchContrast(
                loss,
                doubles(left),
                doubles(right),
                n,
                d,
                IntStream.of(tags).asLongStream().toArray(),
                averaged == null
                        ? null
                        : Stream.of(averaged).map(LossBenchmark::doubles).toArray(double[][]::new),
                parameters.get(0).value().toDoubles()[0],
                parameters.size() == 1 ? 0 : parameters.get(1).value().toDoubles()[0],
                ScalarType.Float,
                THREADS);
        double value = call.getAsDouble();
        residentBefore = resetResident();
        compare(value, torch.answer());
    }

    private void open(float[][] averaged) {
        if (averaged != null) {
            Stream.of(averaged).forEach(rows -> momentum.add(tensor(rows)));
        }
        switch (loss) {
            case Losses.QUEUE -> {
                QueueContrast queue = new QueueContrast(ops, n, d);
                queue.enqueue(momentum.get(2), momentum.get(3), null);
                call = () -> queue.valueAndGradient(u, v, momentum.get(0), momentum.get(1), null, du, dv, 1)
                        .get()
                        .loss();
                parameters = queue.parameters();
                ours = queue;
            }
            case Losses.DISTILLED -> {
                DistilledContrast distilled = new DistilledContrast(ops);
                call = () -> distilled
                        .valueAndGradient(u, v, momentum.get(0), momentum.get(1), TorchContrast.ALPHA, du, dv, 1)
                        .get()
                        .loss();
                parameters = distilled.parameters();
                ours = distilled;
            }
            default -> {
                ContrastiveLoss contrast = Losses.named(ops, loss);
                PairLabels labels =
                        loss.equals("infonce-multipositive") ? PairLabels.ids(ids, ids) : PairLabels.DIAGONAL;
                call = () ->
                        contrast.valueAndGradient(u, v, labels, du, dv, 1).get().loss();
                parameters = contrast.parameters();
                ours = contrast;
            }
        }
    }

    private static float[] near(float[] rows, Random random) {
        float[] other = rows.clone();
        for (int i = 0; i < other.length; i++) {
            other[i] += (float) random.nextGaussian() / 2;
        }
        return other;
    }

    private void compare(double value, TorchInfoNce.Answer theirs) {
        if (!(Math.abs(value - theirs.loss()) <= 1e-5 * (1 + Math.abs(value)))) {
            throw new IllegalStateException(loss + ": losses disagree: " + value + " and " + theirs.loss());
        }
        compare("du", du.toDoubles(), theirs.du());
        compare("dv", dv.toDoubles(), theirs.dv());
        if (!parameters.get(0).isFrozen()) {
            compare("dLogScale", parameters.get(0).gradient().toDoubles(), new double[] {theirs.dLogScale()});
        }
        if (parameters.size() > 1) {
            compare("dBias", parameters.get(1).gradient().toDoubles(), new double[] {theirs.dBias()});
        }
    }

    private void compare(String what, double[] mine, double[] theirs) {
        double difference = 0;
        double size = 0;
        for (int i = 0; i < mine.length; i++) {
            difference += Math.pow(mine[i] - theirs[i], 2);
            size += Math.pow(theirs[i], 2);
        }
        if (!(Math.sqrt(difference) <= TOLERANCE * (Math.sqrt(size) + 1e-6))) {
            throw new IllegalStateException(
                    loss + ": " + what + " disagrees by " + Math.sqrt(difference) + " of norm " + Math.sqrt(size));
        }
    }

    @Benchmark
    public double valueAndGradient() {
        return torch == null ? call.getAsDouble() : torch.run();
    }

    @TearDown(Level.Trial)
    public void tearDown() throws Exception {
        System.out.printf(
                "%n%s %s n=%d d=%d: peak resident %d MiB, %.1f MiB above the start",
                peer, loss, n, d, resident("VmHWM") >> 20, (resident("VmHWM") - residentBefore) / 1048576.0);
        if (torch == null) {
            System.out.printf(
                    "; counted beyond inputs and outputs %.1f MiB",
                    (ops.memory().peakBytes() - ops.memory().currentBytes()) / 1048576.0);
        } else {
            torch.close();
        }
        System.out.println();
        for (Tensor tensor : new Tensor[] {u, v, du, dv, ids}) {
            tensor.close();
        }
        momentum.forEach(Tensor::close);
        ours.close();
        ops.close();
    }

    /** Resets the peak resident set size and returns the current one. */
    private static long resetResident() throws IOException {
        Files.writeString(Path.of("/proc/self/clear_refs"), "5");
        return resident("VmRSS");
    }

    /** Returns a field of /proc/self/status in bytes. */
    private static long resident(String field) throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith(field + ":")) {
                return Long.parseLong(line.replaceAll("\\D", "")) << 10;
            }
        }
        throw new IOException("no " + field + " in /proc/self/status");
    }

    private Tensor tensor(float[] values) {
        Tensor tensor = ops.allocate(n, d);
        tensor.set(values);
        return tensor;
    }

    private static double[] doubles(float[] values) {
        return IntStream.range(0, values.length).mapToDouble(i -> values[i]).toArray();
    }
}
