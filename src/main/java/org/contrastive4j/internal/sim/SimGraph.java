package org.contrastive4j.internal.sim;

import java.util.List;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.internal.sim.exec.Region;

/** Work that was noted, and is given to a stream again and again. */
final class SimGraph implements DeviceStream.Graph {
    private final SimDevice device;
    private final List<SimStream.Work> work;
    private final List<Region> blocks;
    private boolean gone;

    /** @param blocks its own memory, each made fresh by one piece of the work */
    SimGraph(SimDevice device, List<SimStream.Work> work, List<Region> blocks) {
        this.device = device;
        this.work = work;
        this.blocks = blocks;
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
        return work.size() - blocks.size();
    }

    @Override
    public void close() {
        gone = true;
        blocks.forEach(device.memory()::free);
    }
}
