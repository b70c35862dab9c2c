package org.contrastive4j.internal.ptx;

import java.nio.ByteBuffer;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.PtxDevice.DeviceStorage;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.ops.Deferred;
import org.contrastive4j.ops.Scalars;

/**
 * Scalars in device memory, f64, at a constant distance from each other.
 *
 * <p>Tested by {@code PtxScalarsTest}.
 */
final class PtxScalars extends Scalars {
    private static final int THREADS = 128;

    private final PtxScope scope;
    private final DeviceStorage storage;
    private final long first; // byte of the first element
    private final int step; // bytes from one element to the next

    PtxScalars(PtxScope scope, DeviceStorage storage, long first, int step, int size) {
        super(size);
        this.scope = scope;
        this.storage = storage;
        this.first = first;
        this.step = step;
    }

    private long address() {
        return storage.address() + first;
    }

    /** Returns the distance of elements, 0 for a single scalar. */
    private int stepOf() {
        return size() == 1 ? 0 : step;
    }

    @Override
    protected Scalars mapUnchecked(Function function, Scalars a, Scalars b, Scalars c, int count) {
        PtxScalars out = scope.allocate(count);
        Operand ofA = operand(a);
        Operand ofB = operand(b);
        Operand ofC = operand(c);
        scope.launcher
                .call("scalars_map_f64")
                .pointer("a", ofA.address)
                .pointer("b", ofB.address)
                .pointer("c", ofC.address)
                .pointer("out", out.address())
                .int32("function", function.ordinal())
                .int32("count", count)
                .int32("aStep", ofA.step)
                .int32("bStep", ofB.step)
                .int32("cStep", ofC.step)
                .float64("aValue", ofA.constant)
                .float64("bValue", ofB.constant)
                .float64("cValue", ofC.constant)
                .launch(scope.launcher.stream, Launch.of(TensorLauncher.blocks(count, THREADS), THREADS));
        return out;
    }

    private record Operand(long address, int step, double constant) {}

    private Operand operand(Scalars of) {
        if (of instanceof PtxScalars here) {
            return new Operand(here.address(), here.stepOf(), 0);
        }
        if (!of.isOnHost() || of.size() != 1) {
            throw new LaunchException("expected scalars of this device or a constant, got " + of.size()
                    + (of.isOnHost() ? " scalars of the host" : " scalars of another device"));
        }
        return new Operand(0, 0, of.at(0));
    }

    @Override
    public Deferred<double[]> values() {
        int count = size();
        int bytes = (count - 1) * step + Double.BYTES;
        return scope.launcher.downloads.download(storage, first, bytes, records -> decode(records, count));
    }

    private double[] decode(ByteBuffer records, int count) {
        double[] values = new double[count];
        for (int i = 0; i < count; i++) {
            values[i] = records.getDouble(i * step);
        }
        return values;
    }

    @Override
    public Scalars sum() {
        PtxScalars out = scope.allocate(1);
        scope.launcher
                .call("scalars_sum_f64")
                .pointer("from", address())
                .pointer("out", out.address())
                .int32("count", size())
                .int32("step", step)
                .launch(scope.launcher.stream, Launch.of(1, 256));
        return out;
    }

    @Override
    public Scalars slice(int from, int to) {
        return new PtxScalars(scope, storage, first + (long) from * step, step, to - from);
    }

    /** Writes {@code count} elements, a single one as often, as two floats each, then zeros. */
    void splitTo(long target, int count, int padded) {
        scope.launcher
                .call("scalars_split_f32")
                .pointer("from", address())
                .pointer("to", target)
                .int32("count", count)
                .int32("padded", padded)
                .int32("step", stepOf())
                .launch(scope.launcher.stream, Launch.of(TensorLauncher.blocks(padded, THREADS), THREADS));
    }

    /** Writes the scalars of a pass whose scale this is. */
    void begin(long scalars, double gradientScale) {
        scope.launcher
                .call("pair_begin_f32")
                .pointer("from", address())
                .pointer("scalars", scalars)
                .float64("gradientScale", gradientScale)
                .launch(scope.launcher.stream, Launch.of(1, 1));
    }

    /** target += factor this. */
    void addTo(long target, double factor) {
        scope.launcher
                .call("scalars_add_f32")
                .pointer("from", address())
                .pointer("y", target)
                .float64("factor", factor)
                .launch(scope.launcher.stream, Launch.of(1, 1));
    }
}
