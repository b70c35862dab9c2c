/**
 * The training loop and what stays of a run: configuration, metrics, checkpoints, evaluation and report.
 *
 * <p>{@link org.contrastive4j.train.Trainer} is the loop, {@link org.contrastive4j.train.RunFolder} the files, {@link
 * org.contrastive4j.train.Checkpoint} what a resumed run continues from, {@link org.contrastive4j.train.LossConfig}
 * what it minimises. Where the backend records and the loss waits for nothing, a step is one recording on batches that
 * stay in one place: {@code TrainingSteps} and {@code BatchBuffers}. May import data, nn, optim, gradcache, loss,
 * autograd, ops, tensor, memory.
 */
@NullMarked
package org.contrastive4j.train;

import org.jspecify.annotations.NullMarked;
