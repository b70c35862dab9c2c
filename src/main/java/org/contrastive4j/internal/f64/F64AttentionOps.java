package org.contrastive4j.internal.f64;

import org.contrastive4j.internal.backend.Indices;
import org.contrastive4j.ops.AttentionOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Softmax attention, query by query. Both masks together always admit a prefix of the keys of a query.
 *
 * <p>Tested by {@code AttentionOpsTest}.
 */
final class F64AttentionOps extends AttentionOps {
    F64AttentionOps() {
        super(DType.F64);
    }

    /** The location of one sample and head: rows of {@code 3 width} in qkv, of {@code width} in out. */
    private record Head(int sample, int head, int heads, int tokens, int width) {
        int size() {
            return width / heads;
        }

        double scale() {
            return 1 / Math.sqrt(size());
        }

        int query(int token) {
            return (sample * tokens + token) * 3 * width + head * size();
        }

        int key(int token) {
            return query(token) + width;
        }

        int value(int token) {
            return query(token) + 2 * width;
        }

        int out(int token) {
            return (sample * tokens + token) * width + head * size();
        }

        int logSumExp(int token) {
            return (sample * heads + head) * tokens + token;
        }
    }

    @Override
    protected void attentionUnchecked(
            int batch,
            int tokens,
            int width,
            Tensor qkv,
            int heads,
            boolean causal,
            @Nullable Tensor lengths,
            Tensor out,
            Tensor logSumExp) {
        int[] keys = Indices.readOr(tokens, batch, "attention", "lengths", lengths, tokens + 1);
        double[] in = Doubles.load(qkv);
        double[] result = Doubles.zerosLike(out);
        double[] lse = Doubles.zerosLike(logSumExp);
        for (int h = 0; h < batch * heads; h++) {
            Head head = new Head(h / heads, h % heads, heads, tokens, width);
            for (int i = 0; i < tokens; i++) {
                int admitted = causal ? Math.min(i + 1, keys[head.sample]) : keys[head.sample];
                lse[head.logSumExp(i)] = attend(head, i, admitted, in, result);
            }
        }
        Doubles.store(result, out);
        Doubles.store(lse, logSumExp);
    }

    /** Computes one row of the result; returns its log-sum-exp. */
    private static double attend(Head head, int i, int admitted, double[] in, double[] result) {
        double[] scores = new double[admitted];
        double largest = Double.NEGATIVE_INFINITY;
        for (int j = 0; j < admitted; j++) {
            scores[j] = head.scale() * Doubles.dot(in, head.query(i), in, head.key(j), head.size());
            largest = Math.max(largest, scores[j]);
        }
        double sum = 0;
        for (int j = 0; j < admitted; j++) {
            sum += Math.exp(scores[j] - largest);
        }
        double lse = largest + Math.log(sum);
        for (int j = 0; j < admitted; j++) {
            Doubles.axpy(Math.exp(scores[j] - lse), in, head.value(j), result, head.out(i), head.size());
        }
        return lse;
    }

    @Override
    protected void attentionBackwardUnchecked(
            int batch,
            int tokens,
            int width,
            Tensor qkv,
            int heads,
            boolean causal,
            @Nullable Tensor lengths,
            Tensor out,
            Tensor logSumExp,
            Tensor dOut,
            Tensor dQkv) {
        int[] keys = Indices.readOr(tokens, batch, "attentionBackward", "lengths", lengths, tokens + 1);
        double[] in = Doubles.load(qkv);
        double[] result = Doubles.load(out);
        double[] lse = Doubles.load(logSumExp);
        double[] dResult = Doubles.load(dOut);
        double[] dIn = Doubles.zerosLike(dQkv);
        for (int h = 0; h < batch * heads; h++) {
            Head head = new Head(h / heads, h % heads, heads, tokens, width);
            int size = head.size();
            for (int i = 0; i < tokens; i++) {
                int admitted = causal ? Math.min(i + 1, keys[head.sample]) : keys[head.sample];
                double average = Doubles.dot(result, head.out(i), dResult, head.out(i), size);
                for (int j = 0; j < admitted; j++) {
                    double score = head.scale() * Doubles.dot(in, head.query(i), in, head.key(j), size);
                    double p = Math.exp(score - lse[head.logSumExp(i)]);
                    double dp = Doubles.dot(dResult, head.out(i), in, head.value(j), size);
                    double dScore = head.scale() * p * (dp - average);
                    Doubles.axpy(p, dResult, head.out(i), dIn, head.value(j), size);
                    Doubles.axpy(dScore, in, head.key(j), dIn, head.query(i), size);
                    Doubles.axpy(dScore, in, head.query(i), dIn, head.key(j), size);
                }
            }
        }
        Doubles.store(dIn, dQkv);
    }
}
