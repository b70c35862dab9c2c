package org.contrastive4j.internal.sim;

import java.util.List;
import java.util.function.Consumer;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxModule.Kernel;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.internal.device.Arguments;
import org.contrastive4j.internal.parse.Function;
import org.contrastive4j.internal.parse.Parameter;
import org.contrastive4j.internal.sim.exec.Code;
import org.contrastive4j.internal.sim.exec.Fault;
import org.contrastive4j.internal.sim.exec.Grid;
import org.contrastive4j.internal.sim.exec.Linker;

/**
 * An entry that the simulator launches.
 *
 * <p>Tested by {@code SimDeviceTest}.
 */
final class SimKernel implements Kernel {
    private static final int MOST_BLOCKS = 32;
    private static final int MOST_CLUSTER = 8;

    private final SimDevice device;
    private final SimModule module;
    private final Function function;
    private final Code code;

    SimKernel(SimDevice device, SimModule module, Function function, Code code) {
        this.device = device;
        this.module = module;
        this.function = function;
        this.code = code;
    }

    @Override
    public String name() {
        return function.name();
    }

    @Override
    public List<String> parameters() {
        return function.parameters().stream().map(Parameter::name).toList();
    }

    @Override
    public Attributes attributes() {
        return new Attributes(0, code.sharedBytes(), code.localBytes(), maxThreads());
    }

    private int maxThreads() {
        for (String directive : new String[] {".reqntid", ".maxntid"}) {
            Launch.Dim most = Linker.dimensions(function, directive);
            if (most != null) {
                return (int) Math.min(1024, most.count());
            }
        }
        return 1024;
    }

    @Override
    public void launch(DeviceStream stream, Launch launch, Object... arguments) {
        device.checkOpen();
        SimStream on = SimStream.of(device, stream);
        check(launch);
        byte[] parameters = Arguments.pack(device, name(), function.parameters(), arguments);
        on.give(by -> run(by, launch, parameters));
    }

    private void run(SimStream on, Launch launch, byte[] parameters) {
        device.countLaunch();
        Grid grid = new Grid(
                        code,
                        launch,
                        parameters,
                        device.memory(),
                        device.observers(),
                        device.options().schedule(),
                        device.options().architecture(),
                        device.options().instructionLimit())
                .printsTo(device.printed())
                .collectsTo(device.faults());
        try {
            grid.run();
        } catch (Fault fault) {
            Consumer<Fault> collector = device.faults();
            if (collector == null) {
                throw fault;
            }
            collector.accept(fault);
        }
        device.forEachTouched((block, written, read) ->
                device.order().touched(on.number(), "kernel " + name(), block, written, read));
    }

    private void check(Launch launch) {
        String what = "kernel " + name() + " of " + module.name() + ": ";
        Launch.Dim exact = Linker.dimensions(function, ".reqntid");
        if (exact != null && !launch.block().equals(exact)) {
            throw new LaunchException(what + "block " + launch.block() + ", expected exactly " + exact + " threads");
        }
        if (launch.block().count() > maxThreads()) {
            throw new LaunchException(
                    what + "block " + launch.block() + ", expected at most " + maxThreads() + " threads");
        }
        int most = device.facts().sharedBytesPerBlock();
        if (launch.sharedBytes() + code.sharedBytes() > most) {
            throw new LaunchException(what + launch.sharedBytes() + " dynamic and " + code.sharedBytes()
                    + " static bytes of shared memory, a block can have " + most);
        }
        Launch.Dim declared = Linker.dimensions(function, ".reqnctapercluster");
        Launch.Dim cluster = launch.cluster() == null ? code.clusterSize() : launch.cluster();
        if (declared != null && !declared.equals(cluster)) {
            throw new LaunchException(what + "cluster " + cluster + ", expected exactly " + declared + " blocks");
        }
        if (declared == null
                && launch.cluster() == null
                && function.directives().containsKey(".explicitcluster")) {
            throw new LaunchException(what + "the kernel needs a launch in clusters, their size was not given");
        }
        if (launch.grid().x() % cluster.x() != 0
                || launch.grid().y() % cluster.y() != 0
                || launch.grid().z() % cluster.z() != 0) {
            throw new LaunchException(what + "grid " + launch.grid() + " is not a multiple of the cluster " + cluster);
        }
        if (cluster.count() > MOST_CLUSTER) {
            throw new LaunchException(
                    what + "cluster " + cluster + ", at most " + MOST_CLUSTER + " blocks are portable");
        }
        if (launch.cooperative()
                && launch.grid().count() > (long) device.facts().multiprocessors() * MOST_BLOCKS) {
            throw new LaunchException(what + "grid " + launch.grid() + " is too large to be resident at once");
        }
    }

    @Override
    public int blocksPerMultiprocessor(int threads, int sharedBytes) {
        int byThreads = device.facts().threadsPerMultiprocessor() / Math.max(32, (threads + 31) / 32 * 32);
        int byShared = device.facts().sharedBytesPerMultiprocessor() / (sharedBytes + code.sharedBytes() + 1024);
        return Math.max(0, Math.min(MOST_BLOCKS, Math.min(byThreads, byShared)));
    }
}
