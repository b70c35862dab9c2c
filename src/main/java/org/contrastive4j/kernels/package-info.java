/**
 * Raw-pointer API: kernels of this library for callers that own device pointers and a stream. Opened by
 * {@link org.contrastive4j.Backend}; callers that have tensors use {@link org.contrastive4j.ops} instead.
 */
@NullMarked
package org.contrastive4j.kernels;

import org.jspecify.annotations.NullMarked;
