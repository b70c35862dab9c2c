/**
 * Reverse-mode automatic differentiation over {@link org.contrastive4j.ops.Ops}. A {@link
 * org.contrastive4j.autograd.Tape} applies {@link org.contrastive4j.autograd.Function}s to {@link
 * org.contrastive4j.autograd.Variable}s, saves the tensors that their backward passes read, and frees each tensor after
 * its last use. Activations and their gradients have the activation type of the backend; parameters and their gradients
 * have the parameter type. Each function is one class with its forward and backward pass.
 *
 * <p>May import ops, tensor, memory.
 */
@NullMarked
package org.contrastive4j.autograd;

import org.jspecify.annotations.NullMarked;
