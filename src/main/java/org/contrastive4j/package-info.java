/** Contrastive training on the JVM; {@link org.contrastive4j.Backend} opens the operations of a backend. */
@NullMarked
package org.contrastive4j;

import org.jspecify.annotations.NullMarked;
