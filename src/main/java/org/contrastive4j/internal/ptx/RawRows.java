package org.contrastive4j.internal.ptx;

import java.util.Locale;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.kernels.FusedLoss.Rows;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape.ShapeException;

/** Converts the caller's rows, of any supported type and stride, to contiguous f32 rows and back. */
final class RawRows {
    private static final int ROWS_PER_BLOCK = 4;
    private static final int THREADS = 128;

    private final Kernels kernels;

    /** Loads the kernels. */
    RawRows(Kernels kernels) {
        this.kernels = kernels;
        for (DType type : new DType[] {DType.F32, DType.BF16, DType.F16}) {
            kernels.get(name("read", type));
            kernels.get(name("write", type));
        }
    }

    private static String name(String direction, DType type) {
        return direction + "_rows_" + type.name().toLowerCase(Locale.ROOT);
    }

    /** Checks type, width and stride. */
    static void check(String operation, String name, Rows rows) {
        boolean supported = rows.type() == DType.F32 || rows.type() == DType.BF16 || rows.type() == DType.F16;
        if (!supported) {
            throw new ShapeException(
                    operation + ": " + name + " has elements of type " + rows.type() + ", expected F32, BF16 or F16");
        }
        if (rows.count() < 1 || rows.width() < 1 || rows.stride() < rows.width()) {
            throw new ShapeException(operation + ": " + name + " has " + rows.count() + " rows of width " + rows.width()
                    + " and stride " + rows.stride()
                    + ", expected at least one row of at least one element, and a stride"
                    + " of at least the width");
        }
    }

    /** Returns whether kernels of contiguous f32 rows can use the rows where they are. */
    static boolean isContiguous(Rows rows) {
        return rows.type() == DType.F32 && rows.stride() == rows.width();
    }

    /**
     * Computes to = rows, exactly.
     *
     * @param to f32 [count, width]; written
     */
    void read(DeviceStream stream, Rows rows, long to) {
        KernelCall.of(kernels.get(name("read", rows.type())))
                .pointer("x", rows.address())
                .pointer("y", to)
                .int32("n", rows.count())
                .int32("d", rows.width())
                .int32("stride", rows.stride())
                .flag("aligned", isAligned(rows, to))
                .launch(stream, launch(rows));
    }

    /**
     * Computes rows = from, rounded to the type of the rows.
     *
     * @param from f32 [count, width]; read
     */
    void write(DeviceStream stream, long from, Rows rows) {
        KernelCall.of(kernels.get(name("write", rows.type())))
                .pointer("x", from)
                .pointer("y", rows.address())
                .int32("n", rows.count())
                .int32("d", rows.width())
                .int32("stride", rows.stride())
                .flag("aligned", isAligned(rows, from))
                .launch(stream, launch(rows));
    }

    private static Launch launch(Rows rows) {
        return Launch.of((int) ((rows.count() + ROWS_PER_BLOCK - 1L) / ROWS_PER_BLOCK), THREADS);
    }

    private static boolean isAligned(Rows rows, long contiguous) {
        return rows.width() % 4 == 0
                && rows.stride() % 4 == 0
                && rows.address() % (4L * rows.type().bytes()) == 0
                && contiguous % 16 == 0;
    }
}
