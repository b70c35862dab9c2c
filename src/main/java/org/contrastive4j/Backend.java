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
import org.contrastive4j.internal.ptx.FusedInfoNce;
import org.contrastive4j.internal.ptx.PtxOps;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import org.contrastive4j.kernels.FusedLoss;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Precision.UnsupportedPrecisionException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Opens backends and devices by name.
 *
 * <p>A backend computes the operations of {@link Ops}; a device loads and launches PTX. Both are closed by the caller.
 */
public final class Backend {
    private static final Logger LOG = LoggerFactory.getLogger(Backend.class);
    private static final String CUDA = "cuda(:[0-9]{1,3})?";

    private Backend() {}

    /**
     * The backend that {@code auto} stands for on this machine.
     *
     * @param name {@code cuda} or {@code cpu}
     * @param reason for messages, without a full stop
     */
    public record Choice(String name, String reason) {}

    /**
     * Returns the backend that {@code auto} opens: cuda if the first GPU can be opened and has compute capability 8.0
     * or higher, else cpu.
     *
     * @return the backend and the reason
     */
    public static Choice auto() {
        return auto(() -> {
            try (PtxDevice device = CudaDevice.open(0)) {
                return device.facts();
            }
        });
    }

    /**
     * Chooses between cuda and cpu.
     *
     * @param gpu returns the properties of the first GPU, or throws a {@link DeviceException} that says why there is
     *     none
     */
    static Choice auto(Supplier<PtxDevice.Facts> gpu) {
        try {
            PtxDevice.Facts facts = gpu.get();
            UnsupportedDeviceException.refuse(facts);
            return new Choice("cuda", facts.name() + ", sm_" + facts.architecture() + "");
        } catch (DeviceException e) {
            return new Choice("cpu", String.valueOf(e.getMessage()));
        }
    }

    /**
     * Describes the backends that exist on every machine.
     *
     * @return one line for each, by name
     */
    public static Map<String, String> descriptions() {
        Map<String, String> lines = new LinkedHashMap<>();
        lines.put("cpu", "f32, OpenBLAS and vectorised Java on " + Workers.threads() + " threads");
        lines.put("cpu-f64", "the same operations in f64 as plain loops, for gradient checks");
        return lines;
    }

    /**
     * Describes the devices that run PTX.
     *
     * @return one line for each, by name; for a GPU that cannot be used, the reason
     */
    public static Map<String, String> devices() {
        Map<String, String> lines = new LinkedHashMap<>();
        lines.put("sim", "PTX simulator in this JVM, with all checks; simulates sm_80, sm_86, sm_89 or sm_90");
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

    /**
     * Describes Java and the native libraries.
     *
     * @return the version of each, by name; for a library that cannot be used, the reason
     */
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
                        ? "loads; computes plain matrix products on a GPU"
                        : problem + "; kernels of this library compute matrix products on a GPU");
        try {
            versions.put("PTX assembler", "of CUDA " + PtxAssembler.version());
        } catch (DeviceException e) {
            versions.put("PTX assembler", e.getMessage());
        }
        return versions;
    }

    /**
     * Opens a backend without a memory limit.
     *
     * @param name {@code cpu} (f32, OpenBLAS and Java on all cores), {@code cpu-f64} (the same operations in f64 as
     *     plain loops, for gradient checks), {@code cuda}, {@code cuda:1} or {@code sim} (kernels on the {@link
     *     #device} of that name), or {@code auto} ({@link #auto}; the choice and its reason are logged)
     * @return the backend; the caller closes it
     * @throws NoDeviceException when there is no such GPU or no driver
     * @throws UnsupportedDeviceException when the GPU is below compute capability 8.0
     * @throws IllegalArgumentException when there is no such backend
     */
    public static Ops open(String name) {
        return open(name, Long.MAX_VALUE);
    }

    /**
     * Opens a backend with a memory limit.
     *
     * @param name as for {@link #open(String)}
     * @param memoryLimit largest number of bytes allocated at any time; an allocation beyond it throws {@link
     *     org.contrastive4j.memory.Memory.OutOfBudgetException}
     * @return the backend; the caller closes it
     * @throws NoDeviceException when there is no such GPU or no driver
     * @throws UnsupportedDeviceException when the GPU is below compute capability 8.0
     * @throws IllegalArgumentException when there is no such backend
     */
    public static Ops open(String name, long memoryLimit) {
        return open(name, memoryLimit, null);
    }

    /**
     * Opens a backend with a memory limit in a precision.
     *
     * @param name as for {@link #open(String)}
     * @param memoryLimit largest number of bytes allocated at any time
     * @param precision one of {@link #precisions}, or null for the first of them
     * @return the backend; the caller closes it
     * @throws NoDeviceException when there is no such GPU or no driver
     * @throws UnsupportedDeviceException when the GPU is below compute capability 8.0
     * @throws IllegalArgumentException when there is no such backend
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
     * Returns the precisions in which a backend computes.
     *
     * @param name as for {@link #open(String)}
     * @return the precisions, the default first
     * @throws IllegalArgumentException when there is no such backend
     */
    public static List<Precision> precisions(String name) {
        return switch (name) {
            case "auto" -> precisions(auto().name());
            case "cpu" -> List.of(Precision.F32);
            case "cpu-f64" -> List.of(Precision.F64);
            default -> {
                if (!name.equals("sim") && !name.matches(CUDA)) {
                    throw new IllegalArgumentException(
                            "no backend \"" + name + "\"; expected auto, cpu, cpu-f64, cuda, cuda:1 and so on, or sim");
                }
                yield List.of(Precision.F32, Precision.TF32, Precision.BF16, Precision.F16);
            }
        };
    }

    private static HostMemory hostMemory(long limit) {
        return new HostMemory(limit, SystemProperties.traceLeaks());
    }

    /**
     * Opens symmetric InfoNCE of raw representations for callers that own device pointers: normalisation, loss and
     * gradients in one call. Loads the kernels: call it once, and not during capture.
     *
     * @param device where the kernels run
     * @param precision that unit rows and the gradient of the logits are rounded to: F32, TF32, BF16 or F16
     * @return the loss
     * @throws UnsupportedDeviceException if the compute capability is below 8.0
     * @throws IllegalArgumentException if there are no kernels in {@code precision}, or if {@code
     *     -Dcontrastive4j.kernels} names kernels that the device cannot run
     */
    public static FusedLoss fusedInfoNce(PtxDevice device, Precision precision) {
        return new FusedInfoNce(device, precision, 0.5, 0.5);
    }

    /**
     * Opens InfoNCE of raw representations with other weights of its two cross-entropies; see
     * {@link #fusedInfoNce(PtxDevice, Precision)}.
     *
     * @param device where the kernels run
     * @param precision F32, TF32, BF16 or F16
     * @param rowWeight weight of the cross-entropy of each row of u over all rows of v, finite, at least 0
     * @param columnWeight weight of the cross-entropy of each row of v over all rows of u, finite, at least 0
     * @return the loss
     * @throws UnsupportedDeviceException if the compute capability is below 8.0
     * @throws IllegalArgumentException if there are no such kernels or a weight is out of range
     */
    public static FusedLoss fusedInfoNce(PtxDevice device, Precision precision, double rowWeight, double columnWeight) {
        return new FusedInfoNce(device, precision, rowWeight, columnWeight);
    }

    /**
     * Opens a device that loads PTX and launches kernels; the caller closes it.
     *
     * @param name {@code cuda} (the first GPU of this machine), {@code cuda:1} (the second, and so on) or {@code sim}
     *     (the PTX simulator with all its checks)
     * @return the device
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
        throw new IllegalArgumentException("no device \"" + name + "\"; expected cuda, cuda:1 and so on, or sim");
    }
}
