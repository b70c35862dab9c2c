/**
 * Raw bytes and their ownership: a {@link org.contrastive4j.memory.Memory} allocates
 * {@link org.contrastive4j.memory.Memory.Storage}, counts it and enforces a limit. Shapes are in
 * {@link org.contrastive4j.tensor}.
 */
@NullMarked
package org.contrastive4j.memory;

import org.jspecify.annotations.NullMarked;
