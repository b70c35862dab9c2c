/**
 * Compares losses: one training run for each loss, batch size and seed, and tables and plots of their results. May
 * import train and what train may import.
 */
@NullMarked
package org.contrastive4j.internal.compare;

import org.jspecify.annotations.NullMarked;
