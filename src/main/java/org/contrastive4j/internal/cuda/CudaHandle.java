package org.contrastive4j.internal.cuda;

import java.util.concurrent.atomic.AtomicBoolean;

/** A driver resource that is released exactly once: by its owner, or by its device when the device is closed. */
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

    /**
     * Checks that this resource and its device are open, and makes the context of the device current on this thread.
     */
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

    /** Releases the resource; idempotent. */
    final void release() {
        if (closed.compareAndSet(false, true)) {
            device.disown(this);
            if (!device.errors().isLost()) { // otherwise the driver has released everything
                device.enter();
                destroy();
            }
        }
    }

    /** Releases the resource; called at most once, while the device is not lost. */
    abstract void destroy();
}
