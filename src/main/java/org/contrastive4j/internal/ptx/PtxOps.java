package org.contrastive4j.internal.ptx;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.internal.device.MatrixLibrary;
import org.contrastive4j.memory.Memory.Storage;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.Ops.CapturedGraph;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs the operations as kernels on a device, a GPU or the simulator. Tensors are in the memory of the device, and
 * work is executed in the order of its stream. Activations are f32, or bf16 or f16 with parameters in f32. Arithmetic
 * is f32 except for products on tensor cores, whose sums are f32. InfoNCE rounds its f32 rows to the precision of
 * those products.
 */
public final class PtxOps extends Ops {
    /** Workspace of a stripe of rows of a pairwise loss. */
    private static final long PAIRWISE_STRIPE_BYTES = 64L << 20;

    private static final Logger LOG = LoggerFactory.getLogger(PtxOps.class);
    private static final Set<String> LOGGED = ConcurrentHashMap.newKeySet();

    private final String name;
    private final PtxDevice device;
    private final Precision precision;
    private final TensorLauncher launcher;
    private final PtxMatrixOps matrix;
    private final Families families;
    private DeviceStream sending;
    private @Nullable DeviceStream ahead; // null until something is sent ahead

    /**
     * Opens the operations in f32.
     *
     * @param device closed with this backend
     */
    public PtxOps(String name, PtxDevice device) {
        this(name, device, Precision.F32);
    }

    /**
     * Opens the operations in a precision.
     *
     * @param device closed with this backend
     * @param precision any but F64
     */
    public PtxOps(String name, PtxDevice device, Precision precision) {
        this(name, device, new Kernels(device), precision);
    }

    PtxOps(String name, PtxDevice device, Kernels kernels, Precision precision) {
        if (precision == Precision.F64) {
            throw new IllegalArgumentException("expected precision f32, tf32, bf16 or f16, got f64");
        }
        this.name = name;
        this.device = device;
        this.precision = precision;
        DType activations = precision.storage();
        launcher = new TensorLauncher(device, kernels);
        sending = launcher.stream;
        KernelChoice choice = KernelChoice.of(device.facts(), precision, KernelChoice.preference());
        MatrixLibrary.Choice library = KernelChoice.library(MatrixLibrary.of(device), KernelChoice.preference());
        logOnce("matrix products in " + precision + " on " + name + " ("
                + device.facts().name() + ") by "
                + (library.library() == null
                        ? "kernels of this library"
                        : library.library().name()) + ": " + library.reason()
                + (activations == DType.F32 ? "" : "; products with a bias or GELU by " + choice));
        matrix = new PtxMatrixOps(device, kernels, precision, library.library());
        logOnce("pairwise loss in " + precision + " on " + name + " ("
                + device.facts().name() + ") by " + choice);
        families = new Families(
                matrix,
                new PtxPointwiseOps(launcher, activations),
                new PtxNormOps(launcher, new PtxNormalize(kernels), activations),
                new PtxAttentionOps(device, kernels, activations, true),
                new PtxSequenceOps(launcher, activations),
                new PtxPairwiseOps(device, launcher.downloads, kernels, precision, choice, PAIRWISE_STRIPE_BYTES),
                new PtxPairTileOps(launcher, PAIRWISE_STRIPE_BYTES),
                new PtxUpdateOps(launcher));
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
        return precision.storage();
    }

    @Override
    public Precision precision() {
        return precision;
    }

    @Override
    public PtxDevice memory() {
        return device;
    }

    @Override
    public Families families() {
        return families;
    }

    @Override
    public void send(int[] values, Tensor target) {
        ByteBuffer bytes = buffer(values.length, target, DType.I32);
        bytes.asIntBuffer().put(values);
        sending.upload(bytes, launcher.storage(target), 4 * target.offset());
        target.recordValues(values);
    }

    @Override
    public void send(float[] values, Tensor target) {
        ByteBuffer bytes = buffer(values.length, target, DType.F32);
        bytes.asFloatBuffer().put(values);
        sending.upload(bytes, launcher.storage(target), 4 * target.offset());
    }

    /** {@inheritDoc} A second stream copies, after an event in the first. */
    @Override
    public PrefetchStream prefetchStream() {
        DeviceStream second = ahead == null ? device.newStream() : ahead;
        ahead = second;
        DeviceStream.Event before = launcher.stream.record();
        return sends -> {
            try (before) {
                second.await(before);
            }
            sending = second;
            try {
                sends.run();
            } catch (RuntimeException | Error failed) {
                arriveAfter(second, failed);
                throw failed;
            } finally {
                sending = launcher.stream;
            }
            return arrival(second);
        };
    }

    /** What was sent ahead so far, as something for work to wait for. */
    private Runnable arrival(DeviceStream second) {
        DeviceStream.Event arrived = second.record();
        return () -> {
            try (arrived) {
                launcher.stream.await(arrived);
            }
        };
    }

    /** Some of what was to be sent is on its way: whoever frees its place must come after that. */
    private void arriveAfter(DeviceStream second, Throwable failed) {
        try {
            arrival(second).run();
        } catch (RuntimeException also) {
            failed.addSuppressed(also);
        }
    }

    @Override
    public Deferred<double[]> values(Tensor x) {
        if (x.dtype() != DType.F32) {
            throw new IllegalArgumentException("parameters are f32 on this backend, given " + x);
        }
        int count = Math.toIntExact(x.size());
        return launcher.downloads.download(launcher.storage(x), 4 * x.offset(), 4 * count, values -> {
            double[] all = new double[count];
            Arrays.setAll(all, i -> values.getFloat(4 * i));
            return all;
        });
    }

    private static ByteBuffer buffer(int count, Tensor target, DType expected) {
        if (target.dtype() != expected || target.size() != count) {
            throw new IllegalArgumentException(
                    "expected a tensor of " + count + " values of " + expected.label() + ", got " + target);
        }
        return ByteBuffer.allocate(4 * count).order(ByteOrder.nativeOrder());
    }

    @Override
    public boolean canCapture() {
        return true;
    }

    @Override
    public CapturedGraph capture(Runnable work, @Nullable Storage arena) {
        if (arena != null && !(arena instanceof DeviceStorage)) {
            throw new LaunchException("capture: expected an arena in the memory of this backend");
        }
        DeviceStream.Graph[] made = new DeviceStream.Graph[1];
        Runnable giveBack =
                launcher.downloads.capture(() -> made[0] = launcher.stream.capture(work, (DeviceStorage) arena));
        DeviceStream.Graph graph = made[0];
        return new CapturedGraph() {
            @Override
            public void run() {
                graph.launch(launcher.stream);
                launcher.downloads.replayed();
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

    /** Frees the workspaces of operations, then all memory. */
    @Override
    public void close() {
        matrix.close();
        launcher.downloads.close();
        launcher.constants.close();
        if (ahead != null) {
            ahead.close();
        }
        super.close();
    }
}
