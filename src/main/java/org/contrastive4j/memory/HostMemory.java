package org.contrastive4j.memory;

import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.bytedeco.javacpp.Pointer;

/**
 * Off-heap bytes of this machine, pooled by exact size.
 *
 * <p>Freed blocks are kept for the next allocation of the same size: a training step asks for the same sizes again and
 * again, and fresh pages cost more than the arithmetic done on them. {@link #trim()} gives the kept blocks back to the
 * operating system. Not final, so that a test can let any one allocation fail.
 */
public class HostMemory implements Memory {
    static final int ALIGNMENT = 64;

    private final long limit;
    private final boolean traceLeaks;
    private final Map<Long, ArrayDeque<Pointer>> pool = new HashMap<>();
    private final Set<HostStorage> live = new HashSet<>();
    private final LiveBytes counted = new LiveBytes();
    private long pooled;
    private boolean closed;

    public HostMemory() {
        this(Long.MAX_VALUE, Boolean.getBoolean("contrastive4j.traceLeaks"));
    }

    /**
     * @param limit most live bytes, an allocation beyond it throws {@link OutOfBudgetException}
     * @param traceLeaks remember the allocating line of every storage and name it in {@link MemoryLeakException}
     */
    public HostMemory(long limit, boolean traceLeaks) {
        if (limit <= 0) {
            throw new IllegalArgumentException("memory limit must be positive, was " + limit);
        }
        this.limit = limit;
        this.traceLeaks = traceLeaks;
    }

    @Override
    public synchronized HostStorage allocate(long bytes) {
        if (bytes < 0) {
            throw new IllegalArgumentException("cannot allocate " + bytes + " bytes");
        }
        if (closed) {
            throw new IllegalStateException("memory was used after close");
        }
        if (bytes > limit - counted.current()) {
            throw new OutOfBudgetException(
                    bytes, counted.current(), limit, "use smaller chunks or raise the memory budget");
        }
        ArrayDeque<Pointer> free = pool.get(bytes);
        Pointer block = free == null ? null : free.poll();
        if (block == null) {
            block = malloc(bytes);
        } else {
            pooled -= bytes;
        }
        HostStorage storage = new HostStorage(this, bytes, block, traceLeaks ? new Throwable("allocated here") : null);
        live.add(storage);
        counted.add(bytes);
        return storage;
    }

    private static Pointer malloc(long bytes) {
        Pointer block;
        try {
            block = Pointer.malloc(bytes + ALIGNMENT);
        } catch (LinkageError e) {
            throw MissingNativeLibraryException.of("JavaCPP", "org.bytedeco:javacpp", e);
        }
        if (block == null || block.isNull()) {
            throw new OutOfBudgetException(bytes, -1, -1, "the operating system has no such memory");
        }
        return block;
    }

    synchronized void release(HostStorage storage) {
        if (!live.remove(storage)) {
            return; // close() of the memory freed it
        }
        counted.remove(storage.bytes());
        pooled += storage.bytes();
        pool.computeIfAbsent(storage.bytes(), k -> new ArrayDeque<>()).push(storage.block());
    }

    @Override
    public long currentBytes() {
        return counted.current();
    }

    @Override
    public long peakBytes() {
        return counted.peak();
    }

    @Override
    public void resetPeak() {
        counted.resetPeak();
    }

    @Override
    public Meter meter() {
        return counted.meter();
    }

    @Override
    public long limitBytes() {
        return limit;
    }

    /** Bytes of freed blocks kept for reuse. */
    public synchronized long pooledBytes() {
        return pooled;
    }

    /** Gives all kept blocks back to the operating system. */
    public synchronized void trim() {
        pool.values().forEach(blocks -> blocks.forEach(Pointer::free));
        pool.clear();
        pooled = 0;
    }

    @Override
    public void close() {
        Set<HostStorage> leaked;
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
            trim();
            leaked = new HashSet<>(live);
            live.clear();
        }
        if (leaked.isEmpty()) {
            return;
        }
        long bytes = leaked.stream().mapToLong(Storage::bytes).sum();
        MemoryLeakException leak = new MemoryLeakException(leaked.size() + " storages with " + bytes
                + " bytes were open when their memory was closed; -Dcontrastive4j.traceLeaks=true names the lines");
        for (HostStorage storage : leaked) {
            storage.close();
            Pointer.free(storage.block());
            if (storage.origin() != null) {
                leak.addSuppressed(storage.origin());
            }
        }
        throw leak;
    }
}
