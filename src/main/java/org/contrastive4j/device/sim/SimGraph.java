package org.contrastive4j.device.sim;

import java.util.List;
import org.contrastive4j.device.DeviceGraph;
import org.contrastive4j.device.DeviceStream;

/** Work that was noted, and is given to a stream again and again. */
final class SimGraph implements DeviceGraph {
    private final SimDevice device;
    private final List<Runnable> work;
    private final int nodes;
    private boolean gone;

    SimGraph(SimDevice device, List<Runnable> work, int nodes) {
        this.device = device;
        this.work = work;
        this.nodes = nodes;
    }

    @Override
    public void launch(DeviceStream stream) {
        if (gone) {
            throw new IllegalStateException("graph was used after close");
        }
        SimStream on = SimStream.of(device, stream);
        work.forEach(on::give);
    }

    @Override
    public int nodes() {
        return nodes;
    }

    @Override
    public void close() {
        gone = true;
    }
}
