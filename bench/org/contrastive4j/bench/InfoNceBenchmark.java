package org.contrastive4j.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.LongStream;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.contrastive4j.Backend;
import org.contrastive4j.internal.memory.HostMemory;
import org.contrastive4j.loss.InfoNce;
import org.contrastive4j.loss.PairLabels;
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
 * Value and gradient of symmetric InfoNCE from raw representations, f32, d = 512, two threads: 8 n n d flops here, 6 n
 * n d in PyTorch, which stores the logits. Setup throws if the peer disagrees.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
// The heap is resident from the start, so resident bytes change with native memory only. DJL would
// report its use.
@Fork(
        value = 1,
        jvmArgsAppend = {
            "-Xms2g",
            "-Xmx2g",
            "-XX:+AlwaysPreTouch",
            "-Dcontrastive4j.threads=2",
            "-Dai.djl.pytorch.num_threads=2",
            "-Dai.djl.offline=true"
        })
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
        double value = loss.valueAndGradient(u, v, PairLabels.DIAGONAL, du, dv, 1)
                .get()
                .loss();
        TorchInfoNce.Answer ours = new TorchInfoNce.Answer(
                value,
                du.toDoubles(),
                dv.toDoubles(),
                loss.logScale().gradient().toDoubles()[0],
                0);
        if (peer.equals("pytorch-javacpp")) {
            torch = new TorchInfoNce(
                    doubles(left),
                    n,
                    doubles(right),
                    n,
                    D,
                    LongStream.range(0, n).toArray(),
                    InfoNce.INITIAL_LOG_SCALE,
                    null,
                    true,
                    ScalarType.Float,
                    THREADS);
            requireAgreement(ours, torch.answer());
        } else if (peer.equals("pytorch-djl")) {
            djl = new DjlInfoNce(left, right, n, D, (float) InfoNce.INITIAL_LOG_SCALE);
            double theirs = djl.run();
            requireAgreement(
                    ours, new TorchInfoNce.Answer(theirs, doubles(djl.du()), doubles(djl.dv()), djl.dLogScale(), 0));
        }
        // Blocks that were cached during setup would hide the memory that a call needs.
        ((HostMemory) ops.memory()).trim();
        System.gc();
        Pointer.trimMemory();
        Files.writeString(Path.of("/proc/self/clear_refs"), "5"); // resets VmHWM
        residentBefore = resident("VmRSS");
        ops.memory().resetPeak();
    }

    private static void requireAgreement(TorchInfoNce.Answer ours, TorchInfoNce.Answer theirs) {
        requireClose("loss", new double[] {ours.loss()}, new double[] {theirs.loss()});
        requireClose("du", ours.du(), theirs.du());
        requireClose("dv", ours.dv(), theirs.dv());
        requireClose("dLogScale", new double[] {ours.dLogScale()}, new double[] {theirs.dLogScale()});
    }

    private static void requireClose(String what, double[] ours, double[] theirs) {
        double difference = 0;
        double size = 0;
        for (int i = 0; i < ours.length; i++) {
            difference += Math.pow(ours[i] - theirs[i], 2);
            size += Math.pow(ours[i], 2);
        }
        double relative = Math.sqrt(difference / size);
        if (!(relative <= 1e-5)) {
            throw new IllegalStateException(
                    what + " disagrees with the peer's by " + relative + ", expected at most 1e-5");
        }
    }

    @Benchmark
    public double valueAndGradient() {
        return switch (peer) {
            case "contrastive4j" ->
                loss.valueAndGradient(u, v, PairLabels.DIAGONAL, du, dv, 1)
                        .get()
                        .loss();
            case "pytorch-javacpp" -> torch.run();
            default -> djl.run();
        };
    }

    @TearDown(Level.Trial)
    public void tearDown() throws IOException {
        long peak = resident("VmHWM");
        System.out.printf(
                "%n%s n=%d: peak resident %d MiB, %d MiB above the start of measuring",
                peer, n, peak >> 20, peak - residentBefore >> 20);
        if (peer.equals("contrastive4j")) {
            System.out.printf(
                    "; counted beyond inputs and outputs %.1f MiB",
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

    /** Returns a field of /proc/self/status in bytes. */
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
