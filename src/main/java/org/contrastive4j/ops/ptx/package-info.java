/**
 * The operations as kernels: name, grid, block, shared bytes and order of arguments. Addresses and shared memory are
 * the business of {@code kernels/}, shapes of {@code ops}. May import ops, device, tensor, memory.
 */
package org.contrastive4j.ops.ptx;
