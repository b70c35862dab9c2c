package org.contrastive4j.bench.device;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.ops.ptx.HopperInfoNce;
import org.contrastive4j.ops.ptx.HopperPairwise;
import org.contrastive4j.ops.ptx.Precision;
import org.contrastive4j.ops.ptx.PtxNormalize;
import org.contrastive4j.ops.ptx.PtxPairwise;

/** Symmetric InfoNCE of n pairs of width d from rows on a device, in one precision, with all the memory that takes. */
final class PairwiseCase implements AutoCloseable {
    /** Precision of features and gradient matrix: sm_90a kernels for 16 bits, portable ones for f32. */
    enum Kind {
        BF16(HopperPairwise.Precision.BF16, 1e-2), F16(HopperPairwise.Precision.F16, 2e-3), F32(null, 1e-4);

        /** Relative error of gradients that counts as agreement. */
        final double tolerance;
        private final HopperPairwise.Precision precision;

        Kind(HopperPairwise.Precision precision, double tolerance) {
            this.precision = precision;
            this.tolerance = tolerance;
        }

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** The launches of one evaluation; nothing waits. */
    interface Launches {
        void run(DeviceStream stream, double rowWeight, double columnWeight);
    }

    private static final long PORTABLE_STRIPE_BYTES = 4L << 30; // 2^30 elements
    private static final double USABLE = 0.97;

    private final PtxDevice device;
    private final Kind kind;
    private final int n;
    private final int d;
    private final boolean gradients;
    private final List<DeviceStorage> storages = new ArrayList<>();
    private final DeviceStorage u;
    private final DeviceStorage v;
    private final DeviceStorage logScale;
    private final DeviceStorage result;
    private DeviceStorage norms;
    private DeviceStorage dx;
    private DeviceStorage dy;
    private DeviceStorage x;
    private DeviceStorage y;
    private DeviceStorage dLogScale;
    private final long pairBytes;
    private final DeviceStorage workspace;

    /**
     * Takes the memory.
     *
     * @param scale the logit scale
     * @param u f32 [n, d], v f32 [n, d]; stay the caller's
     * @param gradients false for the value alone
     * @param stripeBytes of what grows with pairs that the sm_90a kernels may hold at a time
     * @throws org.contrastive4j.memory.OutOfBudgetException when it does not fit
     */
    PairwiseCase(PtxDevice device, Kind kind, double scale, DeviceStorage u, DeviceStorage v, int n, boolean gradients, long stripeBytes) {
        this.device = device;
        this.kind = kind;
        this.n = n;
        this.d = (int) (u.bytes() / 4 / n);
        this.gradients = gradients;
        this.u = u;
        this.v = v;
        try {
            logScale = take(4);
            set(logScale, Math.log(scale));
            result = take(PtxPairwise.RESULT_BYTES);
            if (gradients) {
                dx = take(4L * n * d);
                dy = take(4L * n * d);
                dLogScale = take(4);
                set(dLogScale, 0);
            }
            if (kind == Kind.F32) {
                norms = take(4L * n);
                x = take(4L * n * d);
                y = take(4L * n * d);
                pairBytes = PORTABLE_STRIPE_BYTES;
                workspace = take(new PtxPairwise(device, Precision.F32, pairBytes).workspaceBytes(n, n, d, gradients));
            } else {
                long fixed = new HopperInfoNce(device, kind.precision, 1).workspaceBytes(n, n, d, gradients);
                long left = (long) (USABLE * device.facts().memoryBytes()) - device.currentBytes() - fixed;
                pairBytes = Math.max(1, Math.min(stripeBytes, left));
                workspace = take(new HopperInfoNce(device, kind.precision, pairBytes).workspaceBytes(n, n, d, gradients));
            }
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    private DeviceStorage take(long bytes) {
        DeviceStorage storage = device.allocate(bytes);
        storages.add(storage);
        return storage;
    }

    private static void set(DeviceStorage storage, double value) {
        storage.upload(0, ByteBuffer.allocateDirect(4).order(ByteOrder.nativeOrder()).putFloat((float) value).flip());
    }

    /** The kernels, loaded through that device: this case's own, or one that watches it. */
    Launches launches(PtxDevice through) {
        PtxPairwise.Gradients wanted = gradients
                ? new PtxPairwise.Gradients(dx.address(), dy.address(), dLogScale.address(), 0, 1) : null;
        if (kind != Kind.F32) {
            HopperInfoNce loss = new HopperInfoNce(through, kind.precision, pairBytes);
            return (stream, rowWeight, columnWeight) -> loss.infoNce(stream, inputs(u, v, rowWeight, columnWeight), wanted, 0,
                    result.address(), workspace.address(), workspace.bytes());
        }
        PtxNormalize normalize = new PtxNormalize(through);
        PtxPairwise loss = new PtxPairwise(through, Precision.F32, pairBytes);
        return (stream, rowWeight, columnWeight) -> {
            normalize.forward(stream, n, d, u.address(), x.address(), norms.address());
            normalize.forward(stream, n, d, v.address(), y.address(), norms.address());
            loss.infoNce(stream, inputs(x, y, rowWeight, columnWeight), wanted, 0, result.address(), workspace.address(),
                    workspace.bytes());
        };
    }

    private PtxPairwise.Inputs inputs(DeviceStorage rows, DeviceStorage columns, double rowWeight, double columnWeight) {
        return new PtxPairwise.Inputs(n, n, d, rows.address(), columns.address(), 0, logScale.address(), 0, rowWeight, columnWeight);
    }

    /** All bytes of what is written = 0xFF, so that what is left out is NaN. */
    void poison(DeviceStream stream) {
        stream.fill(result, (byte) -1);
        if (gradients) {
            stream.fill(dx, (byte) -1);
            stream.fill(dy, (byte) -1);
        }
    }

    /** Mean loss of the last run. */
    double loss() {
        return bytes(result, 0, Double.BYTES).getDouble(0);
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
