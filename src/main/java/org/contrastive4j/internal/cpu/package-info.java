/**
 * The operations in f32 on this machine. Matrix products go to OpenBLAS, one thread each; everything else loads blocks
 * of a few KB from off-heap memory into arrays, works in loops that the JIT compiler vectorises, and stores them.
 * {@link org.contrastive4j.internal.cpu.Workers} spreads fixed tasks over the cores. May import ops, tensor, memory.
 */
@NullMarked
package org.contrastive4j.internal.cpu;

import org.jspecify.annotations.NullMarked;
