package org.contrastive4j;

import java.util.LinkedHashMap;
import java.util.Map;
import org.contrastive4j.device.NoDeviceException;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.cuda.CudaDevice;
import org.contrastive4j.device.sim.SimDevice;
import org.contrastive4j.device.sim.SimOptions;
import org.contrastive4j.memory.HostMemory;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.cpu.CpuOps;
import org.contrastive4j.ops.cpu.Workers;
import org.contrastive4j.ops.f64.F64Ops;

/** Opens backends by name: the only place that knows the concrete ones. */
public final class Backend {
    private Backend() {}

    /** One line about each backend of this machine, by name. */
    public static Map<String, String> descriptions() {
        Map<String, String> lines = new LinkedHashMap<>();
        lines.put("cpu", "f32, OpenBLAS and vectorised Java on " + Workers.threads() + " threads");
        lines.put("cpu-f64", "the same operations in f64 as plain loops, for gradient checks");
        return lines;
    }

    /**
     * Opens a backend without a memory limit; the caller closes it.
     *
     * @param name {@code cpu} (f32, OpenBLAS and Java on all cores) or {@code cpu-f64} (the same operations in f64, plain
     *     loops: for gradient checks and as the truth in tests)
     * @throws IllegalArgumentException when there is no such backend
     */
    public static Ops open(String name) {
        return open(name, Long.MAX_VALUE);
    }

    /** Opens a backend whose live bytes never exceed {@code memoryLimit}. */
    public static Ops open(String name, long memoryLimit) {
        HostMemory memory = new HostMemory(memoryLimit, Boolean.getBoolean("contrastive4j.traceLeaks"));
        return switch (name) {
            case "cpu" -> new CpuOps(memory);
            case "cpu-f64" -> new F64Ops(memory);
            default -> throw new IllegalArgumentException("no backend \"" + name + "\"; there are cpu and cpu-f64");
        };
    }

    /**
     * Opens a device that loads PTX and launches kernels; the caller closes it.
     *
     * @param name {@code cuda} (the first GPU of this machine) or {@code sim} (the PTX simulator with all its checks)
     * @throws NoDeviceException when there is no GPU or no driver; the message says which
     * @throws IllegalArgumentException when there is no such kind of device
     */
    public static PtxDevice device(String name) {
        if (name.equals("cuda")) {
            return CudaDevice.open(0);
        }
        if (name.equals("sim")) {
            return SimDevice.open(SimOptions.defaults());
        }
        throw new IllegalArgumentException("no device \"" + name + "\"; there are cuda and sim");
    }
}
