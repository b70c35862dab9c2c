package org.contrastive4j.bench;

import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.Tape;
import org.contrastive4j.autograd.Variable;
import org.contrastive4j.data.Batch;
import org.contrastive4j.gradcache.GradCache;
import org.contrastive4j.gradcache.LossOverEncoders;
import org.contrastive4j.internal.batch.Encoders;
import org.contrastive4j.internal.batch.TrainBatch;
import org.contrastive4j.loss.InfoNce;
import org.contrastive4j.loss.LossFunction;
import org.contrastive4j.loss.PairLabels;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.contrastive4j.train.TrainConfig;
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
 * One gradient of the default model over 1,024 pairs: the plain step (everything on one tape) against chunks of
 * 128 at several shares of the activations kept. Keeping nothing encodes every chunk twice: 4/3 of the plain
 * step's arithmetic.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(
        value = 1,
        jvmArgsAppend = {"-Xmx2g", "-Dcontrastive4j.threads=2"})
@Warmup(iterations = 2, time = 4)
@Measurement(iterations = 4, time = 5)
public class GradCacheBenchmark {
    private static final int PAIRS = 1024;
    private static final int CHUNK = 128;

    /** Share of all activations that may be kept, or the plain step. */
    @Param({"plain", "0", "0.25", "0.5", "1"})
    String keep;

    private Ops ops;
    private DualEncoder model;
    private InfoNce loss;
    private TrainBatch batch;
    private GradCache<TrainBatch, PairwiseOps.Result> cache;
    private Tensor one;
    private long base;

    @Setup(Level.Trial)
    public void setup() {
        ops = Backend.open("cpu");
        DualEncoder.Config config = TrainConfig.emoji().model();
        model = new DualEncoder(ops, config, 1);
        loss = InfoNce.symmetric(ops);
        model.parameters().forEach(Parameter::gradient);
        loss.parameters().forEach(Parameter::gradient);
        batch = new TrainBatch(ops, random(config), 1, 1);
        one = ops.tensor(Shape.of(1), 1);
        base = ops.memory().currentBytes();
        if (!keep.equals("plain")) {
            GradCache<TrainBatch, PairwiseOps.Result> all = budget(Long.MAX_VALUE / 2);
            long kept = all.plan(batch).encoders().stream()
                    .mapToLong(e -> e.kept() * e.chunkActivations())
                    .sum();
            long rest = all.plan(batch).peak() - kept;
            cache = budget(rest + (long) (Double.parseDouble(keep) * kept));
            cache.plan(batch);
        }
        ops.memory().resetPeak();
    }

    private GradCache<TrainBatch, PairwiseOps.Result> budget(long bytes) {
        return GradCache.ofChunks(
                ops, Encoders.of(ops, model), LossOverEncoders.of(loss), List.of(CHUNK, CHUNK), bytes);
    }

    private static Batch random(DualEncoder.Config config) {
        Random random = new Random(1);
        int size = config.image().imageSize();
        float[] pictures = new float[PAIRS * size * size * 3];
        for (int i = 0; i < pictures.length; i++) {
            pictures[i] = (float) random.nextGaussian();
        }
        int tokens = config.text().maxTokens();
        int[] ids = random.ints((long) PAIRS * tokens, 2, config.text().vocabulary())
                .toArray();
        int[] lengths = random.ints(PAIRS, 4, tokens + 1).toArray();
        return new Batch(random.ints(PAIRS, 0, 1 << 20).toArray(), size, pictures, tokens, ids, lengths);
    }

    @Benchmark
    public double step() {
        model.parameters().forEach(Parameter::zeroGradient);
        loss.parameters().forEach(Parameter::zeroGradient);
        if (cache != null) {
            return cache.step(batch, 1).get().loss();
        }
        try (Tape tape = Tape.recording(ops)) {
            LossFunction last = new LossFunction(loss, PairLabels.DIAGONAL);
            Variable u = Encoders.picturesOn(tape, model, batch, 0, PAIRS);
            Variable v = Encoders.captionsOn(tape, model, batch, 0, PAIRS);
            tape.backward(tape.apply(last, u, v, loss.logScale()), one);
            return last.result().loss();
        }
    }

    @TearDown(Level.Trial)
    public void tearDown() {
        System.out.printf(
                "%nkeep %s: %.1f MiB beyond weights and batch%s%n",
                keep,
                (ops.memory().peakBytes() - base) / 1048576.0,
                cache == null ? "" : ", " + cache.encodings(batch) + " chunk encodings");
    }
}
