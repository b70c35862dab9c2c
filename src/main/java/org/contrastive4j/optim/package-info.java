/**
 * AdamW, learning-rate schedules, gradient clipping and loss scaling. May import autograd, ops, tensor, memory.
 */
package org.contrastive4j.optim;
