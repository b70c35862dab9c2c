/**
 * Encoders on the tape: a vision transformer and a text transformer out of a few layers, and the pair of
 * them with its loss.
 *
 * <p>A module owns its parameters; names are paths such as {@code image.block0.attention.qkv.weight}. May import loss,
 * autograd, ops, tensor, memory.
 */
@NullMarked
package org.contrastive4j.nn;

import org.jspecify.annotations.NullMarked;
