package org.contrastive4j.internal.cuda;

import static jcuda.driver.JCudaDriver.cuMemcpyDtoDAsync;
import static jcuda.driver.JCudaDriver.cuMemcpyDtoHAsync;
import static jcuda.driver.JCudaDriver.cuMemcpyHtoDAsync;
import static jcuda.driver.JCudaDriver.cuMemsetD8Async;
import static jcuda.driver.JCudaDriver.cuStreamCreate;
import static jcuda.driver.JCudaDriver.cuStreamDestroy;
import static jcuda.driver.JCudaDriver.cuStreamSynchronize;
import static jcuda.driver.JCudaDriver.cuStreamWaitEvent;

import java.nio.ByteBuffer;
import jcuda.driver.CUstream;
import jcuda.driver.CUstream_flags;
import org.contrastive4j.device.DeviceException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxDevice.PinnedBuffer;
import org.contrastive4j.internal.device.ScratchSpace;
import org.jspecify.annotations.Nullable;

/**
 * A non-blocking stream, which does not synchronise with the default stream; or a stream of the caller.
 *
 * <p>Tested by {@code CudaDeviceTest}.
 */
final class CudaStream extends CudaHandle implements DeviceStream {
    private final CUstream stream;
    private final boolean owned;
    private final StagingRing staging;
    private @Nullable CudaStorage scratch;
    private @Nullable ScratchSpace scratchSpace;
    private boolean capturing;

    private CudaStream(CudaDevice device, CUstream stream, boolean owned) {
        super(device, "stream");
        this.stream = stream;
        this.owned = owned;
        staging = new StagingRing(this);
    }

    static CudaStream create(CudaDevice device) {
        device.enter();
        CUstream stream = new CUstream();
        device.errors().check(cuStreamCreate(stream, CUstream_flags.CU_STREAM_NON_BLOCKING), "cuStreamCreate");
        return new CudaStream(device, stream, true);
    }

    static CudaStream adopt(CudaDevice device, CUstream foreign) {
        device.enter();
        return new CudaStream(device, foreign, false);
    }

    CUstream handle() {
        enter();
        return stream;
    }

    @Override
    public void synchronize() {
        enter();
        check(cuStreamSynchronize(stream), "cuStreamSynchronize");
    }

    @Override
    public void upload(PinnedBuffer source, long from, DeviceStorage target, long at, long bytes) {
        enter();
        var host = pinned(source).pointer(from, bytes);
        var address = device().own(target).pointer(at, bytes);
        if (bytes > 0) {
            check(cuMemcpyHtoDAsync(address, host, bytes, stream), "cuMemcpyHtoDAsync");
        }
    }

    @Override
    public void download(DeviceStorage source, long from, PinnedBuffer target, long at, long bytes) {
        enter();
        var address = device().own(source).pointer(from, bytes);
        var host = pinned(target).pointer(at, bytes);
        if (bytes > 0) {
            check(cuMemcpyDtoHAsync(host, address, bytes, stream), "cuMemcpyDtoHAsync");
        }
    }

    private CudaPinned pinned(PinnedBuffer buffer) {
        if (buffer instanceof CudaPinned own) {
            return own; // memory that is pinned for one GPU is pinned for all
        }
        throw new DeviceException("a pinned buffer of another kind of device was given: " + buffer);
    }

    /** {@inheritDoc} The two must not overlap. */
    @Override
    public void copy(DeviceStorage source, long from, DeviceStorage target, long at, long bytes) {
        enter();
        DevicePointer read = device().own(source).pointer(from, bytes);
        DevicePointer written = device().own(target).pointer(at, bytes);
        if (Math.abs(read.address() - written.address()) < bytes) {
            throw new IllegalArgumentException(bytes + " bytes would be copied to an overlapping range, "
                    + (written.address() - read.address()) + " bytes away; copy through a third buffer");
        }
        if (bytes > 0) {
            check(cuMemcpyDtoDAsync(written, read, bytes, stream), "cuMemcpyDtoDAsync");
        }
    }

    @Override
    public void fill(DeviceStorage storage, byte value) {
        enter();
        DevicePointer address = device().own(storage).pointer(0, storage.bytes());
        if (storage.bytes() > 0) {
            check(cuMemsetD8Async(address, value, storage.bytes(), stream), "cuMemsetD8Async");
        }
    }

    @Override
    public DeviceStream.Event record() {
        enter();
        device().captures().require("an event cannot be recorded");
        return CudaEvent.record(device(), stream);
    }

    @Override
    public void await(DeviceStream.Event event) {
        var earlier = CudaEvent.of(event).handle();
        enter(); // last, because the event may belong to another device
        device().captures().require("an event cannot be awaited");
        check(cuStreamWaitEvent(stream, earlier, 0), "cuStreamWaitEvent");
    }

    @Override
    public void upload(ByteBuffer source, DeviceStorage target, long at) {
        enter();
        device().captures().require("bytes of the host cannot be copied");
        device().own(target).pointer(at, source.remaining());
        staging.upload(source, target, at);
    }

    @Override
    public DeviceStream.Graph capture(Runnable work, @Nullable DeviceStorage scratchMemory) {
        enter();
        CudaStorage own = scratchMemory == null ? null : device().own(scratchMemory);
        return CudaGraph.capture(device(), stream, () -> {
            scratch = own;
            scratchSpace = own == null ? null : new ScratchSpace(own.bytes());
            capturing = true;
            try {
                work.run();
            } finally {
                capturing = false;
                scratch = null;
                scratchSpace = null;
            }
        });
    }

    @Override
    public boolean isCapturing() {
        return capturing;
    }

    /** Allocates a part of the scratch memory of the current capture. */
    CudaStorage fromScratch(long bytes) {
        CudaStorage whole = scratch;
        ScratchSpace space = scratchSpace;
        if (whole == null || space == null) {
            throw new DeviceException(
                    "memory cannot be allocated while work is captured; do it before, or capture with "
                            + "scratch memory and allocate for the stream that captures");
        }
        long at = space.allocate(bytes);
        return whole.part(at, bytes, () -> space.free(at));
    }

    /** {@inheritDoc} The default stream of the device is only synchronised; the device destroys it. */
    @Override
    public void close() {
        if (this != device().stream()) {
            release();
        } else if (!isClosed()) {
            synchronize();
        }
    }

    @Override
    void destroy() {
        device().pool().settle(this, () -> check(cuStreamSynchronize(stream), "cuStreamSynchronize"));
        staging.close();
        if (owned) {
            check(cuStreamDestroy(stream), "cuStreamDestroy");
        }
    }
}
