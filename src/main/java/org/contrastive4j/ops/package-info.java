/**
 * The operations that every backend implements, one abstract class per family. Public methods check their arguments and
 * call unchecked methods, which a backend implements. {@link org.contrastive4j.ops.Ops} holds the families of one
 * backend.
 */
@NullMarked
package org.contrastive4j.ops;

import org.jspecify.annotations.NullMarked;
