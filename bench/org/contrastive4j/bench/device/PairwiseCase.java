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
    private final DeviceStorage scale;
    private final DeviceStorage normU;
    private final DeviceStorage normV;
    private final DeviceStorage losses;
    private DeviceStorage dx;
    private DeviceStorage dy;
    private DeviceStorage x;
    private DeviceStorage y;
    private DeviceStorage dScale;
    private DeviceStorage workspace;
    private HopperInfoNce.Plan plan;

    /**
     * Takes the memory.
     *
     * @param scale the logit scale
     * @param u f32 [n, d], v f32 [n, d]; stay the caller's
     * @param gradients false for the value alone, f32 only
     * @param stripeBytes of the gradient matrix that the sm_90a kernels may hold at a time
     * @throws org.contrastive4j.memory.OutOfBudgetException when it does not fit
     */
    PairwiseCase(PtxDevice device, Kind kind, double scale, DeviceStorage u, DeviceStorage v, int n, boolean gradients, long stripeBytes) {
        if (!gradients && kind != Kind.F32) {
            throw new IllegalArgumentException("the value alone is for f32 only, given was " + kind);
        }
        this.device = device;
        this.kind = kind;
        this.n = n;
        this.d = (int) (u.bytes() / 4 / n);
        this.gradients = gradients;
        this.u = u;
        this.v = v;
        try {
            this.scale = take(4);
            set(this.scale, kind == Kind.F32 ? Math.log(scale) : scale);
            normU = take(4L * n);
            normV = take(4L * n);
            losses = take(kind == Kind.F32 ? PtxPairwise.RESULT_BYTES : 4L * n);
            if (gradients) {
                dx = take(4L * n * d);
                dy = take(4L * n * d);
            }
            if (kind == Kind.F32) {
                x = take(4L * n * d);
                y = take(4L * n * d);
                dScale = take(4);
                set(dScale, 0);
                workspace = take(new PtxPairwise(device, Precision.F32, PORTABLE_STRIPE_BYTES).workspaceBytes(n, n, d, gradients));
            } else {
                HopperPairwise.Tiling tiling = HopperPairwise.Tiling.of(n, n, d, device.facts().multiprocessors());
                long wanted = new HopperInfoNce.Plan(tiling, 0).workspaceBytes() + stripeBytes;
                long left = (long) (USABLE * device.facts().memoryBytes()) - device.currentBytes();
                plan = HopperInfoNce.Plan.of(n, n, d, device.facts().multiprocessors(), Math.min(wanted, left));
                workspace = take(plan.workspaceBytes());
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
        if (kind == Kind.F32) {
            PtxNormalize normalize = new PtxNormalize(through);
            PtxPairwise loss = new PtxPairwise(through, Precision.F32, PORTABLE_STRIPE_BYTES);
            return (stream, rowWeight, columnWeight) -> {
                normalize.forward(stream, n, d, u.address(), x.address(), normU.address());
                normalize.forward(stream, n, d, v.address(), y.address(), normV.address());
                loss.infoNce(stream, new PtxPairwise.Inputs(n, n, d, x.address(), y.address(), 0, scale.address(), 0, rowWeight,
                        columnWeight), gradients ? new PtxPairwise.Gradients(dx.address(), dy.address(), dScale.address(), 0, 1) : null, 0,
                        losses.address(), workspace.address(), workspace.bytes());
            };
        }
        HopperInfoNce loss = new HopperInfoNce(through, kind.precision);
        HopperInfoNce.Outputs outputs = new HopperInfoNce.Outputs(normU, normV, losses, dx, dy);
        return (stream, rowWeight, columnWeight) -> loss.run(stream, plan,
                new HopperInfoNce.Inputs(u, v, null, scale, (float) rowWeight, (float) columnWeight), workspace, outputs);
    }

    /** All bytes of what is written = 0xFF, so that what is left out is NaN. */
    void poison(DeviceStream stream) {
        stream.fill(losses, (byte) -1);
        if (gradients) {
            stream.fill(dx, (byte) -1);
            stream.fill(dy, (byte) -1);
        }
    }

    /** Mean loss of the last run. */
    double loss() {
        ByteBuffer bytes = bytes(losses, 0, (int) losses.bytes());
        if (kind == Kind.F32) {
            return bytes.getDouble(0);
        }
        double sum = 0;
        for (int i = 0; i < n; i++) {
            sum += bytes.getFloat(4 * i);
        }
        return sum / n;
    }

    /** Losses of some rows; null for f32, which leaves only their mean. */
    double[] losses(int[] samples) {
        if (kind == Kind.F32) {
            return null;
        }
        double[] values = new double[samples.length];
        for (int s = 0; s < samples.length; s++) {
            values[s] = bytes(losses, 4L * samples[s], 4).getFloat(0);
        }
        return values;
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
