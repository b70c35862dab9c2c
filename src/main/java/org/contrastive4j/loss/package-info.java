/**
 * Contrastive losses over representations: they know temperature, bias and positives, and nothing of
 * encoders or chunks. The arithmetic is tiled: {@link org.contrastive4j.ops.PairwiseOps} for plain InfoNCE,
 * else the general engine.
 *
 * <p>Start at {@link org.contrastive4j.loss.ContrastiveLoss}, or by name at {@link org.contrastive4j.loss.Losses},
 * which knows what each can be told ({@link org.contrastive4j.loss.LossOption}). A loss says which reductions over the
 * pairs it needs and what its gradient is made of; {@link org.contrastive4j.ops.PairTileOps} does the rest. {@link
 * org.contrastive4j.loss.QueueContrast} adds past keys, it and {@link org.contrastive4j.loss.DistilledContrast}
 * momentum distillation, {@link org.contrastive4j.loss.SoftTargetContrast} takes targets that are distributions,
 * {@link org.contrastive4j.loss.ShardedContrast} several workers.
 *
 * <p>May import autograd, ops, tensor, memory.
 */
@NullMarked
package org.contrastive4j.loss;

import org.jspecify.annotations.NullMarked;
