/**
 * Shape and dtype over bytes: {@link org.contrastive4j.tensor.Tensor} is layout only, no mathematics.
 * May import memory.
 */
@NullMarked
package org.contrastive4j.tensor;

import org.jspecify.annotations.NullMarked;
