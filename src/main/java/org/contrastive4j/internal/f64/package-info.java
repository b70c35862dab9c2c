/**
 * The operations in double precision as plain loops over whole tensors: what gradient checks differentiate and what
 * the fast backends are compared with. Written to be read beside the formulas in {@code ops}; speed comes second. May
 * import ops, tensor, memory.
 */
@NullMarked
package org.contrastive4j.internal.f64;

import org.jspecify.annotations.NullMarked;
