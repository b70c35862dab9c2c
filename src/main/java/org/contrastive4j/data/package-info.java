/**
 * Image-text pairs: reading them ({@link org.contrastive4j.data.PairDataset}), splitting, batching without false
 * negatives ({@link org.contrastive4j.data.BatchOrder}), augmenting, tokenizing, and doing all that ahead of the
 * training loop ({@link org.contrastive4j.data.BatchLoader}).
 *
 * <p>Everything random depends only on (seed, epoch, sample id). Works on plain Java arrays; may import
 * internal.files and internal.numeric (for Philox), and nothing else of the project.
 */
@NullMarked
package org.contrastive4j.data;

import org.jspecify.annotations.NullMarked;
