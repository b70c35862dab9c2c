package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule.Kernel;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Launches kernels on tensors of one device, in the order of its stream.
 *
 * <p>Tested by {@code PtxOpsTest} and {@code BackendAgreementTest}.
 */
final class TensorLauncher {
    private static final int ELEMENTS_PER_BLOCK = 1024;
    private static final int ROWS_PER_BLOCK = 4;
    private static final int COLUMN_THREADS = 64;
    /** Rows that one thread sums; more rows are first summed in groups. */
    static final int ROWS_PER_SUM = 64;

    final PtxDevice device;
    final DeviceStream stream;
    final DeferredDownloads downloads;
    final ConstantUploads constants;
    private final Kernels kernels;

    TensorLauncher(PtxDevice device, Kernels kernels) {
        this.downloads = new DeferredDownloads(device);
        this.constants = new ConstantUploads(device);
        this.device = device;
        this.stream = device.stream();
        this.kernels = kernels;
    }

    /**
     * Returns the storage of a tensor.
     *
     * @throws LaunchException if it is not of this device
     */
    DeviceStorage storage(Tensor tensor) {
        if (tensor.storage() instanceof DeviceStorage storage && storage.memory() == device) {
            return storage;
        }
        throw new LaunchException(
                tensor + " is in the memory of another backend; allocate it with the backend that" + " uses it");
    }

    /** Returns the address of the first element, 0 for null. */
    long address(@Nullable Tensor tensor) {
        return tensor == null
                ? 0
                : storage(tensor).address() + tensor.offset() * tensor.dtype().bytes();
    }

    /** Returns the type as kernel names spell it. */
    static String suffix(DType dtype) {
        return dtype.label();
    }

    /** Returns the name of the kernel of an operation on the type of a tensor. */
    static String of(String operation, Tensor tensor) {
        return operation + "_" + suffix(tensor.dtype());
    }

    /** Returns 1 if all tensors begin at a multiple of 4 of their elements (16 bytes of f32), else 0. */
    int aligned(Tensor... tensors) {
        int aligned = 1;
        for (Tensor tensor : tensors) {
            aligned &= address(tensor) % (4 * tensor.dtype().bytes()) == 0 ? 1 : 0;
        }
        return aligned;
    }

    /** Returns 1 if all tensors and all their rows of this width begin at a multiple of 4 of their elements, else 0. */
    int aligned(int width, Tensor... tensors) {
        return width % 4 == 0 ? aligned(tensors) : 0;
    }

    static int blocks(long count, int perBlock) {
        return Math.toIntExact((count + perBlock - 1) / perBlock);
    }

    /**
     * Launches a kernel with arguments as {@link Kernel#launch} takes them; a tensor stands for its address, null for
     * address 0.
     */
    void launch(String name, Launch launch, @Nullable Object... arguments) {
        Object[] given = arguments.clone();
        for (int i = 0; i < given.length; i++) {
            if (given[i] == null || given[i] instanceof Tensor) {
                given[i] = address((Tensor) given[i]);
            }
        }
        kernels.get(name).launch(stream, launch, given);
    }

    /** Begins a call whose arguments are given by name. */
    KernelCall call(String name) {
        return KernelCall.of(kernels.get(name));
    }

    static Launch ofElements(long count) {
        return Launch.of(blocks(count, ELEMENTS_PER_BLOCK), 256);
    }

    static Launch ofRows(long rows) {
        return Launch.of(blocks(rows, ROWS_PER_BLOCK), 32 * ROWS_PER_BLOCK);
    }

    /**
     * Launches a kernel with 4 elements for each thread, as {@code elements.ptxh} expects; does nothing without
     * elements.
     */
    void elements(String name, long count, @Nullable Object... arguments) {
        if (count > 0) {
            launch(name, ofElements(count), arguments);
        }
    }

    /** Launches a kernel with one warp for each row, as {@code rows.ptxh} expects; does nothing without rows. */
    void rows(String name, long rows, int width, @Nullable Object... arguments) {
        if (rows > 0 && width > 0) {
            launch(name, ofRows(rows), arguments);
        }
    }

    /**
     * Launches a kernel with one thread for each group and column, or 4 columns, as {@code columns.ptxh} expects;
     * does nothing without columns.
     */
    void columns(String name, int groups, int columns, int aligned, @Nullable Object... arguments) {
        if (groups > 0 && columns > 0) {
            int parts = blocks(columns, COLUMN_THREADS * (aligned == 1 ? 4 : 1));
            launch(name, Launch.of(new Launch.Dim(groups, parts, 1), new Launch.Dim(COLUMN_THREADS, 1, 1)), arguments);
        }
    }

    /** Allocates temporary memory for the next launches; the caller closes it after the last of them was issued. */
    DeviceStorage workspace(long bytes) {
        return device.allocate(bytes, stream);
    }

    /**
     * Computes y[j] += sum over rows of x[row, j], rows in order within groups of 64, groups in order.
     *
     * @param dtype of x
     * @param x address of [rows, pitch]
     * @param y address of f32 [columns]
     */
    void sumRows(DType dtype, long x, int rows, int columns, int pitch, long y) {
        if (rows == 0 || columns == 0) {
            return;
        }
        String name = "sum_rows_" + suffix(dtype);
        int alignedX = pitch % 4 == 0 && columns % 4 == 0 && x % (4 * dtype.bytes()) == 0 ? 1 : 0;
        if (rows <= ROWS_PER_SUM) {
            int aligned = alignedX & PortableInfoNce.aligned(columns, y);
            columns(name, 1, columns, aligned, x, y, rows, columns, pitch, rows, 1, aligned);
            return;
        }
        int groups = blocks(rows, ROWS_PER_SUM);
        try (DeviceStorage sums = workspace(4L * groups * columns)) {
            columns(name, groups, columns, alignedX, x, sums, rows, columns, pitch, ROWS_PER_SUM, 0, alignedX);
            sumRows(DType.F32, sums.address(), groups, columns, columns, y);
        }
    }
}
