package org.contrastive4j.gradcache;

import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.contrastive4j.autograd.Function;
import org.contrastive4j.autograd.Functions;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.Variable;
import org.contrastive4j.loss.InfoNce;
import org.contrastive4j.nn.Initializer;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.PointwiseOps.RandomKey;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * Two linear encoders followed by dropout, over fixed inputs. Each kind of fault makes the chunked gradient differ from
 * that of the whole batch: NOT_KEYED draws a dropout mask that depends on the number of the call, CHUNK_STATISTICS
 * normalises by the mean of a chunk.
 */
final class LinearEncoders implements AutoCloseable {
    private final Ops ops;
    private final Tensor x;
    private final Tensor ids;
    final List<Parameter> weights;
    private final int broken;
    private int calls;

    static final int NOT_KEYED = 1;
    static final int CHUNK_STATISTICS = 2;

    LinearEncoders(Ops ops, int broken) {
        this.ops = ops;
        this.broken = broken;
        x = ops.tensor(Shape.of(12, 4), new Random(3).doubles(48, -1, 1).toArray());
        ids = ops.ints(Shape.of(12), IntStream.range(0, 12).toArray());
        Initializer init = new Initializer(ops, 1);
        weights = List.of(init.normal("left", 0.5, 4, 3), init.normal("right", 0.5, 4, 3));
    }

    GradCache<LinearEncoders, PairwiseOps.Result> cache(InfoNce loss, List<Integer> chunks) {
        return GradCache.ofChunks(ops, encoders(), LossOverEncoders.of(loss), chunks);
    }

    List<ChunkEncoder<LinearEncoders>> encoders() {
        return List.of(encoder("left", weights.get(0)), encoder("right", weights.get(1)));
    }

    private TapeEncoder<LinearEncoders> encoder(String name, Parameter weight) {
        return new TapeEncoder<>(ops, name, 3, batch -> 12, List.of(weight), (tape, batch, from, to) -> {
            Variable y = Functions.linear(tape, tape.constant("x", x.rows(from, to)), weight, null);
            if (broken == CHUNK_STATISTICS && name.equals("right")) {
                return tape.apply(new MinusChunkMean(), y);
            }
            int step = broken == NOT_KEYED ? calls++ : 0;
            return tape.scope(
                    "noise", () -> Functions.dropout(tape, y, 0.4, ids.rows(from, to), new RandomKey(7, step, 0)));
        });
    }

    @Override
    public void close() {
        x.close();
        ids.close();
        weights.forEach(Parameter::close);
    }

    /** Subtracts the mean over the rows of a chunk, as batch normalisation does: it depends on the chunking. */
    private static final class MinusChunkMean extends Function {
        MinusChunkMean() {
            super("minus_chunk_mean");
        }

        private static double[] centred(double[] rows, int width) {
            double[] result = rows.clone();
            for (int j = 0; j < width; j++) {
                double sum = 0;
                for (int i = j; i < rows.length; i += width) {
                    sum += rows[i];
                }
                for (int i = j; i < rows.length; i += width) {
                    result[i] -= sum * width / rows.length;
                }
            }
            return result;
        }

        @Override
        protected Tensor[] forward(Forward f) {
            Tensor y = f.allocate(f.input(0).shape());
            y.set(centred(f.input(0).toDoubles(), y.dim(1)));
            return new Tensor[] {y};
        }

        @Override
        protected void backward(Backward b) {
            Tensor dx = b.allocate(b.inputShape(0));
            dx.set(centred(b.outputGradient(0).toDoubles(), dx.dim(1)));
            b.accumulate(0, dx);
        }
    }
}
