package org.contrastive4j.internal.sim.exec;

import org.jspecify.annotations.Nullable;

/** Reports fences and strong accesses to observers: release and acquire through a memory location. */
final class MemoryOrder {
    /**
     * A memory location that threads synchronise through.
     *
     * @param within the block whose threads alone do; null for all
     */
    record Location(Region block, int offset, @Nullable Cta within) {}

    private MemoryOrder() {}

    /** Before a strong write: publishes, by itself or through the last fence, to all or to the threads of the block. */
    static void beforeWrite(Warp warp, int mask, Access access, boolean release, boolean blockScope) {
        for (Observer observer : warp.cta.cluster().observers()) {
            for (int left = observer.publishingLanes(warp, mask, release); left != 0; left &= left - 1) {
                int lane = Integer.numberOfTrailingZeros(left);
                observer.strongWrite(warp, 1 << lane, location(warp, access, lane, true), release);
                if (!blockScope) {
                    observer.strongWrite(warp, 1 << lane, location(warp, access, lane, false), release);
                }
            }
        }
    }

    /** After a strong read: sees what was published, at once or at the next fence. */
    static void afterRead(Warp warp, int mask, Access access, boolean acquire, boolean blockScope) {
        for (Observer observer : warp.cta.cluster().observers()) {
            for (int left = observer.needsStrongRead() ? mask : 0; left != 0; left &= left - 1) {
                int lane = Integer.numberOfTrailingZeros(left);
                observer.strongRead(warp, 1 << lane, location(warp, access, lane, true), acquire);
                if (!blockScope) {
                    observer.strongRead(warp, 1 << lane, location(warp, access, lane, false), acquire);
                }
            }
        }
    }

    private static Location location(Warp warp, Access access, int lane, boolean within) {
        return new Location(access.blocks[lane], access.offsets[lane], within ? warp.cta : null);
    }

    static void release(Warp warp, int mask, Object location) {
        for (Observer observer : warp.cta.cluster().observers()) {
            observer.release(warp, mask, location);
        }
    }

    static void acquire(Warp warp, int mask, Object location) {
        for (Observer observer : warp.cta.cluster().observers()) {
            observer.acquire(warp, mask, location);
        }
    }

    static void converge(Warp warp, int mask) {
        for (Observer observer : warp.cta.cluster().observers()) {
            observer.converge(warp, mask);
        }
    }

    static void fence(Warp warp, int mask, Observer.Fence fence) {
        for (Observer observer : warp.cta.cluster().observers()) {
            observer.fence(warp, mask, fence);
        }
    }

    static void waited(Warp warp, int mask, Async.Group group, int number) {
        for (Observer observer : warp.cta.cluster().observers()) {
            observer.waited(warp, mask, group, number);
        }
    }
}
