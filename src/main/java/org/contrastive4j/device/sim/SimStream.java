package org.contrastive4j.device.sim;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.contrastive4j.device.DeviceEvent;
import org.contrastive4j.device.DeviceException;
import org.contrastive4j.device.DeviceGraph;
import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.LaunchException;
import org.contrastive4j.device.PinnedBuffer;

/** Work that is done as it is given, or noted while a graph is captured. */
final class SimStream implements DeviceStream {
    private final SimDevice device;
    private List<Runnable> captured;
    private boolean closed;

    SimStream(SimDevice device) {
        this.device = device;
    }

    static SimStream of(SimDevice device, DeviceStream stream) {
        if (stream instanceof SimStream mine && mine.device == device) {
            return mine;
        }
        throw new LaunchException("the stream is " + (stream == null ? "null" : "of another device")
                + ", wanted one of the device that launches");
    }

    boolean isCapturing() {
        return captured != null;
    }

    void give(Runnable work) {
        if (closed) {
            throw new IllegalStateException("stream was used after close");
        }
        device.checkOpen();
        if (captured != null) {
            captured.add(work);
        } else {
            work.run();
        }
    }

    private static SimStorage mine(DeviceStorage storage) {
        if (storage instanceof SimStorage sim) {
            return sim;
        }
        throw new IllegalArgumentException("the storage is not of this device");
    }

    private void refuseCapture(String what) {
        if (captured != null) {
            throw new DeviceException(what + " cannot be captured in a graph");
        }
    }

    @Override
    public void synchronize() {
        refuseCapture("waiting");
        give(() -> { });
    }

    @Override
    public void upload(PinnedBuffer source, long from, DeviceStorage target, long at, long bytes) {
        mine(target).at(at, bytes);
        give(() -> target.upload(at, slice(source, from, bytes)));
    }

    @Override
    public void download(DeviceStorage source, long from, PinnedBuffer target, long at, long bytes) {
        mine(source).at(from, bytes);
        give(() -> source.download(from, slice(target, at, bytes)));
    }

    private static ByteBuffer slice(PinnedBuffer pinned, long from, long bytes) {
        return pinned.bytes().slice(Math.toIntExact(from), Math.toIntExact(bytes));
    }

    @Override
    public void copy(DeviceStorage source, long from, DeviceStorage target, long at, long bytes) {
        mine(source).at(from, bytes);
        mine(target).at(at, bytes);
        give(() -> {
            SimStorage to = mine(target);
            System.arraycopy(mine(source).block().data(), mine(source).at(from, bytes), to.block().data(), to.at(at, bytes), (int) bytes);
            to.block().markWritten(to.at(at, bytes), (int) bytes);
        });
    }

    @Override
    public void fill(DeviceStorage storage, byte value) {
        SimStorage to = mine(storage);
        to.at(0, to.bytes());
        give(() -> {
            int from = to.at(0, to.bytes());
            Arrays.fill(to.block().data(), from, from + (int) to.bytes(), value);
            to.block().markWritten(from, (int) to.bytes());
        });
    }

    @Override
    public DeviceEvent record() {
        refuseCapture("an event of the host");
        give(() -> { });
        return new SimEvent(System.nanoTime());
    }

    /** Time of this machine, not of a GPU. */
    private record SimEvent(long nanos) implements DeviceEvent {
        @Override
        public boolean isDone() {
            return true;
        }

        @Override
        public void synchronize() {
            // it is done
        }

        @Override
        public double millisecondsSince(DeviceEvent earlier) {
            if (earlier instanceof SimEvent other) {
                return (nanos - other.nanos) / 1e6;
            }
            throw new IllegalArgumentException("the event is not of this device");
        }

        @Override
        public void close() {
            // holds nothing
        }
    }

    @Override
    public void await(DeviceEvent event) {
        event.synchronize();
    }

    @Override
    public DeviceGraph capture(Runnable work) {
        refuseCapture("a capture");
        List<Runnable> nodes = new ArrayList<>();
        captured = nodes;
        try {
            work.run();
        } finally {
            captured = null;
        }
        return new DeviceGraph() {
            private boolean gone;

            @Override
            public void launch(DeviceStream stream) {
                if (gone) {
                    throw new IllegalStateException("graph was used after close");
                }
                SimStream on = of(device, stream);
                nodes.forEach(on::give);
            }

            @Override
            public int nodes() {
                return nodes.size();
            }

            @Override
            public void close() {
                gone = true;
            }
        };
    }

    @Override
    public void close() {
        if (this == device.stream()) {
            throw new DeviceException("the stream of the device is closed with the device");
        }
        closed = true;
    }
}
