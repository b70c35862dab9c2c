/**
 * A simulated device: executes kernels lane by lane and reports errors that a GPU would not report, within a
 * kernel and between streams.
 */
@NullMarked
package org.contrastive4j.internal.sim;

import org.jspecify.annotations.NullMarked;
