package org.contrastive4j.internal.sim;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.contrastive4j.device.DeviceException;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxDevice.PinnedBuffer;
import org.contrastive4j.internal.device.ScratchSpace;
import org.contrastive4j.internal.sim.exec.Region;
import org.jspecify.annotations.Nullable;

/**
 * A stream of the simulator: executes work when it is enqueued, or stores it while a graph is captured. {@link
 * StreamOrder} tracks which work is ordered.
 *
 * <p>Tested by {@code StreamOrderTest}.
 */
final class SimStream implements DeviceStream {
    private final SimDevice device;
    private final int number;
    private @Nullable Capture captured;
    private boolean closed;

    /**
     * A piece of work, executed by the stream that it is launched on, which may differ from the one that captured it.
     */
    interface Work {
        void run(SimStream on);
    }

    /** Work that is captured instead of executed, and the memory it allocates. */
    private static final class Capture {
        final List<Work> work = new ArrayList<>();
        final List<Region> blocks = new ArrayList<>();
        final @Nullable SimStorage scratch;
        final @Nullable ScratchSpace space;

        Capture(@Nullable SimStorage scratch) {
            this.scratch = scratch;
            space = scratch == null ? null : new ScratchSpace(scratch.bytes());
        }
    }

    SimStream(SimDevice device) {
        this.device = device;
        this.number = device.order().newStream();
    }

    /** For {@link StreamOrder}. */
    int number() {
        return number;
    }

    static SimStream of(SimDevice device, DeviceStream stream) {
        if (stream instanceof SimStream mine && mine.device == device) {
            return mine;
        }
        throw new LaunchException("the stream is " + (stream == null ? "null" : "of another device")
                + ", expected one of the device that launches");
    }

    private void checkOpen() {
        if (closed) {
            throw new IllegalStateException("stream was used after close");
        }
        device.checkOpen();
    }

    void give(Work work) {
        checkOpen();
        if (captured != null) {
            captured.work.add(work);
        } else {
            device.run(() -> {
                device.order().begin(number);
                work.run(this);
            });
        }
    }

    private void reads(String work, SimStorage storage, int from, long bytes) {
        device.order().touched(number, work, storage.block(), from, (int) bytes, false);
    }

    private void writes(String work, SimStorage storage, int from, long bytes) {
        device.order().touched(number, work, storage.block(), from, (int) bytes, true);
    }

    private SimStorage mine(DeviceStorage storage) {
        if (storage instanceof SimStorage sim && sim.memory() == device) {
            return sim;
        }
        throw new DeviceException("a storage of " + storage.bytes() + " bytes of another device was given");
    }

    /**
     * Allocates memory of the current capture, with fresh contents at each launch of the graph. It must fit in the
     * scratch memory as on a GPU, but is a region of its own, so that its bounds are checked.
     */
    SimStorage fromScratch(long bytes) {
        Capture capture = captured;
        if (capture == null || capture.space == null || capture.scratch == null) {
            throw new DeviceException(
                    "memory cannot be allocated while work is captured; do it before, or capture with "
                            + "scratch memory and allocate for the stream that captures");
        }
        ScratchSpace space = capture.space;
        long at = space.allocate(bytes);
        SimStorage scratch = capture.scratch;
        int location = scratch.at(at, bytes);
        Region block = device.memory().allocate((int) bytes, "scratch", Region.Space.GLOBAL);
        capture.blocks.add(block);
        give(on -> {
            on.writes("captured work", scratch, location, bytes);
            block.forget(0, block.bytes());
        });
        return new SimStorage(device, block, () -> space.free(at));
    }

    @Override
    public boolean isCapturing() {
        return captured != null;
    }

    @Override
    public void synchronize() {
        device.captures().require("the stream cannot be synchronised");
        device.countWait();
        give(on -> {});
        device.order().hostAwaits(number);
    }

    @Override
    public void upload(PinnedBuffer source, long from, DeviceStorage target, long at, long bytes) {
        SimStorage to = mine(target);
        int location = to.at(at, bytes);
        ByteBuffer host = slice(source, from, bytes);
        give(on -> {
            on.writes("upload", to, location, bytes);
            device.order().reads(source);
            to.put(location, host.duplicate());
        });
    }

    @Override
    public void upload(ByteBuffer source, DeviceStorage target, long at) {
        device.captures().require("bytes of the host cannot be copied");
        SimStorage to = mine(target);
        int location = to.at(at, source.remaining());
        give(on -> {
            on.writes("upload", to, location, source.remaining());
            to.put(location, source);
        });
    }

    @Override
    public void download(DeviceStorage source, long from, PinnedBuffer target, long at, long bytes) {
        SimStorage read = mine(source);
        int location = read.at(from, bytes);
        ByteBuffer host = slice(target, at, bytes);
        give(on -> {
            on.reads("download", read, location, bytes);
            ByteBuffer brought = ByteBuffer.allocate((int) bytes);
            read.get(location, brought);
            poison(host.duplicate());
            device.order().brings(on.number, target, () -> host.duplicate().put(brought.flip()));
        });
    }

    /** What the host sees where it did not wait: NaN in f32 and f64, and no number that is a likely answer. */
    private static void poison(ByteBuffer host) {
        host.order(ByteOrder.nativeOrder());
        while (host.remaining() >= Integer.BYTES) {
            host.putInt(0x7fffa5a5);
        }
        while (host.hasRemaining()) {
            host.put((byte) 0xa5);
        }
    }

    private static ByteBuffer slice(PinnedBuffer pinned, long from, long bytes) {
        ByteBuffer all = pinned.bytes();
        Objects.checkFromIndexSize(from, bytes, (long) all.capacity());
        return all.slice((int) from, (int) bytes);
    }

    @Override
    public void copy(DeviceStorage source, long from, DeviceStorage target, long at, long bytes) {
        SimStorage read = mine(source);
        SimStorage written = mine(target);
        int start = read.at(from, bytes);
        int location = written.at(at, bytes);
        if (read.block() == written.block() && Math.abs(start - location) < bytes) {
            throw new IllegalArgumentException(bytes + " bytes would be copied to an overlapping range, "
                    + (location - start) + " bytes away; copy through a third buffer");
        }
        give(on -> {
            read.checkThere();
            written.checkThere();
            on.reads("copy", read, start, bytes);
            on.writes("copy", written, location, bytes);
            System.arraycopy(read.block().data(), start, written.block().data(), location, (int) bytes);
            written.block().markWritten(location, (int) bytes);
        });
    }

    @Override
    public void fill(DeviceStorage storage, byte value) {
        SimStorage to = mine(storage);
        int from = to.at(0, to.bytes());
        give(on -> {
            to.checkThere();
            on.writes("fill", to, from, to.bytes());
            Arrays.fill(to.block().data(), from, from + (int) to.bytes(), value);
            to.block().markWritten(from, (int) to.bytes());
        });
    }

    @Override
    public DeviceStream.Event record() {
        device.captures().require("an event cannot be recorded");
        give(on -> {});
        return new SimEvent(device.order(), device.order().position(number));
    }

    /** Time of this machine, not of a GPU. */
    private static final class SimEvent implements DeviceStream.Event {
        private final long nanos = System.nanoTime();
        private final StreamOrder order;
        private final StreamOrder.Known position;
        private boolean gone;

        SimEvent(StreamOrder order, StreamOrder.Known position) {
            this.order = order;
            this.position = position;
        }

        private void checkOpen() {
            if (gone) {
                throw new IllegalStateException("event was used after close");
            }
        }

        @Override
        public boolean isDone() {
            synchronize();
            return true;
        }

        @Override
        public void synchronize() {
            checkOpen(); // it is done
            order.hostAwaits(position);
        }

        @Override
        public double millisecondsSince(DeviceStream.Event earlier) {
            checkOpen();
            if (earlier instanceof SimEvent other) {
                other.checkOpen();
                return (nanos - other.nanos) / 1e6;
            }
            throw new DeviceException("an event of another kind of device was given: " + earlier);
        }

        @Override
        public void close() {
            gone = true;
        }
    }

    @Override
    public void await(DeviceStream.Event event) {
        if (!(event instanceof SimEvent earlier)) {
            throw new DeviceException("an event of another kind of device was given: " + event);
        }
        earlier.checkOpen();
        checkOpen();
        device.captures().require("an event cannot be awaited");
        if (earlier.order == device.order()) {
            device.order().await(number, earlier.position);
        }
    }

    @Override
    public DeviceStream.Graph capture(Runnable work, @Nullable DeviceStorage scratch) {
        Capture capture = new Capture(scratch == null ? null : mine(scratch));
        device.captures().begin();
        captured = capture;
        try {
            work.run();
        } catch (RuntimeException | Error refused) {
            capture.blocks.forEach(device.memory()::free);
            throw refused;
        } finally {
            captured = null;
            device.captures().end();
        }
        return new SimGraph(device, capture.work, capture.blocks);
    }

    /** {@inheritDoc} The stream of the device itself stays. */
    @Override
    public void close() {
        device.order().hostAwaits(number);
        closed = this != device.stream();
    }
}
