/**
 * Reverse-mode differentiation over {@link org.contrastive4j.ops.Ops}: a {@link org.contrastive4j.autograd.Tape}
 * applies {@link org.contrastive4j.autograd.Function}s to {@link org.contrastive4j.autograd.Variable}s, remembers what
 * their backward passes need, and frees every tensor at the moment its last reader is done. Activations and their
 * gradients are of the type of activations, gradients of parameters of that of parameters. One function is one class,
 * forward and backward side by side.
 *
 * <p>May import ops, tensor, memory.
 */
@NullMarked
package org.contrastive4j.autograd;

import org.jspecify.annotations.NullMarked;
