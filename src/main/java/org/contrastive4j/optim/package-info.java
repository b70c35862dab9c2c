/**
 * AdamW, a learning-rate schedule, gradient clipping and loss scaling.
 */
@NullMarked
package org.contrastive4j.optim;

import org.jspecify.annotations.NullMarked;
