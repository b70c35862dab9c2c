package org.contrastive4j.internal.ptx;

import java.util.Locale;
import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.Kernel;
import org.contrastive4j.device.Launch;
import org.contrastive4j.device.LaunchException;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/** Kernels on tensors of one device, all in the order of its stream. */
final class TensorLauncher {
    private static final int ELEMENTS_PER_BLOCK = 1024;
    private static final int ROWS_PER_BLOCK = 4;
    private static final int COLUMN_THREADS = 64;
    /** Rows that one thread sums; more are summed in groups first. */
    static final int ROWS_PER_SUM = 64;

    final PtxDevice device;
    final DeviceStream stream;
    final DeferredDownloads readback;
    private final Kernels kernels;

    TensorLauncher(PtxDevice device, Kernels kernels) {
        this.readback = new DeferredDownloads(device);
        this.device = device;
        this.stream = device.stream();
        this.kernels = kernels;
    }

    /**
     * The bytes that a tensor is in.
     *
     * @throws LaunchException when they are not of this device
     */
    DeviceStorage storage(Tensor tensor) {
        if (tensor.storage() instanceof DeviceStorage storage && storage.memory() == device) {
            return storage;
        }
        throw new LaunchException(tensor + " is in memory other than that of this backend; allocate it with the"
                + " backend that works on it");
    }

    /** Of the first element, 0 for null. */
    long address(Tensor tensor) {
        return tensor == null
                ? 0
                : storage(tensor).address() + tensor.offset() * tensor.dtype().bytes();
    }

    /** As in the names of kernels. */
    static String suffix(DType dtype) {
        return dtype.name().toLowerCase(Locale.ROOT);
    }

    /** The kernel of an operation on elements of the type of this tensor. */
    static String of(String operation, Tensor tensor) {
        return operation + "_" + suffix(tensor.dtype());
    }

    /** 1 when all tensors begin at a multiple of 4 of their elements, 16 bytes of f32, else 0. */
    int wide(Tensor... tensors) {
        int wide = 1;
        for (Tensor tensor : tensors) {
            wide &= address(tensor) % (4 * tensor.dtype().bytes()) == 0 ? 1 : 0;
        }
        return wide;
    }

    /** 1 when all tensors begin at a multiple of 4 of their elements and so do all their rows of this width, else 0. */
    int wide(int width, Tensor... tensors) {
        return width % 4 == 0 ? wide(tensors) : 0;
    }

    static int blocks(long count, int perBlock) {
        return Math.toIntExact((count + perBlock - 1) / perBlock);
    }

    /** Arguments as {@link Kernel#launch} takes them; a tensor is the address of its first element, null address 0. */
    void launch(String name, Launch launch, Object... arguments) {
        Object[] given = arguments.clone();
        for (int i = 0; i < given.length; i++) {
            if (given[i] == null || given[i] instanceof Tensor) {
                given[i] = address((Tensor) given[i]);
            }
        }
        kernels.get(name).launch(stream, launch, given);
    }

    /** 4 elements a thread, as {@code elements.ptxh} wants it; nothing for no elements. */
    void elements(String name, long count, Object... arguments) {
        if (count > 0) {
            launch(name, Launch.of(blocks(count, ELEMENTS_PER_BLOCK), 256), arguments);
        }
    }

    /** A row a warp, as {@code rows.ptxh} wants it; nothing for no rows. */
    void rows(String name, long rows, int width, Object... arguments) {
        if (rows > 0 && width > 0) {
            launch(name, Launch.of(blocks(rows, ROWS_PER_BLOCK), 32 * ROWS_PER_BLOCK), arguments);
        }
    }

    /** A thread for each group and column, or 4 columns, as {@code columns.ptxh} wants it; nothing for none. */
    void columns(String name, int groups, int columns, int wide, Object... arguments) {
        if (groups > 0 && columns > 0) {
            int parts = blocks(columns, COLUMN_THREADS * (wide == 1 ? 4 : 1));
            launch(name, Launch.of(new Launch.Dim(groups, parts, 1), new Launch.Dim(COLUMN_THREADS, 1, 1)), arguments);
        }
    }

    /** Bytes for what the launcher that follow put there; to be closed after the last of them was given. */
    DeviceStorage workspace(long bytes) {
        return device.allocate(bytes, stream);
    }

    /**
     * y[j] += sum over rows of x[row, j], rows in order within groups of 64, groups in order.
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
        int wideX = pitch % 4 == 0 && columns % 4 == 0 && x % (4 * dtype.bytes()) == 0 ? 1 : 0;
        if (rows <= ROWS_PER_SUM) {
            int wide = wideX & PortableInfoNce.wide(columns, y);
            columns(name, 1, columns, wide, x, y, rows, columns, pitch, rows, 1, wide);
            return;
        }
        int groups = blocks(rows, ROWS_PER_SUM);
        try (DeviceStorage sums = workspace(4L * groups * columns)) {
            columns(name, groups, columns, wideX, x, sums, rows, columns, pitch, ROWS_PER_SUM, 0, wideX);
            sumRows(DType.F32, sums.address(), groups, columns, columns, y);
        }
    }
}
