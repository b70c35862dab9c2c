/** Host memory as a pool of off-heap blocks, and the accounting that every memory uses. */
@NullMarked
package org.contrastive4j.internal.memory;

import org.jspecify.annotations.NullMarked;
