package org.contrastive4j.gradcache;

import java.util.List;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import org.contrastive4j.loss.ContrastiveLoss;
import org.contrastive4j.loss.DistilledContrast;
import org.contrastive4j.loss.DistilledContrast.Distillation;
import org.contrastive4j.loss.PairLabels;
import org.contrastive4j.loss.QueueContrast;
import org.contrastive4j.loss.SoftTargetContrast;
import org.contrastive4j.loss.SoftTargetContrast.SoftTargets;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A loss of the package {@link org.contrastive4j.loss} over the encoders of a {@link GradCache}: the first encoder's
 * representations are the rows, the second's the columns. Losses with a teacher take two more, frozen: the momentum
 * encoders of rows and of columns.
 *
 * @param <B> the batch
 */
public final class LossOverEncoders<B> implements RepresentationLoss<B, PairwiseOps.Result> {
    /** The loss itself, of representations that were counted. */
    @FunctionalInterface
    private interface Body<B> {
        Deferred<PairwiseOps.Result> compute(
                B batch, List<Tensor> representations, List<@Nullable Tensor> gradients, double gradientScale);
    }

    /** Bytes for n rows and m columns of width d. */
    @FunctionalInterface
    private interface Workspace<B> {
        long bytes(B batch, int n, int m, int d);
    }

    private final int encoders;
    private final boolean capturable;
    private final Body<B> body;
    private final Workspace<B> workspace;

    private LossOverEncoders(int encoders, boolean capturable, Body<B> body, Workspace<B> workspace) {
        this.encoders = encoders;
        this.capturable = capturable;
        this.body = body;
        this.workspace = workspace;
    }

    /**
     * Creates a loss in which row i belongs to column i.
     *
     * @param loss of two encoders; stays the caller's
     * @param <B> the batch
     * @return the loss over encoders
     */
    public static <B> LossOverEncoders<B> of(ContrastiveLoss loss) {
        return new LossOverEncoders<>(
                2,
                loss.isCapturable(),
                pairs(loss, batch -> PairLabels.DIAGONAL),
                (batch, n, m, d) -> loss.workspaceBytes(n, m, d, PairLabels.DIAGONAL));
    }

    /**
     * Creates a loss whose positives are given with each batch. It is not captured: labels may have to be read on
     * the host.
     *
     * @param loss of two encoders; stays the caller's
     * @param labels of a batch
     * @param <B> the batch
     * @return the loss over encoders
     */
    public static <B> LossOverEncoders<B> of(ContrastiveLoss loss, Function<B, PairLabels> labels) {
        return new LossOverEncoders<>(
                2, false, pairs(loss, labels), (batch, n, m, d) -> loss.workspaceBytes(n, m, d, labels.apply(batch)));
    }

    private static <B> Body<B> pairs(ContrastiveLoss loss, Function<B, PairLabels> labels) {
        return (batch, representations, gradients, gradientScale) -> loss.valueAndGradient(
                representations.get(0),
                representations.get(1),
                labels.apply(batch),
                gradients.get(0),
                gradients.get(1),
                gradientScale);
    }

    /**
     * Creates a loss against soft targets.
     *
     * @param loss of two encoders; stays the caller's
     * @param ofRows targets of a batch's rows
     * @param ofColumns targets of its columns; returns null for rows alone
     * @param <B> the batch
     * @return the loss over encoders
     */
    public static <B> LossOverEncoders<B> of(
            SoftTargetContrast loss,
            Function<B, SoftTargets> ofRows,
            Function<B, ? extends @Nullable SoftTargets> ofColumns) {
        return new LossOverEncoders<>(
                2,
                false,
                (batch, representations, gradients, gradientScale) -> loss.valueAndGradient(
                        representations.get(0),
                        representations.get(1),
                        ofRows.apply(batch),
                        ofColumns.apply(batch),
                        gradients.get(0),
                        gradients.get(1),
                        gradientScale),
                (batch, n, m, d) -> loss.workspaceBytes(n, m, d));
    }

    /**
     * Creates a loss against the keys of two momentum encoders, past ones too. It leaves the queues as they are: the
     * caller enqueues the keys once the step is done.
     *
     * @param loss of four encoders; stays the caller's
     * @param ids of a batch's samples, [n] I32; returns null for none
     * @param alpha share of the momentum encoders' targets for a batch, see {@link QueueContrast}
     * @param <B> the batch
     * @return the loss over encoders
     */
    public static <B> LossOverEncoders<B> of(
            QueueContrast loss, Function<B, ? extends @Nullable Tensor> ids, ToDoubleFunction<B> alpha) {
        return new LossOverEncoders<>(
                4,
                false,
                (batch, representations, gradients, gradientScale) -> loss.valueAndGradient(
                        representations.get(0),
                        representations.get(1),
                        representations.get(2),
                        representations.get(3),
                        ids.apply(batch),
                        alpha.applyAsDouble(batch),
                        gradients.get(0),
                        gradients.get(1),
                        gradientScale),
                (batch, n, m, d) -> loss.workspaceBytes(n, d));
    }

    /**
     * Creates a loss with momentum encoders as teachers.
     *
     * @param loss of four encoders; stays the caller's
     * @param alpha share of the momentum encoders' targets for a batch
     * @param <B> the batch
     * @return the loss over encoders
     */
    public static <B> LossOverEncoders<B> of(DistilledContrast loss, ToDoubleFunction<B> alpha) {
        return new LossOverEncoders<>(
                4,
                false,
                (batch, representations, gradients, gradientScale) -> loss.valueAndGradient(
                        representations.get(0),
                        representations.get(1),
                        representations.get(2),
                        representations.get(3),
                        alpha.applyAsDouble(batch),
                        gradients.get(0),
                        gradients.get(1),
                        gradientScale),
                (batch, n, m, d) -> loss.workspaceBytes(n, d));
    }

    /**
     * Creates a loss against the keys of two momentum encoders, past ones too, that can be captured: ids and step are
     * read from tensors. A graph is valid as long as the queues hold as many keys as when it was captured.
     *
     * @param loss of four encoders; stays the caller's
     * @param ids of a batch's samples, [n] I32; returns null for none
     * @param schedule of the share of the momentum encoders' targets
     * @param step of a batch, [1] I32
     * @param <B> the batch
     * @return the loss over encoders
     */
    public static <B> LossOverEncoders<B> of(
            QueueContrast loss,
            Function<B, ? extends @Nullable Tensor> ids,
            Distillation schedule,
            Function<B, Tensor> step) {
        return new LossOverEncoders<>(
                4,
                true,
                (batch, representations, gradients, gradientScale) -> loss.valueAndGradient(
                        representations.get(0),
                        representations.get(1),
                        representations.get(2),
                        representations.get(3),
                        ids.apply(batch),
                        schedule,
                        step.apply(batch),
                        gradients.get(0),
                        gradients.get(1),
                        gradientScale),
                (batch, n, m, d) -> loss.workspaceBytes(n, d));
    }

    /**
     * Creates a loss with momentum encoders as teachers that can be captured: the step is read from a tensor.
     *
     * @param loss of four encoders; stays the caller's
     * @param schedule of the share of the momentum encoders' targets
     * @param step of a batch, [1] I32
     * @param <B> the batch
     * @return the loss over encoders
     */
    public static <B> LossOverEncoders<B> of(DistilledContrast loss, Distillation schedule, Function<B, Tensor> step) {
        return new LossOverEncoders<>(
                4,
                true,
                (batch, representations, gradients, gradientScale) -> loss.valueAndGradient(
                        representations.get(0),
                        representations.get(1),
                        representations.get(2),
                        representations.get(3),
                        schedule,
                        step.apply(batch),
                        gradients.get(0),
                        gradients.get(1),
                        gradientScale),
                (batch, n, m, d) -> loss.workspaceBytes(n, d));
    }

    /**
     * {@inheritDoc}
     *
     * @throws ShapeException when the number of encoders is another, or a teacher is not frozen
     */
    @Override
    public Deferred<PairwiseOps.Result> valueAndGradient(
            B batch, List<Tensor> representations, List<@Nullable Tensor> gradients, double gradientScale) {
        requireEncoders(representations);
        for (int teacher = 2; teacher < encoders; teacher++) {
            if (gradients.get(teacher) != null) {
                throw new ShapeException("momentum encoders get no gradient; freeze their parameters");
            }
        }
        return body.compute(batch, representations, gradients, gradientScale);
    }

    @Override
    public long workspaceBytes(B batch, List<Tensor> representations) {
        requireEncoders(representations);
        Tensor rows = representations.get(0);
        return workspace.bytes(batch, rows.dim(0), representations.get(1).dim(0), rows.dim(1));
    }

    @Override
    public boolean isCapturable() {
        return capturable;
    }

    private void requireEncoders(List<Tensor> representations) {
        if (representations.size() != encoders) {
            throw new ShapeException("expected " + encoders + " encoders"
                    + (encoders == 4 ? ", two and their momentum encoders" : "") + ", got " + representations.size());
        }
    }
}
