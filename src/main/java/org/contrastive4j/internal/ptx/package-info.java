/**
 * Implements the operations by the kernels of {@code kernels/}: kernel names, grids, thread blocks, shared memory and
 * arguments.
 */
@NullMarked
package org.contrastive4j.internal.ptx;

import org.jspecify.annotations.NullMarked;
