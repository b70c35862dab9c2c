/**
 * Shape and dtype over bytes: {@link org.contrastive4j.tensor.Tensor} is layout only, no mathematics.
 * May import memory.
 */
package org.contrastive4j.tensor;
