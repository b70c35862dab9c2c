package org.contrastive4j.internal.sim.exec;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.internal.parse.Parameter;
import org.jspecify.annotations.Nullable;

/**
 * One launch: its blocks in clusters, run on all cores unless blocks can communicate.
 *
 * <p>Tested by {@code SimDeviceTest}.
 */
public final class Grid {
    private static final int WORKSPACE = 64;

    private final Code code;
    private final Launch launch;
    private final Region parameters;
    private final GlobalMemory memory;
    private final Observer[] observers;
    private final Observer[] stepObservers;
    private final Observer[] accessObservers;
    private final Schedule schedule;
    private final long limit;
    private final int architecture;
    private @Nullable Region workspace;
    private @Nullable Consumer<Fault> collector;
    private Consumer<String> printed = System.out::print;
    private final ConcurrentSkipListMap<Integer, Fault> suspended = new ConcurrentSkipListMap<>();

    /**
     * @param parameters bytes of the parameter space
     * @param architecture whose tensor cores compute: 80, 86, 89 or 90
     * @param limit most warp instructions of one cluster
     */
    public Grid(
            Code code,
            Launch launch,
            byte[] parameters,
            GlobalMemory memory,
            List<Observer> observers,
            Schedule schedule,
            int architecture,
            long limit) {
        this.code = code;
        this.launch = launch;
        this.parameters = new Region(Region.Space.PARAM, "parameters", 0, parameters.length);
        System.arraycopy(parameters, 0, this.parameters.data(), 0, parameters.length);
        this.memory = memory;
        this.observers = observers.toArray(Observer[]::new);
        this.stepObservers = observers.stream()
                .filter(observer -> observer.watchesSteps(code))
                .toArray(Observer[]::new);
        this.accessObservers = observers.stream()
                .filter(observer -> observer.watchesAccesses(code))
                .toArray(Observer[]::new);
        this.schedule = schedule;
        this.limit = limit;
        this.architecture = architecture;
    }

    /** Blocks of a cluster: those of the launch, else those that the kernel declares. */
    Launch.Dim clusterSize() {
        return launch.cluster() == null ? code.clusterSize() : launch.cluster();
    }

    /**
     * Returns the address of the memory that blocks of a cooperative launch synchronise through: its size, then a
     * counter; 0 in other launches.
     */
    long workspace() {
        return workspace == null ? 0 : workspace.base();
    }

    /** Takes what kernels print; standard output unless another is set. */
    public Grid printsTo(Consumer<String> sink) {
        printed = sink;
        return this;
    }

    /** Collects faults that need not end the launch; without it the first one is thrown. */
    public Grid collectsTo(@Nullable Consumer<Fault> sink) {
        collector = sink;
        return this;
    }

    @Nullable
    Consumer<Fault> collector() {
        return collector;
    }

    /** Returns the name of the parameter that is or contains an address in a region; null where there is none. */
    @Nullable
    String parameterOf(Region region) {
        for (Parameter parameter : code.function().parameters()) {
            for (int at = parameter.offset(); at + 8 <= parameter.offset() + parameter.bytes(); at += 8) {
                long address = parameters.load(at, 8);
                if (address >= region.base() && address < region.base() + Math.max(1, region.bytes())) {
                    return parameter.name();
                }
            }
        }
        return null;
    }

    void print(String text) {
        synchronized (memory) {
            printed.accept(text);
        }
    }

    public Code code() {
        return code;
    }

    public Launch launch() {
        return launch;
    }

    int architecture() {
        return architecture;
    }

    public Schedule schedule() {
        return schedule;
    }

    Region parameters() {
        return parameters;
    }

    GlobalMemory memory() {
        return memory;
    }

    Observer[] observers() {
        return observers;
    }

    Observer[] stepObservers() {
        return stepObservers;
    }

    Observer[] accessObservers() {
        return accessObservers;
    }

    /** Position of an observer, which is also that of its shadows. */
    public int observer(Observer observer) {
        return List.of(observers).indexOf(observer);
    }

    long limit() {
        return limit;
    }

    /** @throws Fault at the first thing that a kernel may not do */
    public void run() {
        for (Observer observer : observers) {
            observer.begin(this);
        }
        Launch.Dim size = clusterSize();
        int clusters = Math.toIntExact(launch.grid().count() / size.count());
        if (launch.cooperative()) {
            runWithWorkspace(clusters);
        } else if (code.communicatesAcrossBlocks() || clusters == 1 || isSequential()) {
            for (int c = 0; c < clusters; c++) {
                runAlone(cluster(c));
            }
        } else {
            runParallel(clusters);
        }
        if (!suspended.isEmpty()) {
            throw suspended.firstEntry().getValue();
        }
        for (Observer observer : observers) {
            observer.end(this);
        }
    }

    /** The fault of the lowest cluster is the one reported, whichever thread found it first. */
    private void runParallel(int clusters) {
        AtomicInteger failed = new AtomicInteger(Integer.MAX_VALUE);
        AtomicReference<RuntimeException> fault = new AtomicReference<>();
        IntStream.range(0, clusters).parallel().forEach(c -> {
            if (c > failed.get()) {
                return;
            }
            try {
                runAlone(cluster(c));
            } catch (RuntimeException e) {
                synchronized (fault) {
                    if (c < failed.get()) {
                        failed.set(c);
                        fault.set(e);
                    }
                }
            }
        });
        if (fault.get() != null) {
            throw fault.get();
        }
    }

    private boolean isSequential() {
        return Arrays.stream(observers).anyMatch(Observer::isSequential);
    }

    private void begin(Cluster cluster) {
        for (Observer observer : observers) {
            observer.begin(cluster);
        }
    }

    private void end(Cluster cluster) {
        cluster.finish();
        for (Observer observer : observers) {
            observer.end(cluster);
        }
    }

    private void runAlone(Cluster cluster) {
        begin(cluster);
        try {
            while (!cluster.isDone()) {
                if (!cluster.turn()) {
                    if (cluster.suspended() == null) {
                        throw cluster.deadlock();
                    }
                    suspended.put(cluster.index(), cluster.suspended()); // other clusters may show the cause
                    return;
                }
            }
            end(cluster);
        } catch (Fault fault) {
            if (collector == null) {
                throw fault;
            }
            collector.accept(fault); // the cluster ends, the others go on
        }
    }

    private void runWithWorkspace(int clusters) {
        workspace = memory.allocate(WORKSPACE, "workspace of the grid", Region.Space.GLOBAL);
        Arrays.fill(workspace.data(), (byte) 0);
        workspace.store(0, Integer.BYTES, WORKSPACE);
        workspace.markWritten(0, WORKSPACE);
        try {
            runTogether(clusters);
        } finally {
            memory.free(workspace);
        }
    }

    private void runTogether(int clusters) {
        List<Cluster> all = new ArrayList<>();
        for (int c = 0; c < clusters; c++) {
            all.add(cluster(c));
            begin(all.get(c));
        }
        List<Cluster> running = new ArrayList<>(all);
        while (!running.isEmpty()) {
            boolean moved = false;
            for (Cluster cluster : running) {
                moved |= !cluster.isDone() && cluster.turn();
            }
            if (!moved) {
                throw running.get(0).deadlock();
            }
            running.removeIf(Cluster::isDone);
        }
        all.forEach(this::end);
    }

    /** The blocks of a cluster, which are neighbours in the grid. */
    private Cluster cluster(int index) {
        Launch.Dim size = clusterSize();
        Launch.Dim grid = launch.grid();
        int alongX = grid.x() / size.x();
        int alongY = grid.y() / size.y();
        int cx = index % alongX * size.x();
        int cy = index / alongX % alongY * size.y();
        int cz = index / (alongX * alongY) * size.z();
        List<Launch.Dim> blocks = new ArrayList<>();
        for (int z = 0; z < size.z(); z++) {
            for (int y = 0; y < size.y(); y++) {
                for (int x = 0; x < size.x(); x++) {
                    blocks.add(new Launch.Dim(cx + x, cy + y, cz + z));
                }
            }
        }
        return new Cluster(this, index, blocks);
    }
}
