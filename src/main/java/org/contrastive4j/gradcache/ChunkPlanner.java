package org.contrastive4j.gradcache;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.contrastive4j.gradcache.GradCache.ChunkPlan;
import org.contrastive4j.memory.Memory;
import org.contrastive4j.memory.Memory.OutOfBudgetException;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;

/**
 * Chooses the chunk size of each encoder and the number of chunks whose activations are kept between the passes.
 *
 * <p>The memory of a chunk is modelled as a linear function of its number of samples. Two trial passes with few samples
 * per encoder determine this function. A trial runs backward with a zero gradient, which leaves the gradients of the
 * parameters unchanged.
 *
 * <p>Tested by {@code EncodersTest}.
 */
final class ChunkPlanner<B> {
    /** Largest chunk chosen: matrix products reach full speed, and the rest of the budget can keep activations. */
    static final int LARGEST_CHOSEN_CHUNK = 128;

    private static final long KEEP_NOTHING = Long.MIN_VALUE;

    private final Ops ops;
    private final List<Integer> chunks; // one per encoder; 0: to be chosen
    private final long budget;
    private final boolean forCapture;

    private ChunkPlanner(Ops ops, List<Integer> chunks, long budget, boolean forCapture) {
        this.ops = ops;
        this.chunks = List.copyOf(chunks);
        this.budget = budget;
        this.forCapture = forCapture;
    }

    /** Returns a planner whose budget also covers the fragmentation of the arena of a {@link CapturedStep}. */
    ChunkPlanner<B> forCapture() {
        return new ChunkPlanner<>(ops, chunks, budget, true);
    }

    /** Creates a planner with given chunk sizes; a budget of Long.MIN_VALUE keeps no activations. */
    static <B> ChunkPlanner<B> fixed(Ops ops, List<Integer> chunks, long budget) {
        for (int chunk : chunks) {
            if (chunk < 1) {
                throw new IllegalArgumentException("expected a chunk size of 1 or more, got " + chunk);
            }
        }
        return new ChunkPlanner<>(ops, chunks, budget, false);
    }

    /** Creates a planner that chooses the chunk sizes within a budget. */
    static <B> ChunkPlanner<B> choosing(Ops ops, int encoders, long budget) {
        return new ChunkPlanner<>(ops, Collections.nCopies(encoders, 0), budget, false);
    }

    /** Bytes as a linear function of the number of samples. */
    private record Line(long atOne, long perSample) {
        static Line through(int samples1, long bytes1, int samples2, long bytes2) {
            long slope = samples2 == samples1 ? 0 : (bytes2 - bytes1) / (samples2 - samples1);
            return new Line(bytes1 - slope * (samples1 - 1), slope);
        }

        long at(int samples) {
            return atOne + perSample * (samples - 1L);
        }
    }

    private record Cost(Line activations, Line peak) {}

    ChunkPlan plan(List<ChunkEncoder<B>> encoders, B batch, RepresentationLoss<B, ?> loss) {
        check(encoders, batch);
        Memory memory = ops.memory();
        long representations = 0;
        List<Tensor> shapes = new ArrayList<>();
        long workspace;
        try {
            for (ChunkEncoder<B> encoder : encoders) {
                Tensor all = ops.allocateParameter(encoder.samples(batch), encoder.width());
                shapes.add(all);
                representations += (encoder.isTrainable() ? 2 : 1) * all.bytes();
            }
            workspace = loss.workspaceBytes(batch, shapes);
        } finally {
            shapes.forEach(Tensor::close);
        }
        List<Cost> costs = new ArrayList<>();
        if (budget != KEEP_NOTHING) {
            for (ChunkEncoder<B> encoder : encoders) {
                costs.add(measure(encoder, batch));
            }
        }
        long base = memory.currentBytes();
        return arrange(encoders, batch, base, representations, workspace, costs);
    }

    private void check(List<ChunkEncoder<B>> encoders, B batch) {
        if (chunks.size() != encoders.size()) {
            throw new ShapeException(
                    "expected one chunk size for each of " + encoders.size() + " encoders, got " + chunks.size());
        }
        for (int e = 0; e < chunks.size(); e++) {
            int samples = encoders.get(e).samples(batch);
            if (samples < 1) {
                throw new ShapeException("expected at least one sample for encoder "
                        + encoders.get(e).name() + ", got an empty batch");
            }
            if (chunks.get(e) > samples) {
                throw new ShapeException("expected a chunk size of at most the batch of " + samples + " for encoder "
                        + encoders.get(e).name() + ", got " + chunks.get(e) + "; choose a smaller chunk");
            }
        }
    }

    private Cost measure(ChunkEncoder<B> encoder, B batch) {
        int samples = encoder.samples(batch);
        int small = Math.min(2, samples);
        int large = Math.min(6, samples);
        long[] first = trial(encoder, batch, small);
        long[] second = trial(encoder, batch, large);
        return new Cost(
                Line.through(small, first[0], large, second[0]), Line.through(small, first[1], large, second[1]));
    }

    /** Returns the bytes of the activations and the peak bytes of the forward and backward pass. */
    private long[] trial(ChunkEncoder<B> encoder, B batch, int samples) {
        Memory memory = ops.memory();
        try (Tensor into = ops.allocateParameter(samples, encoder.width());
                Tensor zeros = ops.zeroParameter(into.shape())) {
            if (!encoder.isTrainable()) {
                try (Memory.Meter meter = memory.meter()) {
                    long before = memory.currentBytes();
                    encoder.encode(batch, 0, samples, into);
                    return new long[] {0, meter.peakBytes() - before};
                }
            }
            runOnce(encoder, batch, samples, into, zeros); // allocates the gradients of the parameters before measuring
            long before = memory.currentBytes();
            try (Memory.Meter meter = memory.meter();
                    ChunkEncoder.Pass pass = encoder.encodeForBackward(batch, 0, samples, into)) {
                long activations = memory.currentBytes() - before;
                pass.backward(zeros);
                return new long[] {activations, meter.peakBytes() - before};
            }
        }
    }

    private void runOnce(ChunkEncoder<B> encoder, B batch, int samples, Tensor into, Tensor zeros) {
        try (ChunkEncoder.Pass pass = encoder.encodeForBackward(batch, 0, samples, into)) {
            pass.backward(zeros);
        }
    }

    private ChunkPlan arrange(
            List<ChunkEncoder<B>> encoders,
            B batch,
            long base,
            long representations,
            long workspace,
            List<Cost> costs) {
        long most = forCapture && budget != KEEP_NOTHING ? base + CapturedStep.largestStep(budget - base) : budget;
        long fixed = base + representations;
        List<Integer> sizes = new ArrayList<>();
        long transientBytes = workspace;
        for (int e = 0; e < encoders.size(); e++) {
            int samples = encoders.get(e).samples(batch);
            Cost cost = costs.isEmpty() ? null : costs.get(e);
            int chunk =
                    chunks.get(e) > 0 || cost == null ? chunks.get(e) : largestThatFits(samples, cost, most - fixed);
            sizes.add(chunk);
            transientBytes = cost == null
                    ? transientBytes
                    : Math.max(transientBytes, cost.peak().at(chunk));
        }
        if (budget != KEEP_NOTHING && fixed + transientBytes > most) {
            throw new OutOfBudgetException(
                    fixed + transientBytes - base,
                    base,
                    most,
                    "representations need " + representations + " bytes, the loss " + workspace
                            + ", forward and backward of one chunk " + transientBytes
                            + "; raise the budget, or use a smaller batch or chunk");
        }
        long available = budget == KEEP_NOTHING ? 0 : most - fixed - transientBytes;
        List<ChunkPlan.EncoderPlan> plans = new ArrayList<>();
        for (int e = 0; e < encoders.size(); e++) {
            ChunkEncoder<B> encoder = encoders.get(e);
            int samples = encoder.samples(batch);
            int chunk = sizes.get(e);
            long activations = costs.isEmpty() ? 0 : costs.get(e).activations().at(chunk);
            int count = (samples + chunk - 1) / chunk;
            int kept = available <= 0 || !encoder.isTrainable()
                    ? 0
                    : (int) Math.min(count, available / Math.max(activations, 1));
            available -= kept * activations;
            plans.add(new ChunkPlan.EncoderPlan(
                    encoder.name(),
                    samples,
                    chunk,
                    kept,
                    activations,
                    costs.isEmpty() ? 0 : costs.get(e).peak().at(chunk)));
        }
        return new ChunkPlan(base, representations, workspace, plans);
    }

    private static int largestThatFits(int samples, Cost cost, long bytes) {
        int chunk = 1;
        while (chunk * 2 <= Math.min(samples, LARGEST_CHOSEN_CHUNK)
                && cost.peak().at(chunk * 2) <= bytes) {
            chunk *= 2;
        }
        return chunk;
    }
}
