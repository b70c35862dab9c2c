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
 * One backend and the tensors of one test, all freed by {@link #close}. Every tensor is at an offset of a larger
 * storage and has guard elements around it, which detects kernels that ignore the offset or write out of bounds.
 */
public final class TensorFixture implements AutoCloseable {
    private static final double GUARD_VALUE = 12288; // representable in every type

    public final Ops ops;
    /** Type that represents all initial values, so that this fixture and its f64 reference have the same ones. */
    private final DType grid;

    private final List<Tensor> guarded = new ArrayList<>();
    private final Random random;
    private final long seed;
    private final int guard;

    /** @param backend a name as in {@link Backends} */
    public TensorFixture(String backend, long seed) {
        this(Backends.open(backend), backend.endsWith(Backends.ALIGNED), seed);
    }

    /** @param aligned tensors begin at multiples of 16 bytes */
    public TensorFixture(Ops ops, boolean aligned, long seed) {
        this(ops, aligned, seed, ops.dtype() == DType.F64 ? DType.F32 : ops.dtype());
    }

    /** Returns a reference fixture in f64, with the same values as another fixture of the same seed. */
    public static TensorFixture reference(TensorFixture of) {
        return new TensorFixture(Backend.open("cpu-f64"), false, of.seed, of.grid);
    }

    private TensorFixture(Ops ops, boolean aligned, long seed, DType grid) {
        this.ops = ops;
        this.grid = grid;
        guard = aligned ? 8 : 5;
        this.seed = seed;
        random = new Random(seed);
    }

    /** Returns normally distributed values that f32 and the type of activations represent. */
    public double[] normal(int count) {
        double[] values = new double[count];
        Arrays.setAll(values, i -> random.nextGaussian());
        return exact(values);
    }

    /** Returns the nearest values that f32 and the type of activations represent. */
    public double[] exact(double... values) {
        int bits = grid == DType.BF16 ? 7 : grid == DType.F16 ? 10 : 23;
        double[] near = values.clone();
        Arrays.setAll(near, i -> {
            int place = Math.max(Math.getExponent(values[i]), grid == DType.F16 ? -14 : -126) - bits;
            return Math.scalb(Math.rint(Math.scalb(values[i], -place)), place);
        });
        return near;
    }

    /** Returns a tensor of activations. */
    public Tensor tensor(double[] values, int... dims) {
        return tensor(ops.dtype(), values, dims);
    }

    /** Returns a tensor of the type of parameters. */
    public Tensor parameter(double[] values, int... dims) {
        return tensor(ops.parameterDtype(), values, dims);
    }

    private Tensor tensor(DType dtype, double[] values, int... dims) {
        Shape shape = Shape.of(dims);
        double[] all = new double[values.length + 2 * guard];
        Arrays.fill(all, GUARD_VALUE);
        System.arraycopy(values, 0, all, guard, values.length);
        Tensor whole = Tensor.of(ops.memory(), dtype, Shape.of(all.length), all);
        guarded.add(whole);
        return whole.rows(guard, guard + values.length).reshape(shape.dims());
    }

    /** Returns a tensor of activations filled with NaN, which shows elements that are not written or read too early. */
    public Tensor poisoned(int... dims) {
        return tensor(nan(dims), dims);
    }

    /** Returns a tensor of the type of parameters filled with NaN. */
    public Tensor poisonedParameter(int... dims) {
        return parameter(nan(dims), dims);
    }

    private static double[] nan(int... dims) {
        double[] values = new double[Math.toIntExact(Shape.of(dims).size())];
        Arrays.fill(values, Double.NaN);
        return values;
    }

    public Tensor ints(int[] values, int... dims) {
        int[] all = new int[values.length + 2 * guard];
        Arrays.fill(all, (int) GUARD_VALUE);
        System.arraycopy(values, 0, all, guard, values.length);
        Tensor whole = ops.ints(Shape.of(all.length), all);
        guarded.add(whole);
        return whole.rows(guard, guard + values.length).reshape(dims);
    }

    /**
     * Checks each element: |given - expected| is at most {@code units} of the backend's precision (of f32 for 16-bit
     * activations) times 1 + |expected|; for a 16-bit tensor, plus half a unit in the last place.
     */
    public void assertClose(String what, double[] expected, Tensor given, double units) {
        assertClose(what, expected, given.toDoubles(), given.dtype(), units);
    }

    public void assertClose(String what, double[] expected, double[] given, double units) {
        assertClose(what, expected, given, ops.parameterDtype(), units);
    }

    /** Returns the tolerance of a derivative in this tensor, relative to 1 + its magnitude. */
    public double slopeTolerance(Tensor gradient) {
        return ops.dtype() == DType.F64 ? 1e-10 : 1e-5 + rounding(gradient.dtype());
    }

    /** Returns half a unit in the last place of a 16-bit type relative to the value; 0 for other types. */
    public static double rounding(DType dtype) {
        return dtype == DType.BF16 ? 0x1p-8 : dtype == DType.F16 ? 0x1p-11 : 0;
    }

    /** @param dtype that the numbers were in */
    public void assertClose(String what, double[] expected, double[] given, DType dtype, double units) {
        double epsilon = ops.dtype() == DType.F64 ? 0x1p-53 : 0x1p-24;
        double rounding = rounding(dtype);
        double least = dtype == DType.F16 ? 0x1p-25 : 0;
        assertEquals(expected.length, given.length, what);
        for (int i = 0; i < given.length; i++) {
            boolean close = given[i] == expected[i]
                    || Math.abs(given[i] - expected[i])
                            <= units * epsilon * (1 + Math.abs(expected[i])) + rounding * Math.abs(expected[i]) + least;
            int place = i;
            assertTrue(
                    close,
                    () -> what + " on " + ops.name() + " in " + dtype + ", seed " + seed + ", element " + place + " of "
                            + given.length + ": " + given[place] + ", expected " + expected[place]);
        }
    }

    public void assertSameBits(String what, Tensor expected, Tensor actual) {
        assertArrayEquals(expected.toDoubles(), actual.toDoubles(), what + " on " + ops.name());
    }

    /** Checks the guards and frees all tensors. */
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

    /** Returns the sum of the products of elements. */
    public static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += a[i] * b[i];
        }
        return sum;
    }
}
