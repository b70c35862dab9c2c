/**
 * NVIDIA GPUs through the driver's own interface, bound to Java by JCuda: loads PTX, launches it, owns its memory.
 * {@code CudaDevice} is where to begin; {@code PtxAssembler} tells registers and spills of a kernel on machines
 * without a GPU. May import {@code device}, {@code internal.parse} and {@code memory}; the only package that sees
 * JCuda.
 */
@NullMarked
package org.contrastive4j.internal.cuda;

import org.jspecify.annotations.NullMarked;
