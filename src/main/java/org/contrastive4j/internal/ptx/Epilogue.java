package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.tensor.Tensor;

/**
 * What follows a product c = alpha a b + beta c: the bias is added to each of its rows, and y = gelu(c).
 *
 * @param bias or null
 * @param gelu which, null where y is
 * @param y like c, or null
 */
record Epilogue(Tensor bias, PointwiseOps.Gelu gelu, Tensor y) {
    static final Epilogue NONE = new Epilogue(null, null, null);

    static Epilogue of(Tensor bias) {
        return new Epilogue(bias, null, null);
    }

    boolean isNone() {
        return bias == null && y == null;
    }

    /** Addresses on a device, 0 for null, and what kernels call the activation. */
    record Addresses(long bias, long y, int quick) {
        static final Addresses NONE = new Addresses(0, 0, 0);
    }

    /** @throws org.contrastive4j.device.LaunchException where y shares memory with what is read or with c */
    Addresses on(String op, PtxDevice device, Tensor a, Tensor b, Tensor c) {
        return new Addresses(
                bias == null ? 0 : DeviceTensors.address(op, "bias", device, bias),
                y == null ? 0 : DeviceTensors.written(op, "y", device, y, a, b, bias, c),
                gelu == PointwiseOps.Gelu.QUICK ? 1 : 0);
    }

    /** y = gelu(c) by itself, where it is wanted. */
    void activate(PointwiseOps pointwise, Tensor c) {
        if (y != null) {
            pointwise.gelu(gelu, c, y);
        }
    }
}
