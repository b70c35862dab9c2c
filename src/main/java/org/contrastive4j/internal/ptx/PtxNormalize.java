package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Shape.ShapeException;

/**
 * Normalises f32 rows on device addresses, y = x / |x|, and computes the gradient. The class allocates nothing, so
 * that a graph can capture the launches.
 */
public final class PtxNormalize {
    private static final int ROWS_PER_BLOCK = 4;
    private static final int THREADS = 128;

    private final Kernels kernels;

    /** Loads the kernels. */
    public PtxNormalize(PtxDevice device) {
        this(new Kernels(device));
    }

    PtxNormalize(Kernels kernels) {
        this.kernels = kernels;
        for (Precision precision : RowLayout.PRECISIONS) {
            kernels.get("normalize_fwd_" + precision);
        }
        kernels.get("normalize_bwd_f32");
    }

    /**
     * Computes y = x / |x| and inverseNorm = 1 / |x| per row; both are 0 for a row of norm 0.
     *
     * <p>Numerics: neither overflows nor underflows while |x| is representable. Cost: reads x twice, the second time
     * from the cache.
     *
     * @param x f32 [n, d]; read
     * @param y f32 [n, d]; written, may be x
     * @param inverseNorm f32 [n]; written
     */
    public void forward(DeviceStream stream, int n, int d, long x, long y, long inverseNorm) {
        check("normalize", n, d);
        AddressChecks addresses = new AddressChecks("normalize").written("inverseNorm", inverseNorm, 4L * n, 4);
        if (x != y) {
            addresses.read("x", x, 4L * n * d, 4);
        }
        addresses.written("y", y, 4L * n * d, 4);
        kernels.get("normalize_fwd_f32")
                .launch(stream, launch(n), x, y, inverseNorm, n, d, PortableInfoNce.aligned(d, x, y));
    }

    /**
     * Computes the same with y rounded to a precision, in the layout that {@link PortableInfoNce} reads.
     *
     * @param y [n][{@link RowLayout#pitch}] of that precision, 16-byte aligned, zeros beyond d; written
     */
    public void forward(DeviceStream stream, Precision precision, int n, int d, long x, long y, long inverseNorm) {
        if (!precision.usesTensorCores()) {
            forward(stream, n, d, x, y, inverseNorm);
            return;
        }
        check("normalize", n, d);
        int pitch = RowLayout.pitch(precision, d);
        new AddressChecks("normalize")
                .written("inverseNorm", inverseNorm, 4L * n, 4)
                .read("x", x, 4L * n * d, 4)
                .written("y", y, n * RowLayout.rowBytes(precision, d), 16);
        kernels.get("normalize_fwd_" + precision)
                .launch(stream, launch(n), x, y, inverseNorm, n, d, pitch, PortableInfoNce.aligned(d, x));
    }

    /**
     * Computes dx = inverseNorm (dy - y &lt;y, dy&gt;) and dot = &lt;y, dy&gt; per row; dx is 0 for a row of norm 0.
     * The sum of the dots is the gradient of the logarithm of a scale that multiplies the unit rows.
     *
     * @param y f32 [n, d] unit rows; read
     * @param inverseNorm f32 [n]; read
     * @param dy f32 [n, d]; read
     * @param dx f32 [n, d]; written, may be dy
     * @param dot f32 [n], written; 0 skips it
     */
    public void backward(DeviceStream stream, int n, int d, long y, long inverseNorm, long dy, long dx, long dot) {
        check("normalizeBackward", n, d);
        long bytes = 4L * n * d;
        AddressChecks addresses = new AddressChecks("normalizeBackward")
                .read("y", y, bytes, 4)
                .read("inverseNorm", inverseNorm, 4L * n, 4);
        if (dx != dy) {
            addresses.read("dy", dy, bytes, 4);
        }
        addresses.written("dx", dx, bytes, 4).writtenIfAny("dot", dot, 4L * n, 4);
        kernels.get("normalize_bwd_f32")
                .launch(stream, launch(n), y, inverseNorm, dy, dx, dot, n, d, PortableInfoNce.aligned(d, y, dy, dx));
    }

    private static void check(String name, int n, int d) {
        if (n < 1 || d < 1) {
            throw new ShapeException(name + ": n " + n + ", d " + d + ", expected at least 1 of each");
        }
    }

    private static Launch launch(int n) {
        return Launch.of((n + ROWS_PER_BLOCK - 1) / ROWS_PER_BLOCK, THREADS);
    }
}
