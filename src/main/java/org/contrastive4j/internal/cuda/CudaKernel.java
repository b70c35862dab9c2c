package org.contrastive4j.internal.cuda;

import static jcuda.driver.JCudaDriver.cuFuncGetAttribute;
import static jcuda.driver.JCudaDriver.cuFuncSetAttribute;
import static jcuda.driver.JCudaDriver.cuLaunchCooperativeKernel;
import static jcuda.driver.JCudaDriver.cuLaunchKernel;
import static jcuda.driver.JCudaDriver.cuOccupancyMaxActiveBlocksPerMultiprocessor;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import jcuda.Pointer;
import jcuda.driver.CUfunction;
import jcuda.driver.CUfunction_attribute;
import jcuda.driver.CUstream;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxModule.Kernel;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.internal.device.Arguments;
import org.contrastive4j.internal.parse.Parameter;
import org.jspecify.annotations.Nullable;

/**
 * A function of a module, with the buffer that its arguments are packed into.
 *
 * <p>Tested by {@code CudaDeviceTest}.
 */
final class CudaKernel implements Kernel {
    private static final int SHARED_WITHOUT_ASKING = 48 << 10;

    private final CudaDevice device;
    private final String name;
    private final CUfunction function;
    private final List<Parameter> parameters;
    private final Attributes attributes;

    /**
     * Packed arguments. The driver copies them during the launch, so one buffer suffices. Guarded by this, as are the
     * fields below.
     */
    private final ByteBuffer space;

    private final @Nullable Pointer pointers;
    private int dynamicShared;

    CudaKernel(CudaDevice device, String name, CUfunction function, List<Parameter> parameters) {
        this.device = device;
        this.name = name;
        this.function = function;
        this.parameters = parameters;
        attributes = new Attributes(
                attribute(CUfunction_attribute.CU_FUNC_ATTRIBUTE_NUM_REGS),
                attribute(CUfunction_attribute.CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES),
                attribute(CUfunction_attribute.CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES),
                attribute(CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK));
        dynamicShared = SHARED_WITHOUT_ASKING - attributes.staticSharedBytes();
        Parameter last = parameters.isEmpty() ? null : parameters.get(parameters.size() - 1);
        space = ByteBuffer.allocateDirect(last == null ? 0 : last.offset() + last.bytes())
                .order(ByteOrder.nativeOrder());
        Pointer[] each = parameters.stream()
                .map(parameter -> Pointer.to(space.slice(parameter.offset(), parameter.bytes())))
                .toArray(Pointer[]::new);
        pointers = each.length == 0 ? null : Pointer.to(each);
    }

    private int attribute(int attribute) {
        int[] value = new int[1];
        device.errors().check(cuFuncGetAttribute(value, attribute, function), "cuFuncGetAttribute", () -> name);
        return value[0];
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public List<String> parameters() {
        return parameters.stream().map(Parameter::name).toList();
    }

    @Override
    public Attributes attributes() {
        return attributes;
    }

    @Override
    public void launch(DeviceStream stream, Launch launch, Object... arguments) {
        CUstream target = device.own(stream).handle();
        if (launch.block().count() > attributes.maxThreadsPerBlock()) {
            throw new LaunchException(
                    "kernel " + name + " was given blocks of " + launch.block().count()
                            + " threads, expected at most " + attributes.maxThreadsPerBlock() + ": it uses "
                            + attributes.registers()
                            + " registers per thread, or it declares that limit");
        }
        if (launch.cluster() != null) {
            throw new LaunchException("kernel " + name + " was given clusters of " + launch.cluster()
                    + " at the launch, which the driver interface of this library does not have; declare"
                    + " .reqnctapercluster in the PTX text");
        }
        byte[] packed = Arguments.pack(device, name, parameters, arguments);
        synchronized (this) {
            allowShared(launch.sharedBytes());
            space.put(0, packed);
            start(target, launch, arguments);
        }
    }

    private void start(CUstream stream, Launch launch, Object[] arguments) {
        Launch.Dim grid = launch.grid();
        Launch.Dim block = launch.block();
        String call = launch.cooperative() ? "cuLaunchCooperativeKernel" : "cuLaunchKernel";
        int result = launch.cooperative()
                ? cuLaunchCooperativeKernel(
                        function,
                        grid.x(),
                        grid.y(),
                        grid.z(),
                        block.x(),
                        block.y(),
                        block.z(),
                        launch.sharedBytes(),
                        stream,
                        pointers)
                : cuLaunchKernel(
                        function,
                        grid.x(),
                        grid.y(),
                        grid.z(),
                        block.x(),
                        block.y(),
                        block.z(),
                        launch.sharedBytes(),
                        stream,
                        pointers,
                        null);
        device.errors().checkLaunch(result, call, name, launch, arguments);
        device.errors().remember(name, launch, arguments);
    }

    /** Opts in to more than 48 KiB of dynamic shared memory, once for each new maximum. */
    private synchronized void allowShared(int bytes) {
        if (bytes <= dynamicShared) {
            return;
        }
        int most = device.facts().sharedBytesPerBlock() - attributes.staticSharedBytes();
        if (bytes > most) {
            throw new LaunchException("kernel " + name + " was given " + bytes
                    + " dynamic shared bytes, expected at most " + most
                    + " on " + device.facts().name() + ": a block has "
                    + device.facts().sharedBytesPerBlock()
                    + " and this kernel's own variables take " + attributes.staticSharedBytes());
        }
        device.errors()
                .check(
                        cuFuncSetAttribute(
                                function, CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, bytes),
                        "cuFuncSetAttribute",
                        () -> bytes + " dynamic shared bytes for " + name);
        dynamicShared = bytes;
    }

    @Override
    public int blocksPerMultiprocessor(int threads, int sharedBytes) {
        device.enter();
        allowShared(sharedBytes);
        int[] blocks = new int[1];
        device.errors()
                .check(
                        cuOccupancyMaxActiveBlocksPerMultiprocessor(blocks, function, threads, sharedBytes),
                        "cuOccupancyMaxActiveBlocksPerMultiprocessor",
                        () -> threads + " threads of " + name);
        return blocks[0];
    }
}
