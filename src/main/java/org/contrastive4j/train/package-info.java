/**
 * The training loop, its configuration, and the files of a run: metrics, checkpoints, evaluation and report.
 *
 * <p>{@link org.contrastive4j.train.Trainer} makes the steps, {@link org.contrastive4j.train.RunFolder} writes the
 * files, {@link org.contrastive4j.train.Checkpoint} stores the state of a run, and
 * {@link org.contrastive4j.train.LossConfig} chooses the loss. If the backend can capture CUDA graphs and the loss
 * needs no host synchronisation, {@code TrainingSteps} replays each step as one graph on the buffers of
 * {@code BatchBuffers}. May import internal.batch, internal.files, data, nn, optim, gradcache, loss, autograd, ops,
 * tensor, memory.
 */
@NullMarked
package org.contrastive4j.train;

import org.jspecify.annotations.NullMarked;
