package org.contrastive4j.bench.device;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.ptx.HopperInfoNce;
import org.contrastive4j.internal.ptx.InfoNceKernels;
import org.contrastive4j.internal.ptx.PortableInfoNce;
import org.contrastive4j.internal.ptx.PtxNormalize;
import org.contrastive4j.internal.ptx.RowLayout;
import org.contrastive4j.tensor.Precision;

/** Symmetric InfoNCE of n pairs of width d in one precision, with its device buffers. */
final class PairwiseCase implements AutoCloseable {
    /** Precision of features and gradient matrix, and the kernels: for sm_90a or portable. */
    enum Kind {
        BF16(Precision.BF16, false, 1e-2),
        F16(Precision.F16, false, 2e-3),
        BF16_PORTABLE(Precision.BF16, true, 1e-2),
        F16_PORTABLE(Precision.F16, true, 2e-3),
        TF32(Precision.TF32, true, 2e-3),
        F32(Precision.F32, true, 1e-4);

        /** Relative error of gradients that counts as agreement. */
        final double tolerance;

        private final Precision precision;
        private final boolean portable;

        Kind(Precision precision, boolean portable, double tolerance) {
            this.precision = precision;
            this.portable = portable;
            this.tolerance = tolerance;
        }

        static Kind of(String name) {
            return valueOf(name.toUpperCase(Locale.ROOT).replace('-', '_'));
        }

        boolean isPortable() {
            return portable;
        }

        /** Type of features, as rates of matrix products are listed. */
        String type() {
            return precision.toString();
        }

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT).replace('_', '-');
        }
    }

    /** The launches of one evaluation, asynchronous. */
    interface Launches {
        void run(DeviceStream stream, double rowWeight, double columnWeight);
    }

    private static final long PORTABLE_STRIPE_BYTES = 4L << 30; // 2^30 elements
    private static final double USABLE = 0.97;

    private final PtxDevice device;
    private final Kind kind;
    private final int n;
    private final int d;
    private final long stripeBytes;
    private final List<DeviceStorage> storages = new ArrayList<>();
    private final DeviceStorage u;
    private final DeviceStorage v;
    private final DeviceStorage logScale;
    private final DeviceStorage result;
    private DeviceStorage dx;
    private DeviceStorage dy;
    private DeviceStorage dLogScale;
    private DeviceStorage x;
    private DeviceStorage y;
    private DeviceStorage inverseNorms;
    private DeviceStorage workspace;

    /**
     * Allocates the buffers.
     *
     * @param scale the logit scale
     * @param u f32 [n, d], v f32 [n, d]; stay the caller's
     * @param gradients false for the value alone
     * @param mostStripeBytes of the gradient matrix that the sm_90a kernels may hold at a time, or what is left if less
     * @throws org.contrastive4j.memory.Memory.OutOfBudgetException when it does not fit
     */
    PairwiseCase(
            PtxDevice device,
            Kind kind,
            double scale,
            DeviceStorage u,
            DeviceStorage v,
            int n,
            boolean gradients,
            long mostStripeBytes) {
        this.device = device;
        this.kind = kind;
        this.n = n;
        this.d = (int) (u.bytes() / 4 / n);
        this.u = u;
        this.v = v;
        try {
            logScale = take(4);
            set(logScale, Math.log(scale));
            result = take(InfoNceKernels.RESULT_BYTES);
            if (gradients) {
                dx = take(4L * n * d);
                dy = take(4L * n * d);
                dLogScale = take(4);
            }
            if (kind.isPortable()) {
                long rowBytes = RowLayout.rowBytes(kind.precision, d);
                x = take(n * rowBytes);
                y = take(n * rowBytes);
                inverseNorms = take(4L * n);
                stripeBytes = PORTABLE_STRIPE_BYTES;
                workspace = take(portable(device).workspaceBytes(n, n, d, gradients));
            } else {
                long least = new HopperInfoNce(device, kind.precision, 0).workspaceBytes(n, n, d, gradients);
                long left = (long) (USABLE * device.facts().memoryBytes()) - device.currentBytes() - least;
                stripeBytes = Math.max(0, Math.min(mostStripeBytes, left));
                workspace = take(hopper(device).workspaceBytes(n, n, d, gradients));
            }
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    private PortableInfoNce portable(PtxDevice through) {
        return new PortableInfoNce(through, kind.precision, stripeBytes);
    }

    private HopperInfoNce hopper(PtxDevice through) {
        return new HopperInfoNce(through, kind.precision, stripeBytes);
    }

    private DeviceStorage take(long bytes) {
        DeviceStorage storage = device.allocate(bytes);
        storages.add(storage);
        return storage;
    }

    private static void set(DeviceStorage storage, double value) {
        storage.upload(
                0,
                ByteBuffer.allocateDirect(4)
                        .order(ByteOrder.nativeOrder())
                        .putFloat((float) value)
                        .flip());
    }

    private InfoNceKernels.Inputs inputs(
            DeviceStorage rows, DeviceStorage columns, double rowWeight, double columnWeight) {
        return new InfoNceKernels.Inputs(
                n, n, d, rows.address(), columns.address(), 0, logScale.address(), 0, rowWeight, columnWeight);
    }

    private InfoNceKernels.Gradients gradients() {
        return dx == null ? null : new InfoNceKernels.Gradients(dx.address(), dy.address(), dLogScale.address(), 0, 1);
    }

    /** Kernels loaded through the device of this case or through a {@link TimedDevice} on it. */
    Launches launches(PtxDevice through) {
        if (!kind.isPortable()) {
            HopperInfoNce loss = hopper(through);
            return (stream, rowWeight, columnWeight) -> loss.infoNce(
                    stream,
                    inputs(u, v, rowWeight, columnWeight),
                    gradients(),
                    0,
                    result.address(),
                    workspace.address(),
                    workspace.bytes());
        }
        PtxNormalize normalize = new PtxNormalize(through);
        PortableInfoNce loss = portable(through);
        return (stream, rowWeight, columnWeight) -> {
            normalize.forward(stream, kind.precision, n, d, u.address(), x.address(), inverseNorms.address());
            normalize.forward(stream, kind.precision, n, d, v.address(), y.address(), inverseNorms.address());
            loss.infoNce(
                    stream,
                    inputs(x, y, rowWeight, columnWeight),
                    gradients(),
                    0,
                    result.address(),
                    workspace.address(),
                    workspace.bytes());
        };
    }

    /** Fills the outputs with bytes 0xFF, so that elements that are not written are NaN. */
    void poison(DeviceStream stream) {
        stream.fill(result, (byte) -1);
        if (dx != null) {
            stream.fill(dx, (byte) -1);
            stream.fill(dy, (byte) -1);
            stream.fill(dLogScale, (byte) 0);
        }
    }

    /** Returns the mean loss of the last run. */
    double loss() {
        return bytes(result, 0, InfoNceKernels.RESULT_BYTES).getDouble(0);
    }

    double[][] dx(int[] samples) {
        return rows(dx, samples);
    }

    double[][] dy(int[] samples) {
        return rows(dy, samples);
    }

    private double[][] rows(DeviceStorage storage, int[] samples) {
        double[][] rows = new double[samples.length][d];
        for (int s = 0; s < samples.length; s++) {
            ByteBuffer row = bytes(storage, 4L * samples[s] * d, 4 * d);
            for (int k = 0; k < d; k++) {
                rows[s][k] = row.getFloat(4 * k);
            }
        }
        return rows;
    }

    private static ByteBuffer bytes(DeviceStorage storage, long at, int count) {
        ByteBuffer bytes = ByteBuffer.allocateDirect(count).order(ByteOrder.nativeOrder());
        storage.download(at, bytes);
        return bytes;
    }

    @Override
    public void close() {
        storages.forEach(DeviceStorage::close);
    }
}
