/**
 * AdamW, learning-rate schedules and gradient clipping. May import autograd, ops, tensor, memory.
 */
package org.contrastive4j.optim;
