/**
 * AdamW, learning-rate schedules, gradient clipping and loss scaling. May import autograd, ops, tensor, memory.
 */
@NullMarked
package org.contrastive4j.optim;

import org.jspecify.annotations.NullMarked;
