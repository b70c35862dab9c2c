/**
 * Batches as tensors, and the two encoders of a model as chunk encoders of such batches. May import data, nn,
 * gradcache, autograd, ops, tensor, memory.
 */
@NullMarked
package org.contrastive4j.internal.batch;

import org.jspecify.annotations.NullMarked;
