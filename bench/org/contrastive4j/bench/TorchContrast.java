package org.contrastive4j.bench;

import static org.bytedeco.pytorch.global.torch.cat;
import static org.bytedeco.pytorch.global.torch.from_blob;
import static org.bytedeco.pytorch.global.torch.set_num_threads;

import java.util.Arrays;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.contrastive4j.loss.Losses;

/**
 * A named loss over n pairs in PyTorch (through JavaCPP): normalise, all logits, {@link TorchLosses}, autograd.
 *
 * <p>Losses over momentum encoders take what those made of the same pairs, and for queues of past ones.
 */
final class TorchContrast implements AutoCloseable {
    /** Weight of the teacher's targets. */
    static final double ALPHA = 0.4;

    private final PointerScope scope = new PointerScope();
    private final String name;
    private final Tensor u;
    private final Tensor v;
    private final Tensor logScale;
    private final Tensor bias;
    private final Tensor ids;
    private final Tensor[] momentum; // unit rows

    /**
     * @param ids of the pairs, or null
     * @param momentum representations of u and v by momentum encoders, then past ones of u and v; all [n, d], or null
     * @param type Float or Double
     */
    TorchContrast(
            String name,
            double[] u,
            double[] v,
            int n,
            int d,
            long[] ids,
            double[][] momentum,
            double logScale,
            double bias,
            ScalarType type,
            int threads) {
        set_num_threads(threads);
        this.name = name;
        this.u = TorchInfoNce.leaf(u, type, n, d);
        this.v = TorchInfoNce.leaf(v, type, n, d);
        this.logScale = TorchInfoNce.leaf(new double[] {logScale}, type, 1);
        this.bias = TorchInfoNce.leaf(new double[] {bias}, type, 1);
        this.ids = ids == null
                ? null
                : from_blob(new LongPointer(ids), new long[] {n}, new TensorOptions(ScalarType.Long))
                        .clone();
        this.momentum = momentum == null
                ? null
                : Arrays.stream(momentum)
                        .map(rows -> TorchInfoNce.normalised(TorchInfoNce.leaf(rows, type, n, d))
                                .detach())
                        .toArray(Tensor[]::new);
    }

    /** Runs forward and backward once and returns the loss. */
    double run() {
        try (PointerScope step = new PointerScope()) {
            for (Tensor leaf : new Tensor[] {u, v, logScale, bias}) {
                leaf.mutable_grad().reset();
            }
            Tensor rows = TorchInfoNce.normalised(u);
            Tensor columns = TorchInfoNce.normalised(v);
            if (name.equals("infonce-fourway")) {
                rows = cat(new TensorVector(rows, columns), 0);
                columns = rows;
            }
            Tensor loss = momentum != null
                    ? overMomentum(rows, columns)
                    : TorchLosses.value(name, logits(rows, columns).add(bias), ids);
            loss.backward();
            return loss.item().toDouble();
        }
    }

    private Tensor logits(Tensor rows, Tensor columns) {
        return rows.matmul(columns.t()).mul(logScale.exp());
    }

    private Tensor overMomentum(Tensor x, Tensor y) {
        Tensor a = momentum[0];
        Tensor b = momentum[1];
        return name.equals(Losses.QUEUE)
                ? TorchLosses.mean(
                        TorchLosses.rows(logits(x, cat(new TensorVector(b, momentum[3]), 0))),
                        TorchLosses.rows(logits(y, cat(new TensorVector(a, momentum[2]), 0))))
                : TorchLosses.mean(
                        TorchLosses.soft(logits(x, y), TorchLosses.distilled(logits(a, b), ALPHA)),
                        TorchLosses.soft(logits(y, x), TorchLosses.distilled(logits(b, a), ALPHA)));
    }

    TorchInfoNce.Answer answer() {
        double loss = run();
        return new TorchInfoNce.Answer(
                loss,
                TorchInfoNce.values(u.grad()),
                TorchInfoNce.values(v.grad()),
                TorchInfoNce.values(logScale.grad())[0],
                momentum != null ? 0 : TorchInfoNce.values(bias.grad())[0]);
    }

    @Override
    public void close() {
        scope.close();
    }
}
