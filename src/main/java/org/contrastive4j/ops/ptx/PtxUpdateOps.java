package org.contrastive4j.ops.ptx;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.device.Launch;
import org.contrastive4j.ops.UpdateOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/** Optimiser updates, and reductions that leave a few numbers for the host. */
final class PtxUpdateOps extends UpdateOps {
    private static final int BLOCK_ELEMENTS = 4096; // summed by a block, or more
    private static final int MOST_BLOCKS = 1024;

    private final Launches launches;

    PtxUpdateOps(Launches launches) {
        super(DType.F32);
        this.launches = launches;
    }

    @Override
    protected void adamWUnchecked(AdamW settings, Tensor parameter, Tensor gradient, Tensor m, Tensor v) {
        launches.elements("adamw_f32", parameter.size(), parameter, gradient, m, v, parameter.size(),
                launches.wide(parameter, gradient, m, v), (float) settings.gradientScale(), (float) settings.beta1(),
                (float) (1 - settings.beta1()), (float) settings.beta2(), (float) (1 - settings.beta2()),
                (float) (1 - settings.learningRate() * settings.weightDecay()),
                (float) (settings.learningRate() / (1 - Math.pow(settings.beta1(), settings.step()))),
                (float) (1 / Math.sqrt(1 - Math.pow(settings.beta2(), settings.step()))), (float) settings.epsilon());
    }

    @Override
    protected double sumOfSquaresUnchecked(Tensor x) {
        if (x.size() == 0) {
            return 0;
        }
        int blocks = (int) Math.min(MOST_BLOCKS, (x.size() + BLOCK_ELEMENTS - 1) / BLOCK_ELEMENTS);
        try (DeviceStorage partial = launches.workspace(8L * blocks)) {
            launches.launch("sum_of_squares_f32", Launch.of(blocks, 256), x, partial, x.size(), launches.wide(x));
            ByteBuffer values = download(partial);
            double sum = 0;
            while (values.hasRemaining()) {
                sum += values.getDouble();
            }
            return sum;
        }
    }

    @Override
    protected long firstNonFiniteUnchecked(Tensor x) {
        try (DeviceStorage found = launches.workspace(8)) {
            launches.stream.fill(found, (byte) -1);
            launches.elements("first_non_finite_f32", x.size(), x, found, x.size(), launches.wide(x));
            return download(found).getLong();
        }
    }

    private static ByteBuffer download(DeviceStorage storage) {
        ByteBuffer bytes = ByteBuffer.allocateDirect((int) storage.bytes()).order(ByteOrder.nativeOrder());
        storage.download(0, bytes);
        return bytes.rewind();
    }
}
