package org.contrastive4j.internal.sim.exec;

/** Lanes that wait until their asynchronous work below a number is done. */
record GroupWait(Warp warp, int mask, Async.Group group, int limit) implements Wait {
    @Override
    public boolean isReady() {
        return warp.groups.isDone(group, mask, limit);
    }

    @Override
    public void finish(boolean inTime) {
        warp.groups.waited(group, mask, limit);
        MemoryOrder.waited(warp, mask, group, limit);
        if (group == Async.Group.BULK) { // what is written was read before
            MemoryOrder.waited(warp, mask, Async.Group.BULK_READ, limit);
        }
    }

    @Override
    public String describe() {
        return "its " + group + " groups";
    }
}
