package org.contrastive4j.internal.ptx;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.contrastive4j.device.DeviceEvent;
import org.contrastive4j.device.DeviceGraph;
import org.contrastive4j.device.DeviceStorage;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.LaunchException;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.internal.device.MatrixLibrary;
import org.contrastive4j.memory.Storage;
import org.contrastive4j.ops.AttentionOps;
import org.contrastive4j.ops.CapturedGraph;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.MatrixOps;
import org.contrastive4j.ops.NormOps;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PairTileOps;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.ops.SequenceOps;
import org.contrastive4j.ops.TrainingPrecision;
import org.contrastive4j.ops.UpdateOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The operations as kernels on a device, a GPU or the simulator; tensors are in its memory, work is done in the order of
 * its stream. Activations are f32, or bf16 or f16 with parameters in f32; arithmetic is f32 but for the products of
 * tensor cores, whose sums are. InfoNCE rounds its f32 rows to the precision
 * of those products.
 */
public final class PtxOps extends Ops {
    /** What a stripe of rows of a pairwise loss may take. */
    private static final long PAIRWISE_STRIPE_BYTES = 64L << 20;

    private static final Logger LOG = LoggerFactory.getLogger(PtxOps.class);
    private static final Set<String> LOGGED = ConcurrentHashMap.newKeySet();

    private final String name;
    private final PtxDevice device;
    private final DType activations;
    private final PtxMatrixOps.Multiply multiply;
    private final Launches launches;
    private final PointwiseOps pointwise;
    private final NormOps norm;
    private final PtxMatrixOps matrix;
    private final AttentionOps attention;
    private final SequenceOps sequence;
    private final UpdateOps update;
    private final PairwiseOps pairwise;
    private final PairTileOps pairTiles;
    private DeviceStream sending;
    private DeviceStream ahead; // null until something is sent ahead

    /**
     * In f32 throughout.
     *
     * @param device closed with this backend
     */
    public PtxOps(String name, PtxDevice device) {
        this(name, device, DType.F32);
    }

    /**
     * @param device closed with this backend
     * @param activations F32, BF16 or F16
     */
    public PtxOps(String name, PtxDevice device, DType activations) {
        this(name, device, new Kernels(device), activations);
    }

    /**
     * @param device closed with this backend
     * @param precision all but F64
     */
    public PtxOps(String name, PtxDevice device, TrainingPrecision precision) {
        this(
                name,
                device,
                new Kernels(device),
                precision.activations(),
                precision == TrainingPrecision.TF32 ? PtxMatrixOps.Multiply.TF32 : PtxMatrixOps.Multiply.F32);
    }

    PtxOps(String name, PtxDevice device, Kernels kernels, DType activations) {
        this(name, device, kernels, activations, PtxMatrixOps.Multiply.F32);
    }

    private PtxOps(String name, PtxDevice device, Kernels kernels, DType activations, PtxMatrixOps.Multiply multiply) {
        if (activations != DType.F32 && activations != DType.BF16 && activations != DType.F16) {
            throw new IllegalArgumentException("activations of " + activations + ", wanted F32, BF16 or F16");
        }
        this.name = name;
        this.device = device;
        this.activations = activations;
        this.multiply = multiply;
        launches = new Launches(device, kernels);
        sending = launches.stream;
        pointwise = new PtxPointwiseOps(launches, activations);
        norm = new PtxNormOps(launches, new PtxNormalize(kernels), activations);
        sequence = new PtxSequenceOps(launches, activations);
        update = new PtxUpdateOps(launches);
        Precision rows =
                multiply == PtxMatrixOps.Multiply.TF32 ? Precision.TF32 : Precision.valueOf(activations.name());
        KernelChoice choice = KernelChoice.of(device.facts(), rows, KernelChoice.wish());
        MatrixLibrary.Choice library = KernelChoice.library(MatrixLibrary.of(device), KernelChoice.wish());
        logOnce("matrix products in " + precision() + " on " + name + " ("
                + device.facts().name() + ") by "
                + (library.library() == null
                        ? "kernels of our own"
                        : library.library().name()) + ": " + library.reason()
                + (activations == DType.F32 ? "" : "; those with a bias or GELU by " + choice));
        matrix = new PtxMatrixOps(device, kernels, multiply, activations, library.library());
        attention = new PtxAttentionOps(device, kernels, activations, true);
        logOnce("pairwise loss in " + rows + " on " + name + " ("
                + device.facts().name() + ") by " + choice);
        pairwise = new PtxPairwiseOps(device, launches.readback, kernels, rows, choice, PAIRWISE_STRIPE_BYTES);
        pairTiles = new PtxPairTileOps(launches, PAIRWISE_STRIPE_BYTES);
    }

    private static void logOnce(String message) {
        if (LOGGED.add(message)) {
            LOG.info(message);
        }
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public DType dtype() {
        return activations;
    }

    @Override
    public TrainingPrecision precision() {
        return multiply == PtxMatrixOps.Multiply.TF32 ? TrainingPrecision.TF32 : super.precision();
    }

    @Override
    public PtxDevice memory() {
        return device;
    }

    @Override
    public MatrixOps matrix() {
        return matrix;
    }

    @Override
    public PointwiseOps pointwise() {
        return pointwise;
    }

    @Override
    public NormOps norm() {
        return norm;
    }

    @Override
    public AttentionOps attention() {
        return attention;
    }

    @Override
    public SequenceOps sequence() {
        return sequence;
    }

    @Override
    public PairwiseOps pairwise() {
        return pairwise;
    }

    @Override
    public PairTileOps pairTiles() {
        return pairTiles;
    }

    @Override
    public UpdateOps update() {
        return update;
    }

    @Override
    public void send(int[] values, Tensor target) {
        ByteBuffer bytes = buffer(values.length, target, DType.I32);
        bytes.asIntBuffer().put(values);
        sending.upload(bytes, launches.storage(target), 4 * target.offset());
        target.noteValues(values);
    }

    @Override
    public void send(float[] values, Tensor target) {
        ByteBuffer bytes = buffer(values.length, target, DType.F32);
        bytes.asFloatBuffer().put(values);
        sending.upload(bytes, launches.storage(target), 4 * target.offset());
    }

    /** {@inheritDoc} A second stream copies, after an event in the first. */
    @Override
    public Aside aside() {
        if (ahead == null) {
            ahead = device.newStream();
        }
        DeviceEvent before = launches.stream.record();
        return sends -> {
            try (before) {
                ahead.await(before);
            }
            sending = ahead;
            try {
                sends.run();
            } catch (RuntimeException | Error failed) {
                arriveAfter(failed);
                throw failed;
            } finally {
                sending = launches.stream;
            }
            return arrival();
        };
    }

    /** What was sent ahead so far, as something for work to wait for. */
    private Runnable arrival() {
        DeviceEvent arrived = ahead.record();
        return () -> {
            try (arrived) {
                launches.stream.await(arrived);
            }
        };
    }

    /** Some of what was to be sent is on its way: whoever frees its place must come after that. */
    private void arriveAfter(Throwable failed) {
        try {
            arrival().run();
        } catch (RuntimeException also) {
            failed.addSuppressed(also);
        }
    }

    @Override
    public Deferred<double[]> valuesLater(Tensor x) {
        if (x.dtype() != DType.F32) {
            throw new IllegalArgumentException("parameters are f32 on this backend, given " + x);
        }
        int count = Math.toIntExact(x.size());
        return launches.readback.later(launches.storage(x), 4 * x.offset(), 4 * count, values -> {
            double[] all = new double[count];
            Arrays.setAll(all, i -> values.getFloat(4 * i));
            return all;
        });
    }

    private static ByteBuffer buffer(int count, Tensor target, DType wanted) {
        if (target.dtype() != wanted || target.size() != count) {
            throw new IllegalArgumentException(count + " values of " + wanted + " given for " + target);
        }
        return ByteBuffer.allocate(4 * count).order(ByteOrder.nativeOrder());
    }

    @Override
    public boolean canCapture() {
        return true;
    }

    @Override
    public CapturedGraph capture(Runnable work, Storage scratch) {
        if (scratch != null && !(scratch instanceof DeviceStorage)) {
            throw new LaunchException("record: the scratch is no memory of this backend");
        }
        DeviceGraph[] made = new DeviceGraph[1];
        Runnable giveBack =
                launches.readback.recording(() -> made[0] = launches.stream.capture(work, (DeviceStorage) scratch));
        DeviceGraph graph = made[0];
        return new CapturedGraph() {
            @Override
            public void run() {
                graph.launch(launches.stream);
                launches.readback.ran();
            }

            @Override
            public int operations() {
                return graph.nodes();
            }

            @Override
            public void close() {
                graph.close();
                giveBack.run();
            }
        };
    }

    @Override
    public void synchronize() {
        device.synchronize();
    }

    /** Frees what operations keep, then everything. */
    @Override
    public void close() {
        matrix.close();
        launches.readback.close();
        if (ahead != null) {
            ahead.close();
        }
        super.close();
    }
}
