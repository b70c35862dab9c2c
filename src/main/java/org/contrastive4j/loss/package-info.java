/**
 * Contrastive losses over representations: temperature, bias and positives, but no encoders and no chunks. The
 * arithmetic is tiled: {@link org.contrastive4j.ops.PairwiseOps} for plain InfoNCE, otherwise {@link
 * org.contrastive4j.ops.PairTileOps}.
 *
 * <p>Start at {@link org.contrastive4j.loss.ContrastiveLoss}, or by name at {@link org.contrastive4j.loss.Losses},
 * which lists the options of each ({@link org.contrastive4j.loss.LossOption}). A loss of your own extends {@link
 * org.contrastive4j.loss.ContrastiveLoss} and implements its method {@code evaluate}. {@link
 * org.contrastive4j.loss.QueueContrast} adds past keys, it and {@link org.contrastive4j.loss.DistilledContrast}
 * momentum distillation, {@link org.contrastive4j.loss.SoftTargetContrast} takes targets that are distributions,
 * {@link org.contrastive4j.loss.ShardedContrast} several workers.
 *
 * <p>May import autograd, ops, tensor, memory.
 */
@NullMarked
package org.contrastive4j.loss;

import org.jspecify.annotations.NullMarked;
