/**
 * Implements the operations in f64 as plain loops over whole tensors: the reference that gradient checks differentiate
 * and that the fast backends are compared with. The code follows the formulas in {@code ops}; speed comes second.
 */
@NullMarked
package org.contrastive4j.internal.f64;

import org.jspecify.annotations.NullMarked;
