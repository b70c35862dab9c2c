package org.contrastive4j;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.contrastive4j.device.DeviceException;
import org.contrastive4j.device.DeviceException.NoDeviceException;
import org.contrastive4j.device.DeviceException.UnsupportedDeviceException;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.config.SystemProperties;
import org.contrastive4j.internal.cpu.CpuOps;
import org.contrastive4j.internal.cpu.Workers;
import org.contrastive4j.internal.cuda.CudaDevice;
import org.contrastive4j.internal.cuda.PtxAssembler;
import org.contrastive4j.internal.f64.F64Ops;
import org.contrastive4j.internal.memory.HostMemory;
import org.contrastive4j.internal.ptx.KernelChoice;
import org.contrastive4j.internal.ptx.PtxOps;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.kernels.InfoNceKernels;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Precision.UnsupportedPrecisionException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Opens backends by name: the only place that knows the concrete ones. */
public final class Backend {
    private static final Logger LOG = LoggerFactory.getLogger(Backend.class);
    private static final String CUDA = "cuda(:[0-9]{1,3})?";

    private Backend() {}

    /**
     * What {@code auto} stands for on this machine.
     *
     * @param reason half a sentence for people
     */
    public record Choice(String name, String reason) {}

    /** The backend that {@code auto} opens: cuda when a GPU of compute capability 8.0 or more answers, else cpu. */
    public static Choice auto() {
        return auto(() -> {
            try (PtxDevice device = CudaDevice.open(0)) {
                return device.facts();
            }
        });
    }

    /** @param gpu facts of the first GPU, or a {@link DeviceException} that says why there is none */
    static Choice auto(Supplier<PtxDevice.Facts> gpu) {
        try {
            PtxDevice.Facts facts = gpu.get();
            UnsupportedDeviceException.refuse(facts);
            return new Choice("cuda", facts.name() + ", sm_" + facts.architecture() + ", answers");
        } catch (DeviceException e) {
            return new Choice("cpu", String.valueOf(e.getMessage()));
        }
    }

    /** One line about each backend of this machine, by name. */
    public static Map<String, String> descriptions() {
        Map<String, String> lines = new LinkedHashMap<>();
        lines.put("cpu", "f32, OpenBLAS and vectorised Java on " + Workers.threads() + " threads");
        lines.put("cpu-f64", "the same operations in f64 as plain loops, for gradient checks");
        return lines;
    }

    /** One line about each device that PTX runs on, by name; of a GPU that cannot be used it says why. */
    public static Map<String, String> devices() {
        Map<String, String> lines = new LinkedHashMap<>();
        lines.put("sim", "the PTX simulator in this JVM, checks what it runs; as sm_80, sm_86, sm_89 or sm_90");
        lines.put("cuda", gpu(0));
        for (int ordinal = 1; ordinal < CudaDevice.count(); ordinal++) {
            lines.put("cuda:" + ordinal, gpu(ordinal));
        }
        return lines;
    }

    private static String gpu(int ordinal) {
        try (PtxDevice device = CudaDevice.open(ordinal)) {
            PtxDevice.Facts facts = device.facts();
            return String.format(
                    Locale.ROOT,
                    "%s, sm_%d, %d multiprocessors, %.1f GiB, driver for CUDA %s",
                    facts.name(),
                    facts.architecture(),
                    facts.multiprocessors(),
                    facts.memoryBytes() / (double) (1L << 30),
                    facts.driver());
        } catch (DeviceException e) {
            return String.valueOf(e.getMessage());
        }
    }

    /** Versions of the libraries below, by name. */
    public static Map<String, String> libraries() {
        Map<String, String> versions = new LinkedHashMap<>();
        versions.put(
                "Java",
                System.getProperty("java.version") + ", " + System.getProperty("java.vm.name") + " on "
                        + System.getProperty("os.name") + " " + System.getProperty("os.arch"));
        versions.put("BLAS", CpuOps.library());
        versions.put("JCuda", CudaDevice.libraryVersion());
        String problem = CudaDevice.matrixLibraryProblem();
        versions.put(
                "cuBLAS",
                problem == null
                        ? "loads; plain matrix products on a GPU go to it"
                        : problem + ": matrix products on a GPU are by kernels of this library");
        try {
            versions.put("PTX assembler", "of CUDA " + PtxAssembler.version());
        } catch (DeviceException e) {
            versions.put("PTX assembler", e.getMessage());
        }
        return versions;
    }

    /**
     * Opens a backend without a memory limit; the caller closes it.
     *
     * @param name {@code cpu} (f32, OpenBLAS and Java on all cores), {@code cpu-f64} (the same operations in f64, plain
     *     loops: for gradient checks and as the truth in tests), {@code cuda}, {@code cuda:1} or {@code sim} (kernels
     *     on the {@link #device} of that name), or {@code auto} ({@link #auto}; logs which and why)
     * @throws NoDeviceException when there is no such GPU or no driver
     * @throws UnsupportedDeviceException when the GPU is below compute capability 8.0
     * @throws IllegalArgumentException when there is no such backend
     */
    public static Ops open(String name) {
        return open(name, Long.MAX_VALUE);
    }

    /** Opens a backend whose live bytes never exceed {@code memoryLimit}. */
    public static Ops open(String name, long memoryLimit) {
        return open(name, memoryLimit, null);
    }

    /**
     * Opens a backend that computes in this precision, and whose live bytes never exceed {@code memoryLimit}.
     *
     * @param precision one of {@link #precisions}, or null for the first of them
     * @throws UnsupportedPrecisionException when the backend does not compute in it
     */
    public static Ops open(String name, long memoryLimit, @Nullable Precision precision) {
        if (name.equals("auto")) {
            Choice choice = auto();
            LOG.info("auto is {}: {}", choice.name(), choice.reason());
            return open(choice.name(), memoryLimit, precision);
        }
        List<Precision> there = precisions(name);
        if (precision != null && !there.contains(precision)) {
            String others = Stream.of("cpu", "cpu-f64", "cuda", "sim")
                    .filter(other -> precisions(other).contains(precision))
                    .collect(Collectors.joining(", "));
            throw new UnsupportedPrecisionException("backend " + name + " computes in "
                    + there.stream().map(Precision::toString).collect(Collectors.joining(", ")) + ", not in "
                    + precision
                    + "; backends that do: " + others);
        }
        return switch (name) {
            case "cpu" -> new CpuOps(hostMemory(memoryLimit));
            case "cpu-f64" -> new F64Ops(hostMemory(memoryLimit));
            default -> onDevice(name, device(name, memoryLimit), precision == null ? there.get(0) : precision);
        };
    }

    private static PtxOps onDevice(String name, PtxDevice device, Precision precision) {
        try {
            return new PtxOps(name, device, precision);
        } catch (RuntimeException refused) {
            device.close();
            throw refused;
        }
    }

    /**
     * What the backend of this name computes in; its own choice first.
     *
     * @throws IllegalArgumentException when there is no such backend
     */
    public static List<Precision> precisions(String name) {
        return switch (name) {
            case "auto" -> precisions(auto().name());
            case "cpu" -> List.of(Precision.F32);
            case "cpu-f64" -> List.of(Precision.F64);
            default -> {
                if (!name.equals("sim") && !name.matches(CUDA)) {
                    throw new IllegalArgumentException("no backend \"" + name
                            + "\"; there are auto, cpu, cpu-f64, cuda, cuda:1 and so on, and sim");
                }
                yield List.of(Precision.F32, Precision.TF32, Precision.BF16, Precision.F16);
            }
        };
    }

    private static HostMemory hostMemory(long limit) {
        return new HostMemory(limit, SystemProperties.traceLeaks());
    }

    /**
     * Opens the InfoNCE kernels for callers that own device pointers. Loads the kernels: call it once, and not during
     * capture.
     *
     * @param device where the kernels run
     * @param precision that rows and the gradient of the logits are rounded to: F32, TF32, BF16 or F16; inputs are f32
     *     in each
     * @param stripeBytes workspace for what depends on pairs, such as 256 MiB; a larger stripe is faster, up to 2
     *     bytes a pair, and a value below the smallest stripe is raised to it
     * @return the kernels
     * @throws UnsupportedDeviceException if the compute capability is below 8.0
     * @throws IllegalArgumentException if there are no kernels in {@code precision}, or if {@code
     *     -Dcontrastive4j.kernels} names kernels that the device cannot run
     */
    public static InfoNceKernels infoNceKernels(PtxDevice device, Precision precision, long stripeBytes) {
        return KernelChoice.infoNce(device, precision, stripeBytes);
    }

    /**
     * Opens a device that loads PTX and launches kernels; the caller closes it.
     *
     * @param name {@code cuda} (the first GPU of this machine), {@code cuda:1} (the second, and so on) or {@code sim}
     *     (the PTX simulator with all its checks)
     * @throws NoDeviceException when there is no GPU or no driver; the message says which
     * @throws IllegalArgumentException when there is no such kind of device
     */
    public static PtxDevice device(String name) {
        return device(name, Long.MAX_VALUE);
    }

    private static PtxDevice device(String name, long memoryLimit) {
        if (name.matches(CUDA)) {
            return CudaDevice.open(name.equals("cuda") ? 0 : Integer.parseInt(name.substring(5)), memoryLimit);
        }
        if (name.equals("sim")) {
            return SimDevice.open(SimOptions.defaults().withMemoryLimit(memoryLimit));
        }
        throw new IllegalArgumentException("no device \"" + name + "\"; there are cuda, cuda:1 and so on, and sim");
    }
}
