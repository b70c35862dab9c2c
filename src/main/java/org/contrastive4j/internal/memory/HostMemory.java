package org.contrastive4j.internal.memory;

import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.Pointer;
import org.contrastive4j.internal.config.SystemProperties;
import org.contrastive4j.memory.Memory.MemoryLeakException;
import org.contrastive4j.memory.Memory.OutOfBudgetException;

/**
 * Off-heap memory of this machine, pooled by exact size.
 *
 * <p>Freed blocks are kept for the next allocation of the same size: a training step allocates the same sizes again and
 * again, and fresh pages cost more than the arithmetic done on them. {@link #trim()} returns the kept blocks to the
 * operating system. Not final, so that a test can make any one allocation fail.
 *
 * <p>Tested by {@code AllocationLedgerTest} and {@code HostStorageTest}.
 */
public class HostMemory implements LedgerMemory {
    static final int ALIGNMENT = 64;

    private final AllocationLedger<HostStorage> ledger;
    private final Map<Long, ArrayDeque<Pointer>> pool = new HashMap<>();
    private long pooled;
    private boolean closed;

    /** Creates a memory without a limit that traces leaks if {@link SystemProperties#traceLeaks} says so. */
    public HostMemory() {
        this(Long.MAX_VALUE, SystemProperties.traceLeaks());
    }

    /**
     * Creates a memory.
     *
     * @param limit largest sum of open bytes; an allocation beyond it throws {@link OutOfBudgetException}
     * @param traceLeaks whether {@link MemoryLeakException} names the line that allocated each open storage
     */
    public HostMemory(long limit, boolean traceLeaks) {
        ledger = new AllocationLedger<>(limit, traceLeaks, "use smaller chunks or raise the memory budget");
    }

    @Override
    public synchronized HostStorage allocate(long bytes) {
        if (closed) {
            throw new IllegalStateException("memory was used after close");
        }
        ledger.check(bytes);
        ArrayDeque<Pointer> free = pool.get(bytes);
        Pointer block = free == null ? null : free.poll();
        if (block == null) {
            block = malloc(bytes);
        } else {
            pooled -= bytes;
        }
        HostStorage storage = new HostStorage(this, bytes, block);
        ledger.add(storage);
        return storage;
    }

    private static Pointer malloc(long bytes) {
        Pointer block;
        try {
            block = Pointer.malloc(bytes + ALIGNMENT);
        } catch (LinkageError e) {
            throw NativeLibraries.missing("JavaCPP", "org.bytedeco:javacpp", Pointer.class, e);
        }
        if (block == null || block.isNull()) {
            throw new OutOfBudgetException(bytes, -1, -1, "the operating system has no such memory");
        }
        return block;
    }

    synchronized void release(HostStorage storage) {
        if (!ledger.remove(storage)) {
            return; // close() frees the block
        }
        pooled += storage.bytes();
        pool.computeIfAbsent(storage.bytes(), k -> new ArrayDeque<>()).push(storage.block());
    }

    @Override
    public AllocationLedger<?> ledger() {
        return ledger;
    }

    /** Returns the bytes of freed blocks that are kept for reuse. */
    public synchronized long pooledBytes() {
        return pooled;
    }

    /** Returns the kept blocks to the operating system. */
    public synchronized void trim() {
        pool.values().forEach(blocks -> blocks.forEach(Pointer::free));
        pool.clear();
        pooled = 0;
    }

    @Override
    public void close() {
        List<HostStorage> leaked;
        MemoryLeakException leak;
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
            trim();
            leaked = ledger.open();
            leak = ledger.leak();
            ledger.clear();
        }
        for (HostStorage storage : leaked) {
            storage.close();
            Pointer.free(storage.block());
        }
        if (!leaked.isEmpty()) {
            throw leak;
        }
    }
}
