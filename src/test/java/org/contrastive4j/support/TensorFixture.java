package org.contrastive4j.support;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.contrastive4j.Backend;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * One backend and the tensors of one test, all freed by {@link #close}. Every tensor lies at an offset inside a larger
 * storage, with guard elements around it, so that a kernel that forgets the offset or writes beyond the end is caught.
 */
public final class TensorFixture implements AutoCloseable {
    private static final double GUARD_VALUE = 12345;

    public final Ops ops;
    private final List<Tensor> guarded = new ArrayList<>();
    private final Random random;
    private final long seed;
    private final int guard;

    /** @param backend a name, {@link Backends#ALIGNED} after it or not */
    public TensorFixture(String backend, long seed) {
        this(Backend.open(backend.replace(Backends.ALIGNED, "")), backend.endsWith(Backends.ALIGNED), seed);
    }

    /** @param aligned tensors begin at multiples of 16 bytes */
    public TensorFixture(Ops ops, boolean aligned, long seed) {
        this.ops = ops;
        guard = aligned ? 8 : 5;
        this.seed = seed;
        random = new Random(seed);
    }

    /** Normal numbers that f32 holds exactly. */
    public double[] normal(int count) {
        double[] values = new double[count];
        Arrays.setAll(values, i -> (float) random.nextGaussian());
        return values;
    }

    public Tensor tensor(double[] values, int... dims) {
        Shape shape = Shape.of(dims);
        double[] all = new double[values.length + 2 * guard];
        Arrays.fill(all, GUARD_VALUE);
        System.arraycopy(values, 0, all, guard, values.length);
        Tensor whole = ops.tensor(Shape.of(all.length), all);
        guarded.add(whole);
        return whole.rows(guard, guard + values.length).reshape(shape.dims());
    }

    /** A tensor of NaN: what is not written, or is read before, shows. */
    public Tensor poisoned(int... dims) {
        double[] values = new double[Math.toIntExact(Shape.of(dims).size())];
        Arrays.fill(values, Double.NaN);
        return tensor(values, dims);
    }

    public Tensor ints(int[] values, int... dims) {
        int[] all = new int[values.length + 2 * guard];
        Arrays.fill(all, (int) GUARD_VALUE);
        System.arraycopy(values, 0, all, guard, values.length);
        Tensor whole = ops.ints(Shape.of(all.length), all);
        guarded.add(whole);
        return whole.rows(guard, guard + values.length).reshape(dims);
    }

    /** |given - expected| at most {@code units} of the backend's precision times 1 + |expected|, element by element. */
    public void assertClose(String what, double[] expected, Tensor given, double units) {
        assertClose(what, expected, given.toDoubles(), units);
    }

    public void assertClose(String what, double[] expected, double[] given, double units) {
        double epsilon = ops.dtype() == DType.F64 ? 0x1p-53 : 0x1p-24;
        assertEquals(expected.length, given.length, what);
        for (int i = 0; i < given.length; i++) {
            boolean close = given[i] == expected[i]
                    || Math.abs(given[i] - expected[i]) <= units * epsilon * (1 + Math.abs(expected[i]));
            int place = i;
            assertTrue(close, () -> what + " on " + ops.name() + ", seed " + seed + ", element " + place + " of "
                    + given.length + ": " + given[place] + ", wanted " + expected[place]);
        }
    }

    public void assertSameBits(String what, Tensor expected, Tensor actual) {
        assertArrayEquals(expected.toDoubles(), actual.toDoubles(), what + " on " + ops.name());
    }

    /** Checks the guards, then frees all. */
    @Override
    public void close() {
        for (Tensor whole : guarded) {
            int size = Math.toIntExact(whole.size());
            for (int i = 0; i < 2 * guard; i++) {
                int place = i < guard ? i : size - 1 - (i - guard);
                double value = whole.dtype() == DType.I32 ? whole.toInts()[place] : whole.toDoubles()[place];
                assertEquals(GUARD_VALUE, value, "guard " + place + " of " + whole + " was overwritten");
            }
            whole.close();
        }
        ops.close();
    }
}
