/** Executes parsed PTX warp by warp: registers are rows of 32 lanes, a mask selects the active lanes. */
@NullMarked
package org.contrastive4j.internal.sim.exec;

import org.jspecify.annotations.NullMarked;
