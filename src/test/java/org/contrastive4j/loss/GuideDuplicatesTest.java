package org.contrastive4j.loss;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.support.Backends;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A guide on pairs that occur twice in a batch: with margin 0 the copy of the positive is a negative. */
class GuideDuplicatesTest {
    private static final int PAIRS = 64;
    private static final int WIDTH = 256;

    static Stream<String> backends() {
        return Backends.plain();
    }

    /** Representations by the guide: pairs 2 k and 2 k + 1 are equal, pictures are near their captions. */
    private record Batch(double[] rows, double[] columns) {
        static Batch of(List<Integer> order) {
            double[] rows = new double[PAIRS * WIDTH];
            double[] columns = new double[PAIRS * WIDTH];
            for (int i = 0; i < PAIRS; i++) {
                int sample = order.get(i);
                put(new Random(sample / 2), 1, columns, i, new double[WIDTH]);
                double[] near = new double[WIDTH];
                System.arraycopy(columns, i * WIDTH, near, 0, WIDTH);
                put(new Random(1000 + sample / 2), 0.02, rows, i, near);
            }
            return new Batch(rows, columns);
        }

        private static void put(Random random, double noise, double[] to, int row, double[] centre) {
            double squares = 0;
            for (int k = 0; k < WIDTH; k++) {
                double value = centre[k] + noise * random.nextGaussian();
                to[row * WIDTH + k] = value;
                squares += value * value;
            }
            for (int k = 0; k < WIDTH; k++) {
                to[row * WIDTH + k] = (float) (to[row * WIDTH + k] / Math.sqrt(squares));
            }
        }
    }

    private static List<Integer> inOrder() {
        return IntStream.range(0, PAIRS).boxed().toList();
    }

    /** The share of ignored pairs and the loss. */
    private static double[] measure(Ops ops, Batch batch) {
        try (ContrastiveLoss loss = Losses.named(ops, "infonce");
                Tensor rows = ops.parameterTensor(Shape.of(PAIRS, WIDTH), batch.rows);
                Tensor columns = ops.parameterTensor(Shape.of(PAIRS, WIDTH), batch.columns)) {
            PairLabels labels = PairLabels.guide(rows, columns);
            return new double[] {
                loss.metrics(rows, columns, labels).ignoredShare(),
                loss.value(rows, columns, labels).get().loss()
            };
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void guide_equalPairs_areNegativesInEveryOrder(String backend) {
        List<Integer> shuffled = new ArrayList<>(inOrder());
        Collections.shuffle(shuffled, new Random(7));
        try (Ops ops = Backend.open(backend)) {
            double[] inOrder = measure(ops, Batch.of(inOrder()));
            double[] permuted = measure(ops, Batch.of(shuffled));
            assertEquals(0, inOrder[0], "no pair is ignored");
            assertEquals(0, permuted[0], "no pair is ignored");
            assertEquals(inOrder[1], permuted[1], 1e-5);
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void guide_equalPairsInShards_giveTheGradientsOfOneWorker(String backend) {
        int workers = 8;
        Batch batch = Batch.of(inOrder());
        try (Ops ops = Backend.open(backend);
                ContrastiveLoss one = Losses.named(ops, "infonce");
                ContrastiveLoss sharded = Losses.named(ops, "infonce");
                Tensor u = ops.parameterTensor(Shape.of(PAIRS, WIDTH), batch.rows);
                Tensor v = ops.parameterTensor(Shape.of(PAIRS, WIDTH), batch.columns);
                Tensor du = ops.allocateParameter(PAIRS, WIDTH);
                Tensor dv = ops.allocateParameter(PAIRS, WIDTH);
                Tensor ofShardsU = ops.allocateParameter(PAIRS, WIDTH);
                Tensor ofShardsV = ops.allocateParameter(PAIRS, WIDTH)) {
            PairLabels labels = PairLabels.guide(u, v);
            one.valueAndGradient(u, v, labels, du, dv, 1).get();
            new ShardedContrast(ops, sharded, ShardedContrast.Order.RING)
                    .valueAndGradient(
                            shards(u, workers),
                            shards(v, workers),
                            labels,
                            shards(ofShardsU, workers),
                            shards(ofShardsV, workers),
                            1)
                    .get();
            assertArrayEquals(du.toDoubles(), ofShardsU.toDoubles(), 1e-6);
            assertArrayEquals(dv.toDoubles(), ofShardsV.toDoubles(), 1e-6);
        }
    }

    private static List<Tensor> shards(Tensor whole, int workers) {
        int each = PAIRS / workers;
        return IntStream.range(0, workers)
                .mapToObj(w -> whole.rows(w * each, (w + 1) * each))
                .toList();
    }
}
