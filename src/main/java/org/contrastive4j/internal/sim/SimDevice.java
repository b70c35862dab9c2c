package org.contrastive4j.internal.sim;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxDevice.PinnedBuffer;
import org.contrastive4j.device.PtxModule;
import org.contrastive4j.device.PtxModule.PtxException;
import org.contrastive4j.internal.config.SystemProperties;
import org.contrastive4j.internal.device.CaptureLock;
import org.contrastive4j.internal.memory.AllocationLedger;
import org.contrastive4j.internal.memory.LedgerMemory;
import org.contrastive4j.internal.parse.Parser;
import org.contrastive4j.internal.parse.Preprocessed;
import org.contrastive4j.internal.parse.Program;
import org.contrastive4j.internal.parse.ProgramLinker;
import org.contrastive4j.internal.sim.check.Counts;
import org.contrastive4j.internal.sim.check.ProxyCheck;
import org.contrastive4j.internal.sim.check.RaceCheck;
import org.contrastive4j.internal.sim.check.UninitializedCheck;
import org.contrastive4j.internal.sim.check.WgmmaCheck;
import org.contrastive4j.internal.sim.exec.Fault;
import org.contrastive4j.internal.sim.exec.GlobalMemory;
import org.contrastive4j.internal.sim.exec.Observer;
import org.contrastive4j.internal.sim.exec.Region;
import org.contrastive4j.memory.Memory.MemoryLeakException;
import org.contrastive4j.memory.Memory.OutOfBudgetException;
import org.contrastive4j.memory.Memory.Storage;
import org.jspecify.annotations.Nullable;

/**
 * A GPU simulator: executes PTX lane by lane on the host and throws a
 * {@link org.contrastive4j.internal.sim.exec.Fault} at the first error of a kernel.
 *
 * <p>Work is executed when it is enqueued, so that a fault is thrown by the launch that caused it. Unordered work of
 * several streams is a fault too, and downloads to pinned memory arrive when the host synchronises.
 * Fresh memory is filled with NaN. After a fault the device stays usable, and what the kernel has written remains.
 */
public final class SimDevice implements PtxDevice, LedgerMemory {
    private static final int SHARED_BYTES = 227 * 1024;
    private static final int LARGEST_ALLOCATION = Integer.MAX_VALUE - 8; // of a Java array
    private static final String ADVICE = "the simulator is for small sizes; use fewer rows";

    private final SimOptions options;
    private final GlobalMemory memory = new GlobalMemory();
    private final List<Observer> observers = new ArrayList<>();
    private final @Nullable Counts counts;
    private final Map<String, SimModule> modules = new HashMap<>();
    private final AllocationLedger<SimStorage> ledger;
    private final StreamOrder order;
    private final RaceCheck races;
    private final SimStream stream;
    private final CaptureLock captures = new CaptureLock();
    private final ReentrantLock running = new ReentrantLock();
    private final AtomicLong waits = new AtomicLong();
    private final AtomicLong uploads = new AtomicLong();
    private final AtomicLong downloads = new AtomicLong();
    private final AtomicLong launches = new AtomicLong();
    private @Nullable Consumer<Fault> faults;
    private Consumer<String> printed = System.out::print;
    private boolean closed;

    private SimDevice(SimOptions options) {
        this.options = options;
        ledger = new AllocationLedger<>(options.memoryLimit(), SystemProperties.traceLeaks(), ADVICE);
        order = new StreamOrder(options.checks());
        stream = new SimStream(this);
        races = new RaceCheck();
        if (options.checks()) {
            observers.add(new UninitializedCheck());
            observers.add(new WgmmaCheck());
            observers.add(new ProxyCheck());
            observers.add(races);
        }
        counts = options.counts() ? new Counts() : null;
        if (counts != null) {
            observers.add(counts);
        }
    }

    /** Opens a device; the caller closes it. */
    public static SimDevice open(SimOptions options) {
        return new SimDevice(options);
    }

    public SimOptions options() {
        return options;
    }

    /**
     * Returns the counts since the device was opened.
     *
     * @throws IllegalStateException when it was opened without counting
     */
    public Counts counts() {
        if (counts == null) {
            throw new IllegalStateException("this device does not count; open it with SimOptions.withCounts()");
        }
        return counts;
    }

    @Override
    public PtxDevice.Facts facts() {
        return new PtxDevice.Facts(
                "PTX simulator",
                options.architecture(),
                132,
                Math.min(options.memoryLimit(), Runtime.getRuntime().maxMemory()),
                SHARED_BYTES,
                SHARED_BYTES + 1024,
                65_536,
                2048,
                50 << 20,
                "schedule " + options.schedule().seed());
    }

    /** Sends what kernels print by {@code printf} to {@code sink} in place of standard output. */
    public void onPrint(Consumer<String> sink) {
        printed = sink;
    }

    /** Lets an observer see every instruction and access, after the checks. */
    public void debugWith(Observer observer) {
        observers.add(observer);
    }

    /**
     * Collects faults instead of ending the launch at the first one: a launch goes on after what lets it go on, and
     * returns as if nothing had happened.
     *
     * @param sink takes every fault, of all severities; null ends launches at the first error or warning again
     */
    public void onFault(@Nullable Consumer<Fault> sink) {
        faults = sink;
    }

    @Nullable
    Consumer<Fault> faults() {
        return faults;
    }

    Consumer<String> printed() {
        return printed;
    }

    /** Returns the operations that the host has requested so far. */
    public HostTraffic traffic() {
        return new HostTraffic(waits.get(), uploads.get(), downloads.get(), launches.get());
    }

    void countWait() {
        waits.incrementAndGet();
    }

    void countUpload() {
        uploads.incrementAndGet();
    }

    void countDownload() {
        downloads.incrementAndGet();
    }

    void countLaunch() {
        launches.incrementAndGet();
    }

    StreamOrder order() {
        return order;
    }

    /** Which words of global memory the last kernel touched; none where nothing is checked. */
    void forEachTouched(RaceCheck.Touches touches) {
        if (options.checks()) {
            races.forEachTouched(touches);
        }
    }

    GlobalMemory memory() {
        return memory;
    }

    List<Observer> observers() {
        return observers;
    }

    void checkOpen() {
        if (closed) {
            throw new IllegalStateException("the device was used after close");
        }
    }

    CaptureLock captures() {
        return captures;
    }

    /** Work of all streams and threads is done one piece after the other: the checks follow one launch at a time. */
    void run(Runnable work) {
        running.lock();
        try {
            work.run();
        } finally {
            running.unlock();
        }
    }

    @Override
    public DeviceStorage allocate(long bytes) {
        return allocate(bytes, stream);
    }

    @Override
    public synchronized DeviceStorage allocate(long bytes, DeviceStream on) {
        checkOpen();
        SimStream mine = SimStream.of(this, on);
        if (captures.isHeld()) {
            return mine.fromScratch(bytes);
        }
        ledger.check(bytes);
        if (bytes > LARGEST_ALLOCATION) {
            throw new OutOfBudgetException(bytes, ledger.current(), LARGEST_ALLOCATION, ADVICE);
        }
        Region block;
        try {
            block = memory.allocate((int) bytes, "allocation", Region.Space.GLOBAL);
        } catch (OutOfMemoryError e) {
            throw new OutOfBudgetException(
                    bytes, ledger.current(), Runtime.getRuntime().maxMemory(), "give the JVM a larger heap (-Xmx)");
        }
        SimStorage storage = new SimStorage(this, block, mine);
        order.allocated(block, mine.number());
        ledger.add(storage);
        return storage;
    }

    /** @throws org.contrastive4j.internal.sim.exec.Fault when work of another stream may still use the memory */
    synchronized void release(SimStorage storage, SimStream on) {
        memory.free(storage.block());
        ledger.remove(storage);
        if (!closed) {
            order.freed(storage.block(), on.number());
        }
    }

    @Override
    public PinnedBuffer pinned(long bytes) {
        if (bytes < 0 || bytes > Integer.MAX_VALUE) {
            throw new IllegalArgumentException("cannot pin " + bytes + " bytes, expected 0 to " + Integer.MAX_VALUE);
        }
        checkOpen();
        captures.require("pinned memory cannot be allocated");
        ByteBuffer buffer = ByteBuffer.allocateDirect((int) bytes).order(ByteOrder.nativeOrder());
        return new PinnedBuffer() {
            private boolean gone;

            @Override
            public ByteBuffer bytes() {
                if (gone) {
                    throw new IllegalStateException("pinned buffer was used after close");
                }
                return buffer.duplicate().order(ByteOrder.nativeOrder());
            }

            @Override
            public void close() {
                gone = true;
            }
        };
    }

    @Override
    public synchronized PtxModule module(String name, String ptx) {
        checkOpen();
        return link(List.of(new Source(name, ptx)));
    }

    /**
     * A PTX text.
     *
     * @param name of its file, for messages
     */
    public record Source(String name, String ptx) {}

    /**
     * Loads several texts as one module: what one declares as {@code .extern}, another defines.
     *
     * @param sources the first gives the module its name
     * @throws PtxException naming file and line of what cannot be loaded
     */
    public synchronized PtxModule link(List<Source> sources) {
        checkOpen();
        String key = sources.stream().map(Source::ptx).collect(Collectors.joining("\0"));
        SimModule module = modules.get(key);
        if (module == null) {
            List<Program> programs = new ArrayList<>();
            for (Source source : sources) {
                programs.add(parse(source));
            }
            module = new SimModule(this, sources.get(0).name(), ProgramLinker.link(programs));
            modules.put(key, module);
        }
        return module;
    }

    private Program parse(Source source) {
        Program program = Parser.parse(source.name(), Preprocessed.text(source.name(), source.ptx(), null));
        boolean exact = program.target().endsWith("a");
        if (program.architecture() > options.architecture()
                || exact && program.architecture() != options.architecture()) {
            throw new PtxException(
                    source.name(),
                    0,
                    0,
                    "target " + program.target() + " does not run on this device of sm_" + options.architecture());
        }
        return program;
    }

    @Override
    public DeviceStream stream() {
        return stream;
    }

    @Override
    public DeviceStream newStream() {
        checkOpen();
        return new SimStream(this);
    }

    @Override
    public void synchronize() {
        checkOpen();
        captures.synchronise("the device cannot be synchronised", () -> {}); // after captures of other threads
        countWait();
        run(order::hostAwaitsAll);
    }

    @Override
    public AllocationLedger<?> ledger() {
        return ledger;
    }

    @Override
    public void close() {
        List<SimStorage> leaked;
        MemoryLeakException leak;
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
            leaked = ledger.open();
            leak = ledger.leak();
        }
        leaked.forEach(Storage::close);
        if (!leaked.isEmpty()) {
            throw leak;
        }
    }
}
