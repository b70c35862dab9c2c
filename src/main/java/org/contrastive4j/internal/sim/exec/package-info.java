/** Executes parsed PTX warp by warp: registers are rows of 32 lanes, a mask says which lanes take part. */
package org.contrastive4j.internal.sim.exec;
