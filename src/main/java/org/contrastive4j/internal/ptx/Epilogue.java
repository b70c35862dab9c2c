package org.contrastive4j.internal.ptx;

import java.util.Objects;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * The operations fused to a product c = alpha a b + beta c: the bias is added to each row, and y = gelu(c).
 *
 * @param bias [n], or null
 * @param gelu activation, null if y is
 * @param y like c, or null
 */
record Epilogue(
        @Nullable Tensor bias,
        PointwiseOps.@Nullable Gelu gelu,
        @Nullable Tensor y) {
    static final Epilogue NONE = new Epilogue(null, null, null);

    static Epilogue of(@Nullable Tensor bias) {
        return new Epilogue(bias, null, null);
    }

    boolean isNone() {
        return bias == null && y == null;
    }

    /** Device addresses, 0 for null, and the activation as kernels number it. */
    record Addresses(long bias, long y, int quick) {
        static final Addresses NONE = new Addresses(0, 0, 0);
    }

    /**
     * Returns the addresses.
     *
     * @throws org.contrastive4j.device.DeviceException.LaunchException if y overlaps an input or c
     */
    Addresses on(String op, PtxDevice device, Tensor a, Tensor b, Tensor c) {
        return new Addresses(
                bias == null ? 0 : DeviceTensors.address(op, "bias", device, bias),
                y == null ? 0 : DeviceTensors.written(op, "y", device, y, a, b, bias, c),
                gelu == PointwiseOps.Gelu.QUICK ? 1 : 0);
    }

    /** Computes y = gelu(c) in a separate launch, if y is requested. */
    void activate(PointwiseOps pointwise, Tensor c) {
        if (y != null) {
            pointwise.gelu(Objects.requireNonNull(gelu, "y requires an activation"), c, y);
        }
    }
}
