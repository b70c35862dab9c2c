/**
 * Implements the operations in f32 on the CPU. OpenBLAS computes matrix products, one thread each. Everything else
 * loads blocks of a few KiB from off-heap memory into arrays, computes in loops that the JIT compiler vectorises, and
 * stores them. {@link org.contrastive4j.internal.cpu.Workers} distributes fixed tasks over the cores.
 */
@NullMarked
package org.contrastive4j.internal.cpu;

import org.jspecify.annotations.NullMarked;
