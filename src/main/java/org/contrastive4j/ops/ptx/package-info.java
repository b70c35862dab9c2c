/**
 * The operations as launches of the kernels in {@code kernels/}: kernel name, grid, block, shared bytes, order of the arguments. Runs on any
 * {@link org.contrastive4j.device.PtxDevice}, a GPU or the simulator. May import ops, device, device.parse, tensor, memory.
 */
package org.contrastive4j.ops.ptx;
