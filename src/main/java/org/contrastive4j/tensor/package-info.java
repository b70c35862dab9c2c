/** Shapes and element types over raw bytes. A {@link org.contrastive4j.tensor.Tensor} is layout only. */
@NullMarked
package org.contrastive4j.tensor;

import org.jspecify.annotations.NullMarked;
