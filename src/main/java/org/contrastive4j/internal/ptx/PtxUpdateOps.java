package org.contrastive4j.internal.ptx;

import java.nio.ByteBuffer;
import java.util.List;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.UpdateOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/** Optimiser updates, and reductions whose small results the host reads. */
final class PtxUpdateOps extends UpdateOps {
    private static final int BLOCK_ELEMENTS = 4096; // summed by a block, or more
    private static final int MOST_BLOCKS = 1024;

    private final TensorLauncher launcher;

    PtxUpdateOps(TensorLauncher launcher) {
        super(DType.F32);
        this.launcher = launcher;
    }

    @Override
    protected void adamWUnchecked(AdamW settings, Tensor parameter, Tensor gradient, Tensor m, Tensor v) {
        float[] scalars = settings.scalarValues();
        if (parameter.size() > 0) {
            launcher.call("adamw_f32")
                    .pointer("p", launcher.address(parameter))
                    .pointer("g", launcher.address(gradient))
                    .pointer("m", launcher.address(m))
                    .pointer("v", launcher.address(v))
                    .pointer("scalars", launcher.address(settings.scalars()))
                    .int64("count", parameter.size())
                    .int32("aligned", launcher.aligned(parameter, gradient, m, v))
                    .float32("gradientScale", scalars[0])
                    .float32("keep1", (float) settings.beta1())
                    .float32("take1", (float) (1 - settings.beta1()))
                    .float32("keep2", (float) settings.beta2())
                    .float32("take2", (float) (1 - settings.beta2()))
                    .float32("decay", scalars[1])
                    .float32("rate", scalars[2])
                    .float32("correction", scalars[3])
                    .float32("epsilon", (float) settings.epsilon())
                    .launch(launcher.stream, TensorLauncher.ofElements(parameter.size()));
        }
    }

    /**
     * Computes the partial sums of all tensors contiguously, for one copy; the host adds those of a tensor in order.
     */
    @Override
    protected Deferred<double[]> sumsOfSquaresUnchecked(List<Tensor> xs) {
        int[] ends = new int[xs.size()];
        int blocks = 0;
        for (int k = 0; k < ends.length; k++) {
            blocks += blocks(xs.get(k));
            ends[k] = blocks;
        }
        if (blocks == 0) {
            return Deferred.of(new double[ends.length]);
        }
        try (DeviceStorage partial = launcher.workspace(8L * blocks)) {
            long at = partial.address();
            for (Tensor x : xs) {
                if (x.size() > 0) {
                    launcher.launch(
                            "sum_of_squares_f32", Launch.of(blocks(x), 256), x, at, x.size(), launcher.aligned(x));
                    at += 8L * blocks(x);
                }
            }
            return launcher.downloads.download(partial, values -> sums(values, ends));
        }
    }

    private static int blocks(Tensor x) {
        return (int) Math.min(MOST_BLOCKS, (x.size() + BLOCK_ELEMENTS - 1) / BLOCK_ELEMENTS);
    }

    private static double[] sums(ByteBuffer values, int[] ends) {
        double[] sums = new double[ends.length];
        for (int k = 0, at = 0; k < ends.length; k++) {
            for (; at < ends[k]; at++) {
                sums[k] += values.getDouble(8 * at);
            }
        }
        return sums;
    }

    @Override
    protected Deferred<Long> firstNonFiniteUnchecked(Tensor x) {
        try (DeviceStorage found = launcher.workspace(8)) {
            launcher.stream.fill(found, (byte) -1);
            launcher.elements("first_non_finite_f32", x.size(), x, found, x.size(), launcher.aligned(x));
            return launcher.downloads.download(found, bytes -> bytes.getLong(0));
        }
    }
}
