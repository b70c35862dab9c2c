package org.contrastive4j.internal.cuda;

import java.util.concurrent.atomic.AtomicBoolean;

/** A driver resource that is released once: by its owner, or by its device when that is closed. */
abstract class CudaHandle implements AutoCloseable {
    private final CudaDevice device;
    private final String kind;
    private final AtomicBoolean closed = new AtomicBoolean();

    CudaHandle(CudaDevice device, String kind) {
        this.device = device;
        this.kind = kind;
        device.adopt(this);
    }

    final CudaDevice device() {
        return device;
    }

    final boolean isClosed() {
        return closed.get();
    }

    /** Checks that this and its device can be used and makes the device this thread's own. */
    final void enter() {
        if (closed.get()) {
            throw new IllegalStateException(kind + " was used after close");
        }
        device.enter();
    }

    final void check(int result, String call) {
        device.errors().check(result, call);
    }

    @Override
    public void close() {
        release();
    }

    /** Gives it back; idempotent. */
    final void release() {
        if (closed.compareAndSet(false, true)) {
            device.disown(this);
            if (!device.errors().isLost()) { // otherwise the driver has nothing left to give back
                device.enter();
                destroy();
            }
        }
    }

    /** Called at most once, on a living device. */
    abstract void destroy();
}
