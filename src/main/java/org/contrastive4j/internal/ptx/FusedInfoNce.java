package org.contrastive4j.internal.ptx;

import java.util.Objects;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.kernels.FusedLoss;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.jspecify.annotations.Nullable;

/**
 * InfoNCE of raw rows: reads and normalises both sides, runs {@link InfoNceKernels} on the unit rows, and
 * takes the gradients back through the normalisation. The bits are those of the same operations on tensors.
 *
 * <p>Tested by {@code FusedLossTest}.
 */
public final class FusedInfoNce implements FusedLoss {
    private static final String NAME = "fused infoNce";
    private static final long STRIPE_BYTES = 256L << 20;
    private static final int ALIGNMENT = 256;

    private final InfoNceKernels pairwise;
    private final PtxNormalize normalize;
    private final RawRows raw;
    private final double rowWeight;
    private final double columnWeight;

    /**
     * Loads the kernels.
     *
     * @param device where they run
     * @param precision that unit rows and the gradient of the logits are rounded to: F32, TF32, BF16 or F16
     * @param rowWeight weight of the cross-entropy over rows
     * @param columnWeight weight of the cross-entropy over columns
     */
    public FusedInfoNce(PtxDevice device, Precision precision, double rowWeight, double columnWeight) {
        InfoNceChecks.checkWeights(rowWeight, columnWeight);
        this.rowWeight = rowWeight;
        this.columnWeight = columnWeight;
        Kernels kernels = new Kernels(device);
        pairwise = KernelChoice.infoNce(device, precision, STRIPE_BYTES);
        normalize = new PtxNormalize(kernels);
        raw = new RawRows(kernels);
    }

    /** Places of one side in the workspace: f32 unit rows [count, d], their gradients, and inverse norms [count]. */
    private record Side(long unit, long gradient, long inverseNorm, long end) {
        static Side at(long start, int count, int d) {
            long gradient = start + aligned(4L * count * d);
            long inverseNorm = gradient + aligned(4L * count * d);
            return new Side(start, gradient, inverseNorm, inverseNorm + aligned(4L * count));
        }
    }

    private static long aligned(long bytes) {
        return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    @Override
    public long workspaceBytes(int n, int m, int d) {
        long unitRows = pairwise.workspaceBytes(n, m, d, true);
        return Side.at(Side.at(0, n, d).end(), m, d).end() + unitRows;
    }

    @Override
    public void valueAndGradient(
            DeviceStream stream,
            Inputs inputs,
            @Nullable Gradients gradients,
            long result,
            long workspace,
            long workspaceBytes) {
        check(inputs, gradients, result, workspace, workspaceBytes);
        Rows u = inputs.u();
        Rows v = inputs.v();
        Side left = Side.at(workspace, u.count(), u.width());
        Side right = Side.at(left.end(), v.count(), v.width());
        unit(stream, u, left);
        unit(stream, v, right);
        Rows du = gradients == null ? null : gradients.u();
        Rows dv = gradients == null ? null : gradients.v();
        InfoNceKernels.Gradients ofUnitRows = gradients == null
                ? null
                : new InfoNceKernels.Gradients(
                        du == null ? 0 : left.gradient(),
                        dv == null ? 0 : right.gradient(),
                        gradients.logScale(),
                        gradients.bias(),
                        gradients.scale());
        pairwise.infoNce(
                stream,
                new InfoNceKernels.Inputs(
                        u.count(),
                        v.count(),
                        u.width(),
                        left.unit(),
                        right.unit(),
                        inputs.targets(),
                        inputs.logScale(),
                        inputs.bias(),
                        rowWeight,
                        columnWeight),
                ofUnitRows,
                0,
                result,
                right.end(),
                workspaceBytes - (right.end() - workspace));
        ofRaw(stream, left, du);
        ofRaw(stream, right, dv);
    }

    /** Computes unit rows and inverse norms of the caller's rows. */
    private void unit(DeviceStream stream, Rows rows, Side side) {
        long contiguous = rows.address();
        if (!RawRows.isContiguous(rows)) {
            raw.read(stream, rows, side.unit());
            contiguous = side.unit();
        }
        normalize.forward(stream, rows.count(), rows.width(), contiguous, side.unit(), side.inverseNorm());
    }

    /** Computes the caller's gradient from that of the unit rows. */
    private void ofRaw(DeviceStream stream, Side side, @Nullable Rows gradient) {
        if (gradient == null) {
            return;
        }
        boolean inPlace = RawRows.isContiguous(gradient);
        long to = inPlace ? gradient.address() : side.gradient();
        normalize.backward(
                stream, gradient.count(), gradient.width(), side.unit(), side.inverseNorm(), side.gradient(), to, 0);
        if (!inPlace) {
            raw.write(stream, side.gradient(), gradient);
        }
    }

    private void check(Inputs in, @Nullable Gradients gradients, long result, long workspace, long workspaceBytes) {
        RawRows.check(NAME, "u", in.u());
        RawRows.check(NAME, "v", in.v());
        require(
                in.u().width() == in.v().width(),
                "u has width " + in.u().width() + " and v " + in.v().width() + ", expected the same");
        require(
                in.targets() != 0 || in.v().count() >= in.u().count(),
                in.u().count() + " rows of u but only " + in.v().count()
                        + " of v; give targets, or at least as many rows of v");
        long needed = workspaceBytes(in.u().count(), in.v().count(), in.u().width());
        if (workspaceBytes < needed) {
            throw new LaunchException(NAME + ": the workspace has " + workspaceBytes + " bytes, expected " + needed);
        }
        AddressChecks addresses = new AddressChecks(NAME)
                .readIfAny("targets", in.targets(), 4L * in.u().count(), 4)
                .read("logScale", in.logScale(), 4, 4)
                .readIfAny("bias", in.bias(), 4, 4)
                .written("result", result, RESULT_BYTES, 8)
                .written("workspace", workspace, needed, ALIGNMENT);
        read(addresses, "u", in.u(), gradients == null ? null : gradients.u());
        read(addresses, "v", in.v(), gradients == null ? null : gradients.v());
        if (gradients != null) {
            require(
                    Double.isFinite(gradients.scale()),
                    "the gradient scale is " + gradients.scale() + ", expected a finite number");
            written(addresses, "u", in.u(), gradients.u());
            written(addresses, "v", in.v(), gradients.v());
            addresses
                    .writtenIfAny("the gradient of logScale", gradients.logScale(), 4, 4)
                    .writtenIfAny("the gradient of bias", gradients.bias(), 4, 4);
        }
    }

    /** Adds the range of rows, unless their gradients replace them. */
    private static void read(AddressChecks addresses, String name, Rows rows, @Nullable Rows gradient) {
        if (!Objects.equals(rows, gradient)) {
            add(addresses, name, rows, false);
        }
    }

    private static void written(AddressChecks addresses, String name, Rows rows, @Nullable Rows gradient) {
        if (gradient == null) {
            return;
        }
        RawRows.check(NAME, "the gradient of " + name, gradient);
        require(
                gradient.count() == rows.count() && gradient.width() == rows.width(),
                "the gradient of " + name + " has " + gradient.count() + " rows of width " + gradient.width()
                        + ", expected " + rows.count() + " of width " + rows.width());
        add(addresses, "the gradient of " + name, gradient, true);
    }

    private static void add(AddressChecks addresses, String name, Rows rows, boolean written) {
        long element = rows.type().bytes();
        addresses.rows(
                name,
                rows.address(),
                rows.count(),
                rows.width() * element,
                rows.stride() * element,
                (int) element,
                written);
    }

    private static void require(boolean condition, String message) {
        if (!condition) {
            throw new ShapeException(NAME + ": " + message);
        }
    }
}
