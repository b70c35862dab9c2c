package org.contrastive4j.internal.cuda;

import static jcuda.driver.JCudaDriver.cuMemAllocHost;
import static jcuda.driver.JCudaDriver.cuMemFreeHost;

import java.nio.ByteBuffer;
import jcuda.Pointer;
import org.contrastive4j.device.PtxDevice.PinnedBuffer;

/** Page-locked memory of the host. */
final class CudaPinned extends CudaHandle implements PinnedBuffer {
    private final Pointer block;
    private final ByteBuffer bytes;

    private CudaPinned(CudaDevice device, Pointer block, int size) {
        super(device, "pinned buffer of " + size + " bytes");
        this.block = block;
        bytes = block.getByteBuffer(0, size);
    }

    static CudaPinned allocate(CudaDevice device, long bytes) {
        if (bytes < 0 || bytes > Integer.MAX_VALUE) {
            throw new IllegalArgumentException("cannot pin " + bytes + " bytes, expected 0 to " + Integer.MAX_VALUE
                    + ": Java buffers are no larger; use several");
        }
        device.enter();
        device.captures().require("pinned memory cannot be allocated");
        Pointer block = new Pointer();
        device.errors().check(cuMemAllocHost(block, Math.max(1, bytes)), "cuMemAllocHost", () -> bytes + " bytes");
        return new CudaPinned(device, block, (int) bytes);
    }

    @Override
    public ByteBuffer bytes() {
        enter();
        return bytes;
    }

    /** Returns the address of byte {@code at}, from which {@code count} bytes are copied. */
    Pointer pointer(long at, long count) {
        enter();
        CudaStorage.checkRange(at, count, bytes.capacity(), "a pinned buffer");
        return block.withByteOffset(at);
    }

    @Override
    void destroy() {
        check(cuMemFreeHost(block), "cuMemFreeHost");
    }
}
