package org.contrastive4j.internal.cuda;

import java.nio.ByteBuffer;
import org.contrastive4j.device.PtxDevice.DeviceStorage;

/**
 * A block of the pool, or a view of a part of one.
 *
 * <p>Tested by {@code CudaDeviceTest}.
 */
final class CudaStorage extends DeviceStorage {
    private final CudaDevice device;
    private final CudaStream stream;
    private final long address;
    private final CudaStorage whole;
    private final Runnable afterClose;

    /**
     * @param stream that the block is allocated for; other streams reuse it only after a synchronisation
     */
    CudaStorage(CudaDevice device, long bytes, CudaStream stream, long address) {
        super(device, bytes);
        this.device = device;
        this.stream = stream;
        this.address = address;
        whole = this;
        afterClose = () -> device.pool().release(this);
    }

    private CudaStorage(CudaDevice device, long address, long bytes) {
        super(device, bytes);
        this.device = device;
        this.stream = (CudaStream) device.stream();
        this.address = address;
        whole = this;
        afterClose = () -> {};
    }

    /** Memory of a variable, which belongs to its module. */
    static CudaStorage ofModule(CudaDevice device, long address, long bytes) {
        return new CudaStorage(device, address, bytes);
    }

    private CudaStorage(CudaStorage whole, long address, long bytes, Runnable afterClose) {
        super(whole.device, bytes);
        device = whole.device;
        stream = whole.stream;
        this.address = address;
        this.whole = whole;
        this.afterClose = afterClose;
    }

    CudaStream stream() {
        return stream;
    }

    /** Returns the address of the first byte, also after close. */
    long blockAddress() {
        return address;
    }

    @Override
    public long address() {
        checkOpen();
        whole.checkOpen();
        return address;
    }

    @Override
    public CudaStorage view(long at, long bytes) {
        return part(at, bytes, () -> {});
    }

    /** {@inheritDoc} The view is tracked, so that use after close is reported. */
    CudaStorage part(long at, long bytes, Runnable whenClosed) {
        address();
        checkRange(at, bytes, bytes(), "a storage");
        return new CudaStorage(whole, address + at, bytes, whenClosed);
    }

    static void checkRange(long at, long count, long bytes, String what) {
        if (at < 0 || count < 0 || count > bytes - at) {
            throw new IndexOutOfBoundsException(count + " bytes at " + at + " of " + what + " of " + bytes + " bytes");
        }
    }

    /** Returns the address of byte {@code at}, from which {@code count} bytes are copied. */
    DevicePointer pointer(long at, long count) {
        long first = address();
        checkRange(at, count, bytes(), "a storage");
        return new DevicePointer(first + at);
    }

    /** {@inheritDoc} Synchronises with the device before the copy and after it. */
    @Override
    public void upload(long at, ByteBuffer source) {
        pointer(at, source.remaining());
        device.staging().upload(this, at, source);
    }

    /** {@inheritDoc} Synchronises with the device before the copy and after it. */
    @Override
    public void download(long at, ByteBuffer target) {
        pointer(at, target.remaining());
        device.staging().download(this, at, target);
    }

    @Override
    protected void free() {
        afterClose.run();
    }
}
