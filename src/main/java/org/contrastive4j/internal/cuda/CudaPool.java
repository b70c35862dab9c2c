package org.contrastive4j.internal.cuda;

import static jcuda.driver.JCudaDriver.cuCtxSynchronize;
import static jcuda.driver.JCudaDriver.cuMemAlloc;
import static jcuda.driver.JCudaDriver.cuMemFree;
import static jcuda.driver.JCudaDriver.cuMemGetInfo;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import jcuda.driver.CUresult;
import org.contrastive4j.internal.memory.AllocationLedger;
import org.contrastive4j.memory.Memory.MemoryLeakException;
import org.contrastive4j.memory.Memory.OutOfBudgetException;
import org.contrastive4j.memory.Memory.Storage;
import org.jspecify.annotations.Nullable;

/**
 * Memory of one GPU, counted, and kept for the next allocation of the same size.
 *
 * <p>A freed block may still be used by work that its stream has not done yet. The same stream may have it at once,
 * because its later work is ordered after; other streams only after a synchronisation. The driver's own pool would do
 * the same, but JCuda cannot set its release threshold, and with the one it begins with the driver takes all free
 * memory back at every wait.
 */
final class CudaPool {
    private static final long ALIGNMENT = 256;

    /** A freed block; a new object each time, so that one that was taken and freed again is another one. */
    private static final class Block {
        private final long address;
        private @Nullable CudaStream usedBy; // null when nothing uses it any more

        Block(long address, @Nullable CudaStream usedBy) {
            this.address = address;
            this.usedBy = usedBy;
        }
    }

    private final CudaDevice device;
    private final AllocationLedger<CudaStorage> ledger;
    private final Map<Long, Deque<Block>> free = new HashMap<>();
    private long pooled;

    CudaPool(CudaDevice device, long limit, boolean traceLeaks) {
        this.device = device;
        ledger = new AllocationLedger<>(limit, traceLeaks, "use smaller chunks or raise the memory budget");
    }

    private static long blockBytes(long bytes) {
        return Math.max(ALIGNMENT, (bytes + ALIGNMENT - 1) & -ALIGNMENT);
    }

    /** On a thread that has entered the device. */
    synchronized CudaStorage allocate(long bytes, CudaStream stream) {
        ledger.check(bytes);
        long address = take(blockBytes(bytes), stream);
        if (address == 0) {
            address = fresh(bytes);
        }
        CudaStorage storage = new CudaStorage(device, bytes, stream, address);
        ledger.add(storage);
        return storage;
    }

    /** A kept block, 0 when there is none for this stream. */
    private long take(long bytes, CudaStream stream) {
        Iterator<Block> blocks = free.getOrDefault(bytes, new ArrayDeque<>()).iterator();
        while (blocks.hasNext()) {
            Block block = blocks.next();
            if (block.usedBy == null || block.usedBy == stream) {
                blocks.remove();
                pooled -= bytes;
                return block.address;
            }
        }
        return 0;
    }

    private long fresh(long bytes) {
        DevicePointer block = new DevicePointer();
        long reserved = blockBytes(bytes);
        int result = reserved < bytes ? CUresult.CUDA_ERROR_OUT_OF_MEMORY : cuMemAlloc(block, reserved);
        if (result == CUresult.CUDA_ERROR_OUT_OF_MEMORY && pooled > 0 && device.unlessRecording(this::trim)) {
            result = cuMemAlloc(block, reserved);
        }
        if (result == CUresult.CUDA_ERROR_OUT_OF_MEMORY) {
            long[] left = new long[1];
            long[] total = new long[1];
            cuMemGetInfo(left, total);
            throw new OutOfBudgetException(
                    bytes,
                    ledger.current(),
                    ledger.limit(),
                    device.facts().name() + " has " + left[0] + " of " + total[0]
                            + " bytes left; use smaller chunks, or look which other program has the rest");
        }
        device.errors().check(result, "cuMemAlloc", () -> bytes + " bytes");
        return block.address();
    }

    synchronized void release(CudaStorage storage) {
        if (!ledger.remove(storage)) {
            return; // close() of the device freed it
        }
        long bytes = blockBytes(storage.bytes());
        pooled += bytes;
        CudaStream stream = storage.stream();
        free.computeIfAbsent(bytes, k -> new ArrayDeque<>())
                .addFirst(new Block(storage.blockAddress(), stream.isClosed() ? null : stream));
    }

    /**
     * Makes the blocks that were freed before the wait ready for every stream.
     *
     * @param stream whose blocks, null for all
     * @param wait until the work given so far is done
     */
    void settle(@Nullable CudaStream stream, Runnable wait) {
        List<Block> waiting = new ArrayList<>();
        synchronized (this) {
            free.values()
                    .forEach(blocks -> blocks.forEach(block -> {
                        if (block.usedBy != null && (stream == null || block.usedBy == stream)) {
                            waiting.add(block);
                        }
                    }));
        }
        wait.run();
        synchronized (this) {
            waiting.forEach(block -> block.usedBy = null);
        }
    }

    /**
     * Waits for all work and gives the kept blocks back to the driver; on a thread that has entered the device,
     * no thread capturing.
     */
    synchronized void trim() {
        device.errors().check(cuCtxSynchronize(), "cuCtxSynchronize");
        for (Deque<Block> blocks : free.values()) {
            for (Block block : blocks) {
                device.errors().check(cuMemFree(new DevicePointer(block.address)), "cuMemFree");
            }
        }
        free.clear();
        pooled = 0;
    }

    /** Requested bytes, without the rounding of blocks. */
    AllocationLedger<CudaStorage> ledger() {
        return ledger;
    }

    synchronized long pooledBytes() {
        return pooled;
    }

    /**
     * Frees everything, on a thread that has entered the device or with the device lost.
     *
     * @return what to throw when storages were still open, else null
     */
    @Nullable
    MemoryLeakException close() {
        List<CudaStorage> leaked = ledger.open();
        MemoryLeakException leak = ledger.leak();
        leaked.forEach(Storage::close); // returns the blocks to the pool
        if (!device.errors().isLost()) {
            trim();
        }
        return leaked.isEmpty() ? null : leak;
    }
}
