package org.contrastive4j.bench;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import ai.djl.training.loss.Loss;

/** InfoNCE in PyTorch through DJL: normalise, all logits, cross-entropy, autograd. */
final class DjlInfoNce implements AutoCloseable {
    private final NDManager manager = NDManager.newBaseManager();
    private final NDArray u;
    private final NDArray v;
    private final NDArray logScale;
    private final NDArray targets;
    private final Loss crossEntropy = Loss.softmaxCrossEntropyLoss();

    DjlInfoNce(float[] u, float[] v, int n, int d, float logScale) {
        this.u = leaf(manager.create(u, new Shape(n, d)));
        this.v = leaf(manager.create(v, new Shape(n, d)));
        this.logScale = leaf(manager.create(new float[] {logScale}));
        this.targets = manager.arange(n).toType(DataType.INT64, false);
    }

    private static NDArray leaf(NDArray array) {
        array.setRequiresGradient(true);
        return array;
    }

    private static NDArray normalised(NDArray x) {
        return x.div(x.square().sum(new int[] {1}, true).sqrt());
    }

    /** Runs forward and backward once and returns the loss. */
    float run() {
        try (NDManager step = manager.newSubManager();
                GradientCollector collector = Engine.getInstance().newGradientCollector()) {
            step.tempAttachAll(u, v, logScale, targets); // results are freed with the scope of the step
            NDArray logits = normalised(u).dot(normalised(v).transpose()).mul(logScale.exp());
            NDArray rows = crossEntropy.evaluate(new NDList(targets), new NDList(logits));
            NDArray columns = crossEntropy.evaluate(new NDList(targets), new NDList(logits.transpose()));
            NDArray loss = NDArrays.add(rows, columns).div(2);
            collector.backward(loss);
            return loss.toFloatArray()[0];
        }
    }

    float[] du() {
        return u.getGradient().toFloatArray();
    }

    float[] dv() {
        return v.getGradient().toFloatArray();
    }

    float dLogScale() {
        return logScale.getGradient().toFloatArray()[0];
    }

    @Override
    public void close() {
        manager.close();
    }
}
