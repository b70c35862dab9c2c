/**
 * Gradient caching: trains with large batches in the memory of a small chunk. All chunks are encoded and only their
 * representations are stored. One loss is computed over all representations, and its gradient is propagated chunk by
 * chunk (Gao et al., Scaling deep contrastive learning batch size under memory limited setup, 2021).
 *
 * <p>Start at {@link org.contrastive4j.gradcache.GradCache}. {@link
 * org.contrastive4j.gradcache.BatchStep#accumulatingFeatures} computes the same gradient in the way of open_clip.
 * {@link org.contrastive4j.gradcache.CapturedStep} captures either as a CUDA graph. Encoders implement {@link
 * org.contrastive4j.gradcache.ChunkEncoder}, losses {@link org.contrastive4j.gradcache.RepresentationLoss}.
 *
 * <p>May import loss, autograd, ops, tensor, memory.
 */
@NullMarked
package org.contrastive4j.gradcache;

import org.jspecify.annotations.NullMarked;
