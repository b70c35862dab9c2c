package org.contrastive4j.internal.sim.check;

import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.contrastive4j.internal.sim.exec.Async;
import org.contrastive4j.internal.sim.exec.Cluster;
import org.contrastive4j.internal.sim.exec.Code;
import org.contrastive4j.internal.sim.exec.Fault;
import org.contrastive4j.internal.sim.exec.Grid;
import org.contrastive4j.internal.sim.exec.Observer;
import org.contrastive4j.internal.sim.exec.Step;
import org.contrastive4j.internal.sim.exec.Warp;
import org.contrastive4j.internal.sim.exec.WgmmaStep;

/**
 * Finds registers of wgmma that are used before it was waited for, and wgmma on registers that were touched after the
 * last wgmma.fence.
 *
 * <p>Accumulators may go from one wgmma to the next of the same shape without a fence.
 *
 * <p>Tested by {@code CheckersTest}.
 */
public final class WgmmaCheck implements Observer {
    private final Map<Warp, Registers> warps = new ConcurrentHashMap<>();

    /** State of each register row of a warp. */
    private static final class Registers {
        private final int[] busyWriting;
        private final int[] busyReading;
        private final boolean[] touched;
        private final WgmmaStep[] last;

        Registers(int rows) {
            busyWriting = new int[rows];
            busyReading = new int[rows];
            touched = new boolean[rows];
            last = new WgmmaStep[rows];
        }
    }

    @Override
    public boolean watchesSteps(Code code) {
        return code.usesWgmma();
    }

    @Override
    public boolean watchesAccesses(Code code) {
        return false;
    }

    @Override
    public void begin(Grid grid) {
        warps.clear();
    }

    @Override
    public void end(Cluster cluster) {
        cluster.warps().forEach(warps::remove);
    }

    @Override
    public void step(Warp warp, Step step, int mask) {
        if (!warp.usesWgmma()) {
            return;
        }
        Registers registers = warps.computeIfAbsent(warp, key -> new Registers(warp.written().length));
        if (step instanceof WgmmaStep product) {
            start(warp, product, registers);
            return;
        }
        for (int row : step.reads()) {
            touch(warp, step, registers, row / Warp.LANES, false);
        }
        for (int row : step.writes()) {
            touch(warp, step, registers, row / Warp.LANES, true);
        }
    }

    private static void touch(Warp warp, Step step, Registers registers, int at, boolean writes) {
        if (registers.busyWriting[at] > 0 || writes && registers.busyReading[at] > 0) {
            warp.report(warp.fault(
                    Fault.Kind.ASYNC_PENDING,
                    step,
                    0,
                    (writes ? "writes " : "reads ") + warp.registerName(at)
                            + ", which a wgmma that was not waited for still "
                            + (registers.busyWriting[at] > 0 ? "writes" : "reads")));
        }
        registers.touched[at] = true;
    }

    private static void start(Warp warp, WgmmaStep product, Registers registers) {
        int number = WgmmaStep.number(warp) + 1;
        for (int row : product.fragment()) {
            int at = row / Warp.LANES;
            if (registers.busyWriting[at] > 0) {
                warp.report(warp.fault(
                        Fault.Kind.ASYNC_PENDING,
                        product,
                        0,
                        "reads " + warp.registerName(at) + " as A, which an earlier wgmma still writes"));
            }
            fenced(warp, product, registers, at, "A");
            registers.busyReading[at] = number;
        }
        for (int row : product.accumulators()) {
            int at = row / Warp.LANES;
            WgmmaStep before = registers.last[at];
            if (registers.busyReading[at] > 0 || registers.busyWriting[at] > 0 && !product.sameShape(before)) {
                warp.report(warp.fault(
                        Fault.Kind.ASYNC_PENDING,
                        product,
                        0,
                        "accumulates in " + warp.registerName(at)
                                + ", which an earlier wgmma of another shape or use still has"));
            }
            fenced(warp, product, registers, at, "accumulator");
            registers.busyWriting[at] = number;
            registers.last[at] = product;
        }
    }

    private static void fenced(Warp warp, WgmmaStep product, Registers registers, int at, String role) {
        if (registers.touched[at]) {
            warp.report(warp.fault(
                    Fault.Kind.WGMMA_FENCE,
                    product,
                    0,
                    role + " " + warp.registerName(at)
                            + " was touched by other instructions after the last wgmma.fence"));
        }
    }

    @Override
    public void fence(Warp warp, int mask, Fence fence) {
        Registers registers = warps.get(warp);
        if (fence == Fence.WGMMA && registers != null) {
            Arrays.fill(registers.touched, false);
        }
    }

    @Override
    public void waited(Warp warp, int mask, Async.Group group, int number) {
        Registers registers = warps.get(warp);
        if (group == Async.Group.WGMMA && registers != null) {
            for (int at = 0; at < registers.busyWriting.length; at++) {
                if (registers.busyWriting[at] <= number) {
                    registers.busyWriting[at] = 0;
                }
                if (registers.busyReading[at] <= number) {
                    registers.busyReading[at] = 0;
                }
            }
        }
    }
}
