package org.contrastive4j.internal.ptx;

import java.nio.ByteBuffer;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxDevice.PinnedBuffer;

/**
 * Uploads bytes that are the same in every step of one shape. They are kept in pinned memory, from which a captured
 * graph copies them again at each replay.
 *
 * <p>Pinned memory cannot be allocated during a capture, so the eager step before it has to upload the same bytes. At
 * most 64 different contents are kept, besides those that graphs copy.
 */
final class ConstantUploads implements AutoCloseable {
    private static final int MOST = 64;

    private static final class Kept {
        final PinnedBuffer pinned;
        boolean captured;

        Kept(PinnedBuffer pinned) {
            this.pinned = pinned;
        }
    }

    private final PtxDevice device;
    private final DeviceStream stream;
    private final Map<ByteBuffer, Kept> contents = new LinkedHashMap<>(16, 0.75f, true);

    ConstantUploads(PtxDevice device) {
        this.device = device;
        this.stream = device.stream();
    }

    /**
     * Copies bytes to the beginning of a storage, in stream order.
     *
     * @param bytes must not change afterwards
     */
    synchronized void upload(ByteBuffer bytes, DeviceStorage target) {
        Kept kept = contents.get(bytes);
        if (kept == null) {
            kept = keep(bytes);
        }
        kept.captured |= stream.isCapturing();
        stream.upload(kept.pinned, 0, target, 0, bytes.remaining());
    }

    private Kept keep(ByteBuffer bytes) {
        if (stream.isCapturing()) {
            throw new LaunchException("a pass over pairs is captured whose constants were not uploaded before; run the"
                    + " same work eagerly once before it is captured");
        }
        if (contents.size() >= MOST) {
            dropOldest();
        }
        Kept kept = new Kept(device.pinned(bytes.remaining()));
        kept.pinned.bytes().put(bytes.duplicate());
        contents.put(bytes, kept);
        return kept;
    }

    private void dropOldest() {
        Iterator<Kept> oldestFirst = contents.values().iterator();
        while (oldestFirst.hasNext()) {
            Kept kept = oldestFirst.next();
            if (!kept.captured) {
                stream.synchronize(); // a copy from it may still run
                kept.pinned.close();
                oldestFirst.remove();
                return;
            }
        }
    }

    @Override
    public void close() {
        contents.values().forEach(kept -> kept.pinned.close());
        contents.clear();
    }
}
