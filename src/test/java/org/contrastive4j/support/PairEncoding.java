package org.contrastive4j.support;

import org.contrastive4j.autograd.Tape;
import org.contrastive4j.autograd.Variable;
import org.contrastive4j.internal.batch.Encoders;
import org.contrastive4j.internal.batch.TrainBatch;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Ops;

/** A batch of {@link TinyPairs} on a backend, and the representations of its pairs by a model. */
public final class PairEncoding implements AutoCloseable {
    private final DualEncoder model;
    private final TrainBatch batch;

    /**
     * @param pairs number of pairs
     * @param step of the dropout masks; -1 for evaluation
     */
    public PairEncoding(Ops ops, DualEncoder model, int pairs, int step) {
        this.model = model;
        batch = new TrainBatch(ops, TinyPairs.batch(pairs, 2), 7, step);
    }

    /** Returns the representations of pictures [from, to). */
    public Variable pictures(Tape tape, int from, int to) {
        return Encoders.picturesOn(tape, model, batch, from, to);
    }

    /** Returns the representations of captions [from, to). */
    public Variable captions(Tape tape, int from, int to) {
        return Encoders.captionsOn(tape, model, batch, from, to);
    }

    @Override
    public void close() {
        batch.close();
    }
}
