/**
 * The gradient of a batch as large as the data in the memory of a chunk: encode every chunk and keep only
 * representations, take one loss over all of them, push its gradient back chunk by chunk (Gao et al., Scaling deep
 * contrastive learning batch size under memory limited setup, 2021).
 *
 * <p>Start at {@link org.contrastive4j.gradcache.GradCache}; {@link org.contrastive4j.gradcache.AccumulatedFeatures} is
 * open_clip's way to the same gradient, {@link org.contrastive4j.gradcache.CapturedStep} captures either as a CUDA
 * graph. Encoders take part as functions ({@link org.contrastive4j.gradcache.ChunkEncoder}), losses
 * as functions of representations. May import loss, autograd, ops, tensor, memory.
 */
@NullMarked
package org.contrastive4j.gradcache;

import org.jspecify.annotations.NullMarked;
