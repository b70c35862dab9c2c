/** Executes parsed PTX warp by warp: registers are rows of 32 lanes, a mask says which lanes take part. */
@NullMarked
package org.contrastive4j.internal.sim.exec;

import org.jspecify.annotations.NullMarked;
