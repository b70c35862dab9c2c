package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.jspecify.annotations.Nullable;

/**
 * Runs {@link PortableInfoNce} on tensor cores from f32 rows, which are first rounded to tf32 or 16 bits into the
 * workspace.
 *
 * <p>Numerics: the error of a gradient against f64 on the f32 rows, relative to its norm, is about 6e-3 in bf16, 8e-4
 * in f16 and tf32.
 */
final class RoundingInfoNce implements InfoNceKernels {
    private static final int ALIGNMENT = 256;
    private static final int THREADS = 256;
    private static final int CHUNK = 8;

    private final Kernels kernels;
    private final Precision precision;
    private final PortableInfoNce pairwise;

    /** Loads the kernels. */
    RoundingInfoNce(Kernels kernels, Precision precision, long stripeBytes) {
        this.kernels = kernels;
        this.precision = precision;
        pairwise = new PortableInfoNce(kernels, precision, stripeBytes);
        kernels.get(cast());
    }

    private String cast() {
        return "cast_rows_f32_" + precision;
    }

    private long roundedBytes(int rows, int d) {
        long bytes = rows * RowLayout.rowBytes(precision, d);
        return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    @Override
    public long workspaceBytes(int n, int m, int d, boolean withGradients) {
        if ((long) Math.max(n, m) * (RowLayout.pitch(precision, d) / CHUNK) > Integer.MAX_VALUE) {
            throw new ShapeException(
                    "infoNce: " + Math.max(n, m) + " rows of width " + d + ", expected at most 2^34 elements");
        }
        return pairwise.workspaceBytes(n, m, d, withGradients) + roundedBytes(n, d) + roundedBytes(m, d);
    }

    @Override
    public void infoNce(
            DeviceStream stream,
            InfoNceKernels.Inputs in,
            InfoNceKernels.@Nullable Gradients gradients,
            long hardest,
            long result,
            long workspace,
            long workspaceBytes) {
        long needed = workspaceBytes(in.n(), in.m(), in.d(), gradients != null);
        InfoNceChecks.check(in, 4L * in.d(), 4, gradients, hardest, result, workspace, workspaceBytes, needed);
        long y = workspace + roundedBytes(in.n(), in.d());
        long rest = y + roundedBytes(in.m(), in.d());
        round(stream, in.n(), in.d(), in.x(), workspace);
        round(stream, in.m(), in.d(), in.y(), y);
        pairwise.infoNce(
                stream,
                new InfoNceKernels.Inputs(
                        in.n(),
                        in.m(),
                        in.d(),
                        workspace,
                        y,
                        in.targets(),
                        in.logScale(),
                        in.bias(),
                        in.rowWeight(),
                        in.columnWeight()),
                gradients,
                hardest,
                result,
                rest,
                workspaceBytes - (rest - workspace));
    }

    /** Rounds rows to the layout that the kernels read. */
    void round(DeviceStream stream, int rows, int d, long from, long to) {
        long chunks = (long) rows * (RowLayout.pitch(precision, d) / CHUNK);
        kernels.get(cast())
                .launch(
                        stream,
                        Launch.of((int) ((chunks + THREADS - 1) / THREADS), THREADS),
                        from,
                        to,
                        rows,
                        d,
                        PortableInfoNce.aligned(d, from));
    }
}
