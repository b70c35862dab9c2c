package org.contrastive4j.internal.ptx;

import java.util.Locale;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.internal.numeric.Philox;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.ops.PointwiseOps.RandomKey;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/**
 * Elementwise kernels; a thread processes 4 elements at a time where the alignment allows it.
 *
 * <p>Tested by {@code BackendAgreementTest}.
 */
final class PtxPointwiseOps extends PointwiseOps {
    private static final int DROPOUT_ELEMENTS = 1024; // of a block

    private final TensorLauncher launcher;

    PtxPointwiseOps(TensorLauncher launcher, DType activations) {
        super(activations);
        this.launcher = launcher;
    }

    @Override
    protected void fillUnchecked(Tensor y, double value) {
        launcher.elements(TensorLauncher.of("fill", y), y.size(), y, y.size(), launcher.aligned(y), (float) value);
    }

    @Override
    protected void copyUnchecked(Tensor x, Tensor y) {
        if (x.size() > 0 && launcher.address(x) != launcher.address(y)) {
            int bytes = x.dtype().bytes();
            launcher.stream.copy(
                    launcher.storage(x), x.offset() * bytes, launcher.storage(y), y.offset() * bytes, x.bytes());
        }
    }

    @Override
    protected void castUnchecked(Tensor x, Tensor y) {
        launcher.elements(
                TensorLauncher.of(TensorLauncher.of("cast", x), y), y.size(), x, y, y.size(), launcher.aligned(x, y));
    }

    @Override
    protected void addUnchecked(Tensor a, Tensor b, Tensor y) {
        launcher.elements(TensorLauncher.of("add", y), y.size(), a, b, y, y.size(), launcher.aligned(a, b, y));
    }

    @Override
    protected void axpyUnchecked(double alpha, Tensor x, Tensor y) {
        launcher.elements(
                TensorLauncher.of("axpy", y), y.size(), x, y, y.size(), launcher.aligned(x, y), (float) alpha);
    }

    @Override
    protected void scaleUnchecked(double alpha, Tensor x, Tensor y) {
        launcher.elements(
                TensorLauncher.of("scale", y), y.size(), x, y, y.size(), launcher.aligned(x, y), (float) alpha);
    }

    @Override
    protected void clampUnchecked(double least, double most, Tensor x) {
        if (x.dtype() != DType.F32) { // only parameters are clamped
            super.clampUnchecked(least, most, x);
            return;
        }
        launcher.elements("clamp_f32", x.size(), x, x.size(), launcher.aligned(x), (float) least, (float) most);
    }

    @Override
    protected void geluUnchecked(Gelu kind, Tensor x, Tensor y) {
        launcher.elements(
                TensorLauncher.of("gelu_fwd", y) + variant(kind), y.size(), x, y, y.size(), launcher.aligned(x, y));
    }

    @Override
    protected void geluBackwardUnchecked(Gelu kind, Tensor x, Tensor dy, Tensor dx) {
        launcher.elements(
                TensorLauncher.of("gelu_bwd", dx) + variant(kind),
                dx.size(),
                x,
                dy,
                dx,
                dx.size(),
                launcher.aligned(x, dy, dx));
    }

    private static String variant(Gelu kind) {
        return kind == Gelu.EXACT ? "" : "_" + kind.name().toLowerCase(Locale.ROOT);
    }

    @Override
    protected void dropoutUnchecked(Tensor x, Tensor sampleIds, double p, RandomKey key, Tensor y) {
        int samples = x.dim(0);
        int width = Math.toIntExact(x.size() / samples);
        int blocks = TensorLauncher.blocks(width, DROPOUT_ELEMENTS);
        launcher.call(TensorLauncher.of("dropout", y))
                .pointer("x", launcher.address(x))
                .pointer("ids", launcher.address(sampleIds))
                .pointer("y", launcher.address(y))
                .int32("width", width)
                .int32("blocks", blocks)
                .int64("threshold", Philox.keepThreshold(p))
                .float32("scale", (float) (1 / (1 - p)))
                .int32("layer", key.layer())
                .int32("step", key.step())
                .pointer("clock", launcher.address(key.clock()))
                .int32("key0", (int) key.seed())
                .int32("key1", (int) (key.seed() >>> 32))
                .int32("aligned", launcher.aligned(width, x, y))
                .launch(launcher.stream, Launch.of(Math.multiplyExact(samples, blocks), 256));
    }
}
