package org.contrastive4j.internal.batch;

import java.util.List;
import org.contrastive4j.autograd.Tape;
import org.contrastive4j.autograd.Variable;
import org.contrastive4j.gradcache.ChunkEncoder;
import org.contrastive4j.gradcache.TapeEncoder;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Ops;

/** Adapts the image encoder and the text encoder of a {@link DualEncoder} to gradient caching. */
public final class Encoders {
    private Encoders() {}

    /** Returns the encoder of pictures, then the encoder of captions. */
    public static List<ChunkEncoder<TrainBatch>> of(Ops ops, DualEncoder model) {
        return List.of(pictures(ops, model), captions(ops, model));
    }

    /** Returns the encoder of pictures. */
    public static ChunkEncoder<TrainBatch> pictures(Ops ops, DualEncoder model) {
        return new TapeEncoder<>(
                ops,
                "image",
                model.config().image().embedding(),
                TrainBatch::pairs,
                model.image().parameters(),
                (tape, batch, from, to) -> picturesOn(tape, model, batch, from, to));
    }

    /** Returns the encoder of captions. */
    public static ChunkEncoder<TrainBatch> captions(Ops ops, DualEncoder model) {
        return new TapeEncoder<>(
                ops,
                "text",
                model.config().text().embedding(),
                TrainBatch::pairs,
                model.text().parameters(),
                (tape, batch, from, to) -> captionsOn(tape, model, batch, from, to));
    }

    /** Returns the unnormalised representations [to - from, d] of pictures [from, to). */
    public static Variable picturesOn(Tape tape, DualEncoder model, TrainBatch batch, int from, int to) {
        return model.image()
                .forward(tape, tape.constant("pictures", batch.pictures(from, to)), batch.randomness(from, to));
    }

    /** Returns the unnormalised representations [to - from, d] of captions [from, to). */
    public static Variable captionsOn(Tape tape, DualEncoder model, TrainBatch batch, int from, int to) {
        return model.text()
                .forward(
                        tape,
                        tape.hold(batch.tokens(from, to)),
                        tape.hold(batch.lengths(from, to)),
                        batch.randomness(from, to));
    }
}
