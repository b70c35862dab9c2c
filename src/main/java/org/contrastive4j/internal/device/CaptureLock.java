package org.contrastive4j.internal.device;

import java.util.concurrent.locks.ReentrantLock;
import org.contrastive4j.device.DeviceException;

/**
 * Lets one thread at a time capture work of a device, and keeps the device from being synchronised meanwhile, which
 * would invalidate the capture. Other threads may enqueue work on their streams.
 */
public final class CaptureLock {
    private final ReentrantLock lock = new ReentrantLock();

    /**
     * Begins a capture; waits until the capture of another thread has ended.
     *
     * @throws DeviceException while this thread captures
     */
    public void begin() {
        require("a second capture cannot begin");
        lock.lock();
    }

    /** Ends the capture of this thread. */
    public void end() {
        lock.unlock();
    }

    /** Returns whether this thread captures. */
    public boolean isHeld() {
        return lock.isHeldByCurrentThread();
    }

    /**
     * Refuses what cannot be captured.
     *
     * @param what cannot be done, for the message
     * @throws DeviceException while this thread captures
     */
    public void require(String what) {
        if (isHeld()) {
            throw new DeviceException(what + " while work is captured; do it before");
        }
    }

    /**
     * Runs work that synchronises with the whole device, after captures of other threads.
     *
     * @param what is done, for the message
     * @throws DeviceException while this thread captures
     */
    public void synchronise(String what, Runnable synchronising) {
        require(what);
        lock.lock();
        try {
            synchronising.run();
        } finally {
            lock.unlock();
        }
    }

    /**
     * Runs work that synchronises with the whole device unless another thread captures.
     *
     * @return whether it ran
     */
    public boolean trySynchronise(Runnable synchronising) {
        if (!lock.tryLock()) {
            return false;
        }
        try {
            synchronising.run();
            return true;
        } finally {
            lock.unlock();
        }
    }
}
