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
 * <p>A freed block may still be used by enqueued work of its stream. The same stream can reuse it at once, because its
 * later work is ordered after that; other streams can only after a synchronisation. The driver's own pool
 * (cuMemAllocAsync) works alike, but JCuda cannot set its release threshold, and with the default of 0 the driver
 * releases all free memory at every synchronisation.
 *
 * <p>Tested by {@code CudaDeviceTest}.
 */
final class CudaPool {
    private static final long ALIGNMENT = 256;

    /** A freed block; a new object each time it is freed, so that identity tells one use from the next. */
    private static final class Block {
        private final long address;
        private @Nullable CudaStream usedBy; // null when no enqueued work uses it

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

    /** Returns the address of a kept block that this stream may reuse, 0 when there is none. */
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
        if (result == CUresult.CUDA_ERROR_OUT_OF_MEMORY
                && pooled > 0
                && device.captures().trySynchronise(this::trim)) {
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
                            + " bytes left; use smaller chunks, or see in nvidia-smi which process uses the rest");
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
     * Synchronises, and makes the blocks that were freed before available to every stream.
     *
     * @param stream whose blocks become available; null for those of all streams
     * @param wait blocks until the work enqueued so far is complete
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
     * Synchronises with the device and returns the kept blocks to the driver. Requires that this thread has entered the
     * device and no thread captures.
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

    /** Returns the requested bytes, without the rounding of blocks. */
    AllocationLedger<CudaStorage> ledger() {
        return ledger;
    }

    synchronized long pooledBytes() {
        return pooled;
    }

    /**
     * Frees all blocks. Requires that this thread has entered the device, or that the device is lost.
     *
     * @return the exception to throw when storages were still open, else null
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
