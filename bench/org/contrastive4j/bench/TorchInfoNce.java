package org.contrastive4j.bench;

import static org.bytedeco.pytorch.global.torch.cross_entropy;
import static org.bytedeco.pytorch.global.torch.from_blob;
import static org.bytedeco.pytorch.global.torch.set_num_threads;

import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Symmetric InfoNCE in PyTorch through JavaCPP: normalise, all logits, cross-entropy in both
 * directions, autograd.
 */
final class TorchInfoNce implements AutoCloseable {
    /** Value and gradients; dBias is 0 without a bias. */
    record Answer(double loss, double[] du, double[] dv, double dLogScale, double dBias) {}

    private final PointerScope scope = new PointerScope();
    private final Tensor u;
    private final Tensor v;
    private final Tensor logScale;
    private final Tensor bias; // null for none, which saves a pass over all logits
    private final Tensor targets;
    private final boolean columnsToo;

    /**
     * @param bias null for a loss without
     * @param type Float or Double
     */
    TorchInfoNce(
            double[] u,
            int n,
            double[] v,
            int m,
            int d,
            long[] targets,
            double logScale,
            Double bias,
            boolean columnsToo,
            ScalarType type,
            int threads) {
        set_num_threads(threads);
        this.columnsToo = columnsToo;
        this.u = leaf(u, type, n, d);
        this.v = leaf(v, type, m, d);
        this.logScale = leaf(new double[] {logScale}, type, 1);
        this.bias = bias == null ? null : leaf(new double[] {bias}, type, 1);
        this.targets = from_blob(new LongPointer(targets), new long[] {n}, new TensorOptions(ScalarType.Long))
                .clone();
    }

    static Tensor leaf(double[] values, ScalarType type, long... sizes) {
        return from_blob(new DoublePointer(values), sizes, new TensorOptions(ScalarType.Double))
                .clone()
                .to(type)
                .set_requires_grad(true);
    }

    static Tensor normalised(Tensor x) {
        Tensor norm = x.norm(new ScalarOptional(new Scalar(2.0)), new long[] {1}, true)
                .clamp_min(new Scalar(1e-12));
        return x.div(norm);
    }

    /** Runs forward and backward once and returns the loss. */
    double run() {
        try (PointerScope step = new PointerScope()) {
            for (Tensor leaf : new Tensor[] {u, v, logScale, bias}) {
                if (leaf != null) {
                    leaf.mutable_grad().reset();
                }
            }
            Tensor logits = normalised(u).matmul(normalised(v).t()).mul(logScale.exp());
            if (bias != null) {
                logits = logits.add(bias);
            }
            Tensor loss = cross_entropy(logits, targets);
            if (columnsToo) {
                loss = loss.add(cross_entropy(logits.t(), targets)).mul(new Scalar(0.5));
            }
            loss.backward();
            return loss.item().toDouble();
        }
    }

    Answer answer() {
        double loss = run();
        return new Answer(
                loss,
                values(u.grad()),
                values(v.grad()),
                values(logScale.grad())[0],
                bias == null ? 0 : values(bias.grad())[0]);
    }

    static double[] values(Tensor tensor) {
        Tensor doubles = tensor.to(ScalarType.Double).contiguous();
        double[] values = new double[(int) doubles.numel()];
        new DoublePointer(doubles.data_ptr_double()).get(values);
        return values;
    }

    @Override
    public void close() {
        scope.close();
    }
}
