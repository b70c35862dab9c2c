package org.contrastive4j.internal.cuda;

import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * Copies between any Java buffer and the device through one piece of pinned memory.
 *
 * <p>The driver may still be reading ordinary memory when its call returns; Java's arrays move meanwhile.
 */
final class Staging {
    private static final int BYTES = 8 << 20;

    private final CudaDevice device;
    private @Nullable CudaPinned pinned;

    Staging(CudaDevice device) {
        this.device = device;
    }

    private CudaPinned begin() {
        device.synchronize();
        CudaPinned buffer = pinned == null ? CudaPinned.allocate(device, BYTES) : pinned;
        pinned = buffer;
        return buffer;
    }

    synchronized void upload(CudaStorage target, long at, ByteBuffer source) {
        CudaPinned buffer = begin();
        ByteBuffer stage = buffer.bytes().duplicate();
        for (long done = at; source.hasRemaining(); ) {
            int part = Math.min(source.remaining(), BYTES);
            stage.clear().put(source.duplicate().limit(source.position() + part));
            device.stream().upload(buffer, 0, target, done, part);
            device.stream().synchronize();
            source.position(source.position() + part);
            done += part;
        }
    }

    synchronized void download(CudaStorage source, long at, ByteBuffer target) {
        CudaPinned buffer = begin();
        ByteBuffer stage = buffer.bytes().duplicate();
        for (long done = at; target.hasRemaining(); ) {
            int part = Math.min(target.remaining(), BYTES);
            device.stream().download(source, done, buffer, 0, part);
            device.stream().synchronize();
            target.put(stage.clear().limit(part));
            done += part;
        }
    }
}
