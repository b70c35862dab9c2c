/**
 * The operations as kernel name, grid, block, shared bytes and arguments: what {@code kernels/} computes, on a GPU or
 * on the simulator.
 */
@NullMarked
package org.contrastive4j.internal.ptx;

import org.jspecify.annotations.NullMarked;
