package org.contrastive4j.internal.sim;

import java.nio.ByteBuffer;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.sim.exec.Region;
import org.jspecify.annotations.Nullable;

/**
 * An allocation of the simulator, or a part of one.
 *
 * <p>Tested by {@code SimDeviceTest}.
 */
final class SimStorage extends DeviceStorage {
    private final SimDevice device;
    private final Region block;
    private final int start;
    private final @Nullable SimStorage whole;
    private final Runnable afterClose;

    /** @param stream whose work the memory is for */
    SimStorage(SimDevice device, Region block, SimStream stream) {
        super(device, block.bytes());
        this.device = device;
        this.block = block;
        this.start = 0;
        this.whole = null;
        this.afterClose = () -> device.release(this, stream);
    }

    /** Memory of captured work: the block stays allocated when this is closed. */
    SimStorage(SimDevice device, Region block, Runnable afterClose) {
        super(device, block.bytes());
        this.device = device;
        this.block = block;
        this.start = 0;
        this.whole = null;
        this.afterClose = afterClose;
    }

    private SimStorage(SimStorage whole, long at, long bytes) {
        super(whole.device, bytes);
        this.device = whole.device;
        this.block = whole.block;
        this.start = whole.start + (int) at;
        this.whole = whole;
        this.afterClose = () -> {};
    }

    Region block() {
        return block;
    }

    int start() {
        return start;
    }

    private void checkRange(long at, long count) {
        checkOpen();
        if (block.isFreed()) {
            throw new IllegalStateException("view of a storage that was closed");
        }
        if (at < 0 || count < 0 || count > bytes() - at) {
            throw new IndexOutOfBoundsException(count + " bytes from " + at + " on of a storage of " + bytes());
        }
    }

    /** Offset in the block of a checked range. */
    int at(long from, long count) {
        checkRange(from, count);
        return start + (int) from;
    }

    @Override
    public long address() {
        checkRange(0, 0);
        return block.base() + start;
    }

    @Override
    public DeviceStorage view(long at, long bytes) {
        checkRange(at, bytes);
        return new SimStorage(this, at, bytes);
    }

    @Override
    public void upload(long at, ByteBuffer source) {
        device.captures().require("memory cannot be uploaded to");
        device.countWait();
        device.order().hostAwaitsAll();
        put(at(at, source.remaining()), source);
    }

    @Override
    public void download(long at, ByteBuffer target) {
        device.captures().require("memory cannot be downloaded");
        device.countWait();
        device.order().hostAwaitsAll();
        get(at(at, target.remaining()), target);
    }

    /** Copies bytes from the host to an offset that was checked; also after this view was closed. */
    void put(int from, ByteBuffer source) {
        device.countUpload();
        checkThere();
        int count = source.remaining();
        source.get(block.data(), from, count);
        block.markWritten(from, count);
    }

    /** Copies bytes to the host. */
    void get(int from, ByteBuffer target) {
        device.countDownload();
        checkThere();
        target.put(block.data(), from, target.remaining());
    }

    /** Checks that the memory of captured work is still open when the graph is launched. */
    void checkThere() {
        if (block.isFreed()) {
            throw new IllegalStateException("captured work uses a storage that was closed");
        }
    }

    @Override
    protected void free() {
        afterClose.run();
    }
}
