/**
 * The operations every backend has, one abstract class per family: public methods check their arguments, unchecked
 * twins below compute. {@link org.contrastive4j.ops.Ops} holds one backend's families. May import tensor, memory.
 */
@NullMarked
package org.contrastive4j.ops;

import org.jspecify.annotations.NullMarked;
