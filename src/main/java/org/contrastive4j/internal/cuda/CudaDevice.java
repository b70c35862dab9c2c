package org.contrastive4j.internal.cuda;

import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
import static jcuda.driver.JCudaDriver.cuCtxGetCurrent;
import static jcuda.driver.JCudaDriver.cuCtxGetDevice;
import static jcuda.driver.JCudaDriver.cuCtxSetCurrent;
import static jcuda.driver.JCudaDriver.cuCtxSynchronize;
import static jcuda.driver.JCudaDriver.cuDeviceGet;
import static jcuda.driver.JCudaDriver.cuDeviceGetAttribute;
import static jcuda.driver.JCudaDriver.cuDeviceGetName;
import static jcuda.driver.JCudaDriver.cuDevicePrimaryCtxRelease;
import static jcuda.driver.JCudaDriver.cuDevicePrimaryCtxRetain;
import static jcuda.driver.JCudaDriver.cuDeviceTotalMem;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import jcuda.JCudaVersion;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUstream;
import org.contrastive4j.device.DeviceException;
import org.contrastive4j.device.DeviceException.NoDeviceException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxDevice.PinnedBuffer;
import org.contrastive4j.device.PtxModule;
import org.contrastive4j.internal.config.SystemProperties;
import org.contrastive4j.internal.device.CaptureLock;
import org.contrastive4j.internal.device.MatrixLibrary;
import org.contrastive4j.internal.memory.AllocationLedger;
import org.contrastive4j.internal.memory.LedgerMemory;
import org.contrastive4j.memory.Memory.MemoryLeakException;
import org.jspecify.annotations.Nullable;

/**
 * One NVIDIA GPU.
 *
 * <p>Uses the GPU's primary context, which it shares with other libraries of this process. Freed memory is kept for
 * the next allocation of the same size; {@link #trim} returns it to the driver. The stream that it was allocated for
 * can reuse it at once, so work of other streams on it must be complete, or awaited by that stream, before it is
 * closed. The first error that the driver does not recover from makes that call and every later one throw {@link
 * org.contrastive4j.device.DeviceException.DeviceLostException}.
 */
public final class CudaDevice implements PtxDevice, LedgerMemory, MatrixLibrary.Provider {
    private final CUdevice device;
    private final CUcontext context;
    private final boolean ownsContext;
    private final PtxDevice.Facts facts;
    private final CudaErrors errors;
    private final CudaPool pool;
    private final CudaStream stream;
    private final Staging staging = new Staging(this);
    private final Map<String, CudaModule> modules = new HashMap<>();
    private final Set<CudaHandle> handles = ConcurrentHashMap.newKeySet();
    private final CaptureLock captures = new CaptureLock();
    private MatrixLibrary.@Nullable Choice matrixLibrary;
    private volatile boolean closed;

    private CudaDevice(
            CUdevice device,
            CUcontext context,
            boolean ownsContext,
            PtxDevice.Facts facts,
            CudaErrors errors,
            long limit) {
        this.device = device;
        this.context = context;
        this.ownsContext = ownsContext;
        this.facts = facts;
        this.errors = errors;
        pool = new CudaPool(this, limit, SystemProperties.traceLeaks());
        stream = CudaStream.create(this);
    }

    /** Returns the number of GPUs of this machine; 0 without a driver. */
    public static int count() {
        return CudaDriver.count();
    }

    /** Returns the version of JCuda, through which the driver is called. */
    public static String libraryVersion() {
        return JCudaVersion.get();
    }

    /** Returns why cuBLAS cannot be used on this machine, null when JCublas has loaded it. Needs no GPU. */
    public static @Nullable String matrixLibraryProblem() {
        return Cublas.problem();
    }

    /** Opens a GPU without a limit on its memory; the caller closes it. */
    public static CudaDevice open(int ordinal) {
        return open(ordinal, Long.MAX_VALUE);
    }

    /**
     * Opens a GPU; the caller closes it.
     *
     * @param ordinal 0 to {@link #count} - 1
     * @param limit largest number of allocated bytes; an allocation beyond it throws {@link
     *     org.contrastive4j.memory.Memory.OutOfBudgetException}
     * @throws NoDeviceException when there is no driver, no GPU, or none with this number; the message says what to do
     */
    public static CudaDevice open(int ordinal, long limit) {
        if (limit <= 0) {
            throw new IllegalArgumentException("memory limit must be positive, was " + limit);
        }
        CudaDriver.require();
        if (ordinal < 0 || ordinal >= count()) {
            throw new NoDeviceException(
                    "no CUDA device " + ordinal + "; this machine has " + count() + ", numbered from 0");
        }
        CudaErrors errors = new CudaErrors("GPU " + ordinal);
        CUdevice device = new CUdevice();
        errors.check(cuDeviceGet(device, ordinal), "cuDeviceGet");
        PtxDevice.Facts facts = facts(device, errors);
        CUcontext context = new CUcontext();
        errors.check(cuDevicePrimaryCtxRetain(context, device), "cuDevicePrimaryCtxRetain");
        try {
            return new CudaDevice(device, context, true, facts, errors, limit);
        } catch (RuntimeException e) {
            cuDevicePrimaryCtxRelease(device);
            throw e;
        }
    }

    /**
     * Opens the GPU whose context is current on this thread, and uses that context; the caller closes it, which leaves
     * the context as it is.
     *
     * @throws NoDeviceException when there is no driver
     * @throws DeviceException when no context is current on this thread
     */
    public static CudaDevice ofCurrentContext() {
        CudaDriver.require();
        CudaErrors errors = new CudaErrors("the GPU of the current context");
        CUcontext context = new CUcontext();
        errors.check(cuCtxGetCurrent(context), "cuCtxGetCurrent");
        if (context.equals(new CUcontext())) {
            throw new DeviceException(
                    "no CUDA context is current on this thread; call this on a thread that has used the "
                            + "GPU, or open the device by name");
        }
        CUdevice device = new CUdevice();
        errors.check(cuCtxGetDevice(device), "cuCtxGetDevice");
        return new CudaDevice(device, context, false, facts(device, errors), errors, Long.MAX_VALUE);
    }

    /** Returns a stream of the caller as one of this device; closing it leaves the caller's stream as it is. */
    public DeviceStream adopt(CUstream foreign) {
        return CudaStream.adopt(this, foreign);
    }

    private static PtxDevice.Facts facts(CUdevice device, CudaErrors errors) {
        byte[] name = new byte[256];
        errors.check(cuDeviceGetName(name, name.length, device), "cuDeviceGetName");
        long[] memory = new long[1];
        errors.check(cuDeviceTotalMem(memory, device), "cuDeviceTotalMem");
        int architecture = 10 * attribute(device, errors, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
                + attribute(device, errors, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
        return new PtxDevice.Facts(
                AssemblerLog.text(name),
                architecture,
                attribute(device, errors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
                memory[0],
                attribute(device, errors, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN),
                attribute(device, errors, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR),
                attribute(device, errors, CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR),
                attribute(device, errors, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR),
                attribute(device, errors, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE),
                CudaDriver.version());
    }

    private static int attribute(CUdevice device, CudaErrors errors, int attribute) {
        int[] value = new int[1];
        errors.check(cuDeviceGetAttribute(value, attribute, device), "cuDeviceGetAttribute");
        return value[0];
    }

    /** Checks that the device is open and not lost, and makes its context current on this thread. */
    void enter() {
        if (closed) {
            throw new IllegalStateException("device was used after close");
        }
        errors.checkAlive();
        errors.check(cuCtxSetCurrent(context), "cuCtxSetCurrent");
    }

    CudaErrors errors() {
        return errors;
    }

    CudaPool pool() {
        return pool;
    }

    Staging staging() {
        return staging;
    }

    void adopt(CudaHandle handle) {
        handles.add(handle);
    }

    void disown(CudaHandle handle) {
        handles.remove(handle);
    }

    CaptureLock captures() {
        return captures;
    }

    /** Returns the storage as one of this device. */
    CudaStorage own(DeviceStorage storage) {
        if (storage instanceof CudaStorage own && own.memory() == this) {
            return own;
        }
        throw new DeviceException("a storage of " + storage.bytes()
                + " bytes of another device was given, expected one of "
                + facts.name());
    }

    /** Returns the stream as one of this device. */
    CudaStream own(DeviceStream other) {
        if (other instanceof CudaStream own && own.device() == this) {
            return own;
        }
        throw new DeviceException("a stream of another device was given: " + other);
    }

    @Override
    public PtxDevice.Facts facts() {
        return facts;
    }

    @Override
    public DeviceStorage allocate(long bytes) {
        return allocate(bytes, stream);
    }

    @Override
    public DeviceStorage allocate(long bytes, DeviceStream forStream) {
        CudaStream own = own(forStream);
        own.enter();
        if (captures.isHeld()) {
            return own.fromScratch(bytes);
        }
        return pool.allocate(bytes, own);
    }

    @Override
    public PinnedBuffer pinned(long bytes) {
        return CudaPinned.allocate(this, bytes);
    }

    @Override
    public PtxModule module(String name, String ptx) {
        enter();
        synchronized (modules) {
            CudaModule module = modules.get(ptx);
            if (module == null) {
                captures.require("modules cannot be loaded");
                module = CudaModule.load(this, name, ptx);
                modules.put(ptx, module);
            }
            return module;
        }
    }

    /** {@inheritDoc} It is cuBLAS, if JCublas loads the version it was built for; its workspace stays allocated. */
    @Override
    public synchronized MatrixLibrary.Choice matrixLibrary() {
        enter();
        if (matrixLibrary == null) {
            captures.require("a library cannot be loaded");
            matrixLibrary = Cublas.find(this);
        }
        return matrixLibrary;
    }

    @Override
    public DeviceStream stream() {
        return stream;
    }

    @Override
    public DeviceStream newStream() {
        return CudaStream.create(this);
    }

    @Override
    public void synchronize() {
        enter();
        captures.synchronise(
                "the device cannot be synchronised",
                () -> pool.settle(null, () -> errors.check(cuCtxSynchronize(), "cuCtxSynchronize")));
    }

    @Override
    public AllocationLedger<?> ledger() {
        return pool.ledger();
    }

    /** Returns the bytes of freed blocks that are kept for reuse. */
    public long pooledBytes() {
        return pool.pooledBytes();
    }

    @Override
    public long keptBytes() {
        return pool.pooledBytes();
    }

    /** Synchronises with the device and returns the kept blocks to the driver. */
    public void trim() {
        enter();
        captures.synchronise("memory cannot be returned to the driver", pool::trim);
    }

    /**
     * {@inheritDoc} Waits for all work first; closes streams, events, graphs and pinned buffers that are still open.
     *
     * @throws org.contrastive4j.device.DeviceException.DeviceLostException when that work failed
     */
    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        DeviceException failure = null;
        try {
            if (!errors.isLost()) {
                synchronize();
                List.copyOf(handles).forEach(CudaHandle::release);
                synchronized (modules) {
                    modules.values().forEach(CudaModule::unload);
                }
            }
        } catch (DeviceException e) {
            failure = e;
        }
        try {
            MemoryLeakException leak = pool.close();
            if (failure != null && leak != null) {
                failure.addSuppressed(leak);
            } else if (leak != null) {
                throw leak;
            }
        } finally {
            closed = true;
            if (ownsContext) {
                cuDevicePrimaryCtxRelease(device);
            }
        }
        if (failure != null) {
            throw failure;
        }
    }
}
