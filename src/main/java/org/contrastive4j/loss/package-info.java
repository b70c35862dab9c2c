/**
 * Contrastive losses over representations: they know temperature, bias and positives, and nothing of encoders or chunks. The
 * arithmetic is one tiled operation of {@link org.contrastive4j.ops.PairwiseOps}.
 *
 * <p>May import autograd, ops, tensor, memory.
 */
package org.contrastive4j.loss;
