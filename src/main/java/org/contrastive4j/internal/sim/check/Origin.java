package org.contrastive4j.internal.sim.check;

import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.internal.sim.exec.Fault;
import org.contrastive4j.internal.sim.exec.Step;
import org.contrastive4j.internal.sim.exec.Warp;

/**
 * Which warp made an access, without its registers: accesses are kept when the warp is gone.
 *
 * @param block coordinates; one object for each block
 * @param warp number in the block
 * @param size threads of a block
 */
record Origin(String kernel, Launch.Dim block, int warp, Launch.Dim size) {
    static Origin of(Warp warp) {
        return new Origin(
                warp.cta().cluster().grid().code().name(),
                warp.cta().index(),
                warp.index(),
                warp.cta().cluster().grid().launch().block());
    }

    boolean isOfSameBlock(Origin other) {
        return block == other.block;
    }

    /** Coordinates of the thread in a lane. */
    String thread(int lane) {
        int linear = warp * Warp.LANES + lane;
        return new Launch.Dim(linear % size.x(), linear / size.x() % size.y(), linear / (size.x() * size.y()))
                .toString();
    }

    /** Where a lane executes a step. */
    Fault.Site site(Step step, int lane) {
        return new Fault.Site(
                kernel,
                step.source().file(),
                step.source().line(),
                step.source().origin(),
                step.source().text(),
                block.toString(),
                thread(lane),
                lane);
    }
}
