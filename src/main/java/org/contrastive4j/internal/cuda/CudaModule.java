package org.contrastive4j.internal.cuda;

import static jcuda.driver.JCudaDriver.cuModuleGetFunction;
import static jcuda.driver.JCudaDriver.cuModuleGetGlobal;
import static jcuda.driver.JCudaDriver.cuModuleLoadDataJIT;
import static jcuda.driver.JCudaDriver.cuModuleUnload;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import jcuda.Pointer;
import jcuda.driver.CUfunction;
import jcuda.driver.CUjit_option;
import jcuda.driver.CUmodule;
import jcuda.driver.CUresult;
import jcuda.driver.JITOptions;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule;
import org.contrastive4j.device.PtxModule.Kernel;
import org.contrastive4j.device.PtxModule.PtxException;
import org.contrastive4j.internal.parse.Parameter;
import org.contrastive4j.internal.parse.Signatures;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A module: PTX that the driver has assembled for its GPU.
 *
 * <p>Tested by {@code CudaDeviceTest}.
 */
final class CudaModule implements PtxModule {
    private static final Logger LOG = LoggerFactory.getLogger(CudaModule.class);
    private static final int LOG_BYTES = 1 << 16;

    /** Result codes that mean that the text is at fault. */
    private static final Set<Integer> REFUSED = Set.of(
            CUresult.CUDA_ERROR_INVALID_PTX,
            CUresult.CUDA_ERROR_INVALID_IMAGE,
            CUresult.CUDA_ERROR_INVALID_SOURCE,
            CUresult.CUDA_ERROR_UNSUPPORTED_PTX_VERSION,
            CUresult.CUDA_ERROR_NO_BINARY_FOR_GPU,
            CUresult.CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND);

    private final CudaDevice device;
    private final String name;
    private final CUmodule module;
    private final Map<String, List<Parameter>> signatures;
    private final Map<String, CudaKernel> kernels = new ConcurrentHashMap<>();

    private CudaModule(CudaDevice device, String name, CUmodule module, Map<String, List<Parameter>> signatures) {
        this.device = device;
        this.name = name;
        this.module = module;
        this.signatures = signatures;
    }

    /** Requires that this thread has entered the device. */
    static CudaModule load(CudaDevice device, String name, String ptx) {
        PtxHeader header = PtxHeader.read(name, ptx);
        Map<String, List<Parameter>> signatures = Signatures.of(name, ptx);
        byte[] text = header.text().getBytes(StandardCharsets.UTF_8);
        // off the heap: the garbage collector would wait while the driver reads an array, and large kernels take
        // seconds
        ByteBuffer image = ByteBuffer.allocateDirect(text.length + 1).put(text).rewind();
        JITOptions options = new JITOptions();
        options.putBytes(CUjit_option.CU_JIT_INFO_LOG_BUFFER, new byte[LOG_BYTES]);
        options.putInt(CUjit_option.CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES, LOG_BYTES);
        options.putBytes(CUjit_option.CU_JIT_ERROR_LOG_BUFFER, new byte[LOG_BYTES]);
        options.putInt(CUjit_option.CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, LOG_BYTES);
        options.putInt(CUjit_option.CU_JIT_LOG_VERBOSE, 1);
        CUmodule module = new CUmodule();
        int result = cuModuleLoadDataJIT(module, Pointer.to(image), options);
        String errors = AssemblerLog.text(options.getBytes(CUjit_option.CU_JIT_ERROR_LOG_BUFFER));
        if (REFUSED.contains(result)) {
            throw refusal(device, name, header, result, errors);
        }
        device.errors().check(result, "cuModuleLoadDataEx", () -> name + (errors.isEmpty() ? "" : ": " + errors));
        String log = AssemblerLog.text(options.getBytes(CUjit_option.CU_JIT_INFO_LOG_BUFFER));
        LOG.debug("assembled {}: {}", name, log);
        AssemblerLog.advisories(log).forEach(line -> LOG.warn("{}: {}", name, line));
        return new CudaModule(device, name, module, signatures);
    }

    private static PtxException refusal(CudaDevice device, String name, PtxHeader header, int result, String errors) {
        String gpu = device.facts().name() + ", sm_" + device.facts().architecture();
        String otherwise =
                switch (result) {
                    case CUresult.CUDA_ERROR_UNSUPPORTED_PTX_VERSION ->
                        ".version " + header.version() + " is newer than the driver (CUDA "
                                + device.facts().driver() + ") supports; install a newer driver";
                    case CUresult.CUDA_ERROR_NO_BINARY_FOR_GPU ->
                        ".target " + header.target() + " does not run on " + gpu;
                    default ->
                        "the driver refuses it with " + CudaErrors.name(result) + ", for .target " + header.target()
                                + " on " + gpu;
                };
        return AssemblerLog.failure(name, errors, otherwise);
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public List<String> kernels() {
        return List.copyOf(signatures.keySet());
    }

    @Override
    public DeviceStorage variable(String variable) {
        device.enter();
        DevicePointer address = new DevicePointer();
        long[] bytes = new long[1];
        int result = cuModuleGetGlobal(address, bytes, module, variable);
        if (result == CUresult.CUDA_ERROR_NOT_FOUND) {
            throw new PtxException(name, 0, 0, "there is no variable " + variable);
        }
        device.errors().check(result, "cuModuleGetGlobal", () -> variable + " of " + name);
        return CudaStorage.ofModule(device, address.address(), bytes[0]);
    }

    @Override
    public Kernel kernel(String kernel) {
        device.enter();
        if (!signatures.containsKey(kernel)) {
            throw new PtxException(
                    name,
                    0,
                    0,
                    "there is no entry \"" + kernel + "\"; there are " + String.join(", ", signatures.keySet()));
        }
        return kernels.computeIfAbsent(kernel, this::find);
    }

    private CudaKernel find(String kernel) {
        CUfunction function = new CUfunction();
        int result = cuModuleGetFunction(function, module, kernel);
        if (result == CUresult.CUDA_ERROR_NOT_FOUND) {
            throw new PtxException(name, 0, 0, "the entry " + kernel + " is not defined or not .visible");
        }
        device.errors().check(result, "cuModuleGetFunction", () -> kernel + " of " + name);
        return new CudaKernel(
                device,
                kernel,
                function,
                Objects.requireNonNull(
                        signatures.get(kernel), "the source declares every entry that the driver finds"));
    }

    /** Requires that this thread has entered the device. */
    void unload() {
        device.errors().check(cuModuleUnload(module), "cuModuleUnload", () -> name);
    }
}
