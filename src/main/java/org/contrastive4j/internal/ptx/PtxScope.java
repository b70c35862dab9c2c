package org.contrastive4j.internal.ptx;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.ops.PairTileOps.Axis;
import org.contrastive4j.ops.PairTileOps.Kind;
import org.contrastive4j.ops.PairTileOps.Pairs;
import org.contrastive4j.ops.PairTileOps.Reduction;
import org.contrastive4j.ops.Scalars;
import org.contrastive4j.ops.Scalars.Reduced;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/**
 * The scalars of one evaluation in device memory.
 *
 * <p>Tested by {@code PtxScalarsTest}.
 */
final class PtxScope implements Scalars.Scope {
    /** A result of a reduction: value, ties and first pair. */
    static final int RECORD_BYTES = 3 * Double.BYTES;

    private static final int ALIGNMENT = 256;

    /** Runs a pass and leaves its results, as doubles, in a storage that the scope closes. */
    @FunctionalInterface
    interface Pass {
        DeviceStorage run(Pairs pairs, List<Reduction> reductions);
    }

    final TensorLauncher launcher;
    private final Pass pass;
    private final List<DeviceStorage> owned = new ArrayList<>();

    PtxScope(TensorLauncher launcher, Pass pass) {
        this.launcher = launcher;
        this.pass = pass;
    }

    PtxScalars allocate(int count) {
        DeviceStorage storage = launcher.workspace((long) Double.BYTES * count);
        owned.add(storage);
        return new PtxScalars(this, storage, 0, Double.BYTES, count);
    }

    /** Returns the bytes of scalars that {@link #allocate} allocates. */
    static long bytes(int count) {
        return ((long) Double.BYTES * count + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    @Override
    public Scalars read(Tensor tensor) {
        int count = Math.toIntExact(tensor.size());
        PtxScalars read = allocate(count);
        launcher.call(tensor.dtype() == DType.I32 ? "scalars_read_s32" : "scalars_read_f32")
                .pointer("x", launcher.address(tensor))
                .pointer("out", owned.get(owned.size() - 1))
                .int32("count", count)
                .launch(launcher.stream, Launch.of(TensorLauncher.blocks(count, 128), 128));
        return read;
    }

    @Override
    public List<Reduced> reduce(Pairs pairs, List<Reduction> reductions) {
        if (reductions.isEmpty()) {
            return List.of();
        }
        DeviceStorage results = pass.run(pairs, reductions);
        owned.add(results);
        List<Reduced> reduced = new ArrayList<>();
        long first = 0;
        for (Reduction reduction : reductions) {
            int size = reduction.axis() == Axis.ROWS
                    ? pairs.pairing().n()
                    : pairs.pairing().m();
            boolean largest = reduction.kind() == Kind.MAX || reduction.kind() == Kind.MAX_BELOW;
            reduced.add(new Reduced(
                    of(results, first, size),
                    largest ? of(results, first + Double.BYTES, size) : null,
                    largest ? of(results, first + 2 * Double.BYTES, size) : null));
            first += (long) RECORD_BYTES * size;
        }
        return reduced;
    }

    private Scalars of(DeviceStorage results, long first, int size) {
        return new PtxScalars(this, results, first, RECORD_BYTES, size);
    }

    @Override
    public Scalars products(Tensor x, Tensor y) {
        PtxScalars products = allocate(x.dim(0));
        launcher.call("scalars_products_f64")
                .pointer("x", launcher.address(x))
                .pointer("y", launcher.address(y))
                .pointer("out", owned.get(owned.size() - 1))
                .int32("rows", x.dim(0))
                .int32("d", x.dim(1))
                .launch(launcher.stream, TensorLauncher.ofRows(x.dim(0)));
        return products;
    }

    @Override
    public void add(Scalars scalar, double factor, Tensor target) {
        PtxScalars here = scalar instanceof PtxScalars given ? given : onDevice(scalar);
        here.addTo(launcher.address(target), factor);
    }

    /** Copies a constant to the device. */
    private PtxScalars onDevice(Scalars constant) {
        PtxScalars zero = allocate(1);
        launcher.stream.fill(owned.get(owned.size() - 1), (byte) 0);
        return (PtxScalars) zero.plus(constant);
    }

    @Override
    public void close() {
        owned.forEach(DeviceStorage::close);
        owned.clear();
    }
}
