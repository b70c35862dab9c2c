/**
 * A device made of Java: executes real kernels lane by lane and stops at what a GPU would do silently wrong, within a
 * kernel and between streams.
 */
@NullMarked
package org.contrastive4j.internal.sim;

import org.jspecify.annotations.NullMarked;
