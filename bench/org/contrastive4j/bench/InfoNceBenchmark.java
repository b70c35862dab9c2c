package org.contrastive4j.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.contrastive4j.Backend;
import org.contrastive4j.loss.InfoNce;
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
 * Value and gradient of symmetric InfoNCE from raw representations, f32, d = 512, two threads: 8 n n d flops here, 6 n n d in PyTorch, which
 * keeps the logits. Setup refuses to measure a peer that disagrees.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(value = 1, jvmArgsAppend = {"-Xmx3g", "-Dcontrastive4j.threads=2", "-Dai.djl.pytorch.num_threads=2", "-DOMP_NUM_THREADS=2"})
@Warmup(iterations = 1, time = 5)
@Measurement(iterations = 3, time = 6)
public class InfoNceBenchmark {
    private static final int D = 512;
    private static final int THREADS = 2;

    @Param({"1024", "4096", "8192"})
    int n;

    @Param({"contrastive4j", "pytorch-javacpp", "pytorch-djl"})
    String peer;

    private Ops ops;
    private InfoNce loss;
    private Tensor u;
    private Tensor v;
    private Tensor du;
    private Tensor dv;
    private TorchInfoNce torch;
    private DjlInfoNce djl;
    private long residentBefore;

    @Setup(Level.Trial)
    public void setup() throws IOException {
        float[] left = normal(1);
        float[] right = normal(2);
        ops = Backend.open("cpu");
        loss = InfoNce.symmetric(ops);
        u = tensor(left);
        v = tensor(right);
        du = ops.allocate(n, D);
        dv = ops.allocate(n, D);
        if (peer.equals("contrastive4j")) {
            residentBefore = resident("VmRSS");
            ops.memory().resetPeak();
            return;
        }
        double ours = loss.valueAndGradient(u, v, null, du, dv, 1, null).loss();
        if (peer.equals("pytorch-javacpp")) {
            long[] targets = new long[n];
            for (int i = 0; i < n; i++) {
                targets[i] = i;
            }
            torch = new TorchInfoNce(doubles(left), n, doubles(right), n, D, targets, InfoNce.INITIAL_LOG_SCALE, 0, true,
                    ScalarType.Float, THREADS);
            TorchInfoNce.Answer answer = torch.answer();
            compare(ours, answer.loss(), du.toDoubles(), answer.du(), dv.toDoubles(), answer.dv());
        } else {
            djl = new DjlInfoNce(left, right, n, D, (float) InfoNce.INITIAL_LOG_SCALE);
            double value = djl.run();
            compare(ours, value, du.toDoubles(), doubles(djl.du()), dv.toDoubles(), doubles(djl.dv()));
        }
        residentBefore = resident("VmRSS");
    }

    private static void compare(double ours, double theirs, double[]... gradients) {
        if (!(Math.abs(ours - theirs) <= 1e-5 * Math.abs(ours))) {
            throw new IllegalStateException("losses disagree: " + ours + " and " + theirs);
        }
        for (int k = 0; k < gradients.length; k += 2) {
            double difference = 0;
            double size = 0;
            for (int i = 0; i < gradients[k].length; i++) {
                difference += Math.pow(gradients[k][i] - gradients[k + 1][i], 2);
                size += Math.pow(gradients[k][i], 2);
            }
            if (!(Math.sqrt(difference / size) <= 1e-5)) {
                throw new IllegalStateException("gradients disagree by " + Math.sqrt(difference / size));
            }
        }
    }

    @Benchmark
    public double valueAndGradient() {
        return switch (peer) {
            case "contrastive4j" -> loss.valueAndGradient(u, v, null, du, dv, 1, null).loss();
            case "pytorch-javacpp" -> torch.run();
            default -> djl.run();
        };
    }

    @TearDown(Level.Trial)
    public void tearDown() throws IOException {
        System.out.printf("%n%s n=%d: peak resident %d MiB, %d MiB above the start of measuring", peer, n,
                resident("VmHWM") >> 20, resident("VmHWM") - residentBefore >> 20);
        if (peer.equals("contrastive4j")) {
            System.out.printf("; counted beyond inputs and outputs %.1f MiB",
                    (ops.memory().peakBytes() - ops.memory().currentBytes()) / 1048576.0);
        }
        System.out.println();
        if (torch != null) {
            torch.close();
        }
        if (djl != null) {
            djl.close();
        }
    }

    /** A field of /proc/self/status in bytes. */
    private static long resident(String field) throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith(field + ":")) {
                return Long.parseLong(line.replaceAll("\\D", "")) << 10;
            }
        }
        throw new IOException("no " + field + " in /proc/self/status");
    }

    private float[] normal(long seed) {
        Random random = new Random(seed);
        float[] values = new float[n * D];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    private Tensor tensor(float[] values) {
        Tensor tensor = ops.allocate(Shape.of(n, D));
        tensor.set(values);
        return tensor;
    }

    private static double[] doubles(float[] values) {
        double[] result = new double[values.length];
        for (int i = 0; i < result.length; i++) {
            result[i] = values[i];
        }
        return result;
    }
}
