package org.contrastive4j.bench;

import static org.bytedeco.pytorch.global.torch.cat;
import static org.bytedeco.pytorch.global.torch.from_blob;
import static org.bytedeco.pytorch.global.torch.set_num_threads;

import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** A named loss over n pairs in PyTorch (through JavaCPP): normalise, all logits, {@link TorchLosses}, autograd. */
final class TorchContrast implements AutoCloseable {
    private final PointerScope scope = new PointerScope();
    private final String name;
    private final Tensor u;
    private final Tensor v;
    private final Tensor logScale;
    private final Tensor bias;
    private final Tensor ids;

    /**
     * @param ids of the pairs, or null
     * @param type Float or Double
     */
    TorchContrast(String name, double[] u, double[] v, int n, int d, long[] ids, double logScale, double bias,
            ScalarType type, int threads) {
        set_num_threads(threads);
        this.name = name;
        this.u = TorchInfoNce.leaf(u, type, n, d);
        this.v = TorchInfoNce.leaf(v, type, n, d);
        this.logScale = TorchInfoNce.leaf(new double[] {logScale}, type, 1);
        this.bias = TorchInfoNce.leaf(new double[] {bias}, type, 1);
        this.ids = ids == null ? null
                : from_blob(new LongPointer(ids), new long[] {n}, new TensorOptions(ScalarType.Long)).clone();
    }

    /** One forward and backward pass; returns the loss. */
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
            Tensor logits = rows.matmul(columns.t()).mul(logScale.exp()).add(bias);
            Tensor loss = TorchLosses.value(name, logits, ids);
            loss.backward();
            return loss.item().toDouble();
        }
    }

    TorchInfoNce.Answer answer() {
        double loss = run();
        return new TorchInfoNce.Answer(loss, TorchInfoNce.values(u.grad()), TorchInfoNce.values(v.grad()),
                TorchInfoNce.values(logScale.grad())[0], TorchInfoNce.values(bias.grad())[0]);
    }

    @Override
    public void close() {
        scope.close();
    }
}
