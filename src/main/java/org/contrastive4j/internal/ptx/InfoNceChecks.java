package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.jspecify.annotations.Nullable;

/** Checks the arguments of all InfoNCE kernels before the first launch of a call. */
final class InfoNceChecks {
    private static final String NAME = "infoNce";

    private InfoNceChecks() {}

    /** Checks the sizes of a call against the largest numbers of rows and columns. */
    static void checkSizes(int n, int m, int d, int mostRows, int mostColumns) {
        check(
                n >= 1 && m >= 1 && d >= 1 && n <= mostRows && m <= mostColumns,
                "n " + n + ", m " + m + ", d " + d + ", expected at least 1 of each, at most " + mostRows + " rows and "
                        + mostColumns + " columns");
    }

    /**
     * Checks everything except the sizes.
     *
     * @param rowBytes of a row of x and of y
     * @param alignment of x and y
     * @param given bytes of workspace
     * @param needed bytes of workspace
     * @throws ShapeException if rows have no columns of their own, a weight is negative, or a number is not finite
     * @throws LaunchException if an address is 0, misaligned or overlaps another, or the workspace is too small
     */
    static void check(
            InfoNceKernels.Inputs in,
            long rowBytes,
            int alignment,
            InfoNceKernels.@Nullable Gradients gradients,
            long hardest,
            long result,
            long workspace,
            long given,
            long needed) {
        check(
                in.targets() != 0 || in.m() >= in.n(),
                in.n() + " rows but only " + in.m() + " columns; give targets, or at least as many columns as rows");
        checkWeights(in.rowWeight(), in.columnWeight());
        check(
                gradients == null || Double.isFinite(gradients.scale()),
                "the gradient scale is " + (gradients == null ? 1 : gradients.scale()) + ", expected a finite number");
        if (given < needed) {
            throw new LaunchException(NAME + ": the workspace has " + given + " bytes, expected " + needed);
        }
        AddressChecks addresses = new AddressChecks(NAME)
                .read("x", in.x(), in.n() * rowBytes, alignment)
                .read("y", in.y(), in.m() * rowBytes, alignment)
                .readIfAny("targets", in.targets(), 4L * in.n(), 4)
                .read("logScale", in.logScale(), 4, 4)
                .readIfAny("bias", in.bias(), 4, 4)
                .writtenIfAny("hardest", hardest, 4L * in.n(), 4)
                .written("result", result, InfoNceKernels.RESULT_BYTES, 8)
                .written("workspace", workspace, needed, 256);
        if (gradients != null) {
            addresses
                    .writtenIfAny("dx", gradients.dx(), 4L * in.n() * in.d(), 4)
                    .writtenIfAny("dy", gradients.dy(), 4L * in.m() * in.d(), 4)
                    .writtenIfAny("dLogScale", gradients.dLogScale(), 4, 4)
                    .writtenIfAny("dBias", gradients.dBias(), 4, 4);
        }
    }

    /** Checks the weights of the two cross-entropies. */
    static void checkWeights(double rowWeight, double columnWeight) {
        check(
                isWeight(rowWeight) && isWeight(columnWeight),
                "weights are " + rowWeight + " and " + columnWeight + ", expected finite numbers of at least 0");
    }

    private static boolean isWeight(double weight) {
        return weight >= 0 && weight <= Float.MAX_VALUE; // the type of the kernel parameter
    }

    private static void check(boolean condition, String message) {
        if (!condition) {
            throw new ShapeException(NAME + ": " + message);
        }
    }
}
