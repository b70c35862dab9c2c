package org.contrastive4j.ops;

import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Elementwise operations; an output may be the same tensor as an input. All tensors of an operation have one type,
 * that of activations or that of parameters. 16-bit types are computed in f32 and rounded once at the end.
 *
 * <p>The public methods check their arguments; a backend implements the unchecked counterparts. In the costs, N is the
 * number of elements and e the number of bytes of one.
 *
 * <p>Tested by {@code ElementaryOpsTest}.
 */
public abstract class PointwiseOps {
    /** The variants of GELU. */
    public enum Gelu {
        /** x Phi(x), with the error function. */
        EXACT,
        /** x sigmoid(1.702 x). */
        QUICK,
        /** x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, an approximation of EXACT. */
        TANH
    }

    private final DType dtype;
    private final DType parameterDtype;

    /**
     * Creates the family.
     *
     * @param dtype type of activations
     */
    protected PointwiseOps(DType dtype) {
        this.dtype = dtype;
        parameterDtype = Ops.parameterDtype(dtype);
    }

    /**
     * Computes y = value everywhere.
     *
     * <p>Cost: N e bytes written.
     *
     * @param y any shape, of the type of activations or of parameters; written
     * @param value the value, rounded to the type of y
     * @throws ShapeException if y has another type
     */
    public final void fill(Tensor y, double value) {
        checkFloat("fill", "y", y);
        fillUnchecked(y, value);
    }

    /**
     * Computes {@link #fill} on arguments that were checked.
     *
     * @param y any shape, of the type of activations or of parameters; written
     * @param value the value, rounded to the type of y
     */
    protected abstract void fillUnchecked(Tensor y, double value);

    /**
     * Computes y = x, bit by bit.
     *
     * <p>Cost: 2 N e bytes.
     *
     * @param x any type, including I32; read
     * @param y like x; written
     * @throws ShapeException if type or shape of y differ from those of x
     */
    public final void copy(Tensor x, Tensor y) {
        Checks.require("copy", "x", x);
        Checks.like("copy", "y", y, x);
        y.invalidateValues();
        copyUnchecked(x, y);
    }

    /**
     * Computes {@link #copy} on arguments that were checked.
     *
     * @param x any type, including I32; read
     * @param y like x; written
     */
    protected abstract void copyUnchecked(Tensor x, Tensor y);

    /**
     * Computes y = x in the type of y, rounded to nearest, ties to even. Magnitudes beyond the largest number become
     * infinity, and NaN stays NaN.
     *
     * <p>Cost: N elements of x read and N of y written.
     *
     * @param x F32, BF16 or F16, or the type of y; read
     * @param y same shape, F32, BF16 or F16, or the type of x; written
     * @throws ShapeException if types or shapes do not fit
     */
    public final void cast(Tensor x, Tensor y) {
        Checks.require("cast", "x", x);
        Checks.require("cast", "y", y);
        Checks.shape("cast", "y", y, y.dtype(), x.shape().dims());
        if (x.dtype() == y.dtype()) {
            copyUnchecked(x, y);
            return;
        }
        for (Tensor tensor : new Tensor[] {x, y}) {
            Checks.that(
                    tensor.dtype().isFloat() && tensor.dtype() != DType.F64,
                    "cast",
                    "from " + x + " to " + y + ", expected two of f32, bf16 and f16, or one type twice");
        }
        castUnchecked(x, y);
    }

    /**
     * Computes {@link #cast} on arguments that were checked; the types differ.
     *
     * @param x F32, BF16 or F16, or the type of y; read
     * @param y same shape, F32, BF16 or F16, or the type of x; written
     */
    protected abstract void castUnchecked(Tensor x, Tensor y);

    /**
     * Computes y = a + b.
     *
     * <p>Cost: N flops; 3 N e bytes.
     *
     * @param a any shape, of the type of activations or of parameters; read
     * @param b like a; read
     * @param y like a; written, may be a or b
     * @throws ShapeException if types or sizes do not fit
     */
    public final void add(Tensor a, Tensor b, Tensor y) {
        checkFloat("add", "a", a);
        Checks.like("add", "b", b, a);
        Checks.like("add", "y", y, a);
        addUnchecked(a, b, y);
    }

    /**
     * Computes {@link #add} on arguments that were checked.
     *
     * @param a any shape, of the type of activations or of parameters; read
     * @param b like a; read
     * @param y like a; written, may be a or b
     */
    protected abstract void addUnchecked(Tensor a, Tensor b, Tensor y);

    /**
     * Computes y += alpha x.
     *
     * <p>Cost: 2 N flops; 3 N e bytes.
     *
     * @param alpha factor of x
     * @param x any shape, of the type of activations or of parameters; read
     * @param y like x; accumulated
     * @throws ShapeException if types or sizes do not fit
     */
    public final void axpy(double alpha, Tensor x, Tensor y) {
        checkFloat("axpy", "x", x);
        Checks.like("axpy", "y", y, x);
        axpyUnchecked(alpha, x, y);
    }

    /**
     * Computes {@link #axpy} on arguments that were checked.
     *
     * @param alpha factor of x
     * @param x any shape, of the type of activations or of parameters; read
     * @param y like x; accumulated
     */
    protected abstract void axpyUnchecked(double alpha, Tensor x, Tensor y);

    /**
     * Computes x = min(max(x, least), most); NaN stays NaN.
     *
     * <p>Cost: 2 N e bytes.
     *
     * @param least lower bound
     * @param most upper bound
     * @param x of the type of parameters; read and written
     * @throws ShapeException if x has another type, or least is above most
     */
    public final void clamp(double least, double most, Tensor x) {
        Checks.type("clamp", "x", x, parameterDtype, parameterDtype);
        Checks.that(least <= most, "clamp", "bounds are " + least + " and " + most + ", expected the lower one first");
        clampUnchecked(least, most, x);
    }

    /**
     * Computes {@link #clamp} on arguments that were checked, on the host: a synchronisation and a copy both ways. A
     * backend with a queue overrides this.
     *
     * @param least lower bound
     * @param most upper bound
     * @param x of the type of parameters; read and written
     */
    protected void clampUnchecked(double least, double most, Tensor x) {
        double[] values = x.toDoubles();
        for (int i = 0; i < values.length; i++) {
            if (!Double.isNaN(values[i])) {
                values[i] = Math.min(Math.max(values[i], least), most);
            }
        }
        x.set(values);
    }

    /**
     * Computes y = alpha x.
     *
     * <p>Cost: N flops; 2 N e bytes.
     *
     * @param alpha factor
     * @param x any shape, of the type of activations or of parameters; read
     * @param y like x; written, may be x
     * @throws ShapeException if types or sizes do not fit
     */
    public final void scale(double alpha, Tensor x, Tensor y) {
        checkFloat("scale", "x", x);
        Checks.like("scale", "y", y, x);
        scaleUnchecked(alpha, x, y);
    }

    /**
     * Computes {@link #scale} on arguments that were checked.
     *
     * @param alpha factor
     * @param x any shape, of the type of activations or of parameters; read
     * @param y like x; written, may be x
     */
    protected abstract void scaleUnchecked(double alpha, Tensor x, Tensor y);

    /**
     * Computes y = gelu(x).
     *
     * <p>Cost: one exponential and about 20 flops an element; 2 N e bytes.
     *
     * <p>Numerics: the error in f32 is at most 2e-6 (1 + |x|).
     *
     * <p>Source: Hendrycks and Gimpel, Gaussian error linear units (GELUs), 2016.
     *
     * @param kind variant
     * @param x any shape, of the type of activations or of parameters; read
     * @param y like x; written, may be x
     * @throws ShapeException if types or sizes do not fit
     */
    public final void gelu(Gelu kind, Tensor x, Tensor y) {
        checkFloat("gelu", "x", x);
        Checks.like("gelu", "y", y, x);
        geluUnchecked(kind, x, y);
    }

    /**
     * Computes {@link #gelu} on arguments that were checked.
     *
     * @param kind variant
     * @param x any shape, of the type of activations or of parameters; read
     * @param y like x; written, may be x
     */
    protected abstract void geluUnchecked(Gelu kind, Tensor x, Tensor y);

    /**
     * Computes dx = dy gelu'(x).
     *
     * <p>Cost: one exponential and about 25 flops an element; 3 N e bytes. Exact GELU has gelu'(x) = Phi(x) + x
     * exp(-x^2 / 2) / sqrt(2 pi).
     *
     * @param kind variant
     * @param x input of the forward pass; read
     * @param dy like x; read
     * @param dx like x; written, may be dy
     * @throws ShapeException if types or sizes do not fit
     */
    public final void geluBackward(Gelu kind, Tensor x, Tensor dy, Tensor dx) {
        checkFloat("geluBackward", "x", x);
        Checks.like("geluBackward", "dy", dy, x);
        Checks.like("geluBackward", "dx", dx, x);
        geluBackwardUnchecked(kind, x, dy, dx);
    }

    /**
     * Computes {@link #geluBackward} on arguments that were checked.
     *
     * @param kind variant
     * @param x input of the forward pass; read
     * @param dy like x; read
     * @param dx like x; written, may be dy
     */
    protected abstract void geluBackwardUnchecked(Gelu kind, Tensor x, Tensor dy, Tensor dx);

    /**
     * Computes y = x / (1 - p) where an element is kept, else 0. An element is kept if its Philox4x32-10 word is at
     * least p 2^32.
     *
     * <p>The word of element e of sample s has the key (low, high) half of {@code key.seed} and the counter (e / 4,
     * sampleIds[s], key.layer, key.step); it is word e mod 4. A mask depends on nothing else, so it is independent of
     * the chunk size, and the backward pass is this operation on dy.
     *
     * <p>Cost: one Philox block of four words for every four elements, N flops; 2 N e bytes. No mask is stored.
     *
     * <p>Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011.
     *
     * @param x [samples, ...]; read
     * @param sampleIds [samples] I32; read
     * @param p probability of dropping an element, in [0, 1)
     * @param key stream of random numbers
     * @param y like x; written, may be x
     * @throws ShapeException if types or sizes do not fit
     */
    public final void dropout(Tensor x, Tensor sampleIds, double p, RandomKey key, Tensor y) {
        checkFloat("dropout", "x", x);
        Checks.that(p >= 0 && p < 1, "dropout", "p is " + p + ", expected 0 <= p < 1");
        Checks.shape("dropout", "sampleIds", sampleIds, DType.I32, x.dim(0));
        Checks.like("dropout", "y", y, x);
        if (x.size() > 0) {
            dropoutUnchecked(x, sampleIds, p, key, y);
        }
    }

    /**
     * Computes {@link #dropout} on arguments that were checked; there is at least one element.
     *
     * @param x [samples, ...]; read
     * @param sampleIds [samples] I32; read
     * @param p probability of dropping an element, in [0, 1)
     * @param key stream of random numbers
     * @param y like x; written, may be x
     */
    protected abstract void dropoutUnchecked(Tensor x, Tensor sampleIds, double p, RandomKey key, Tensor y);

    private void checkFloat(String op, String argument, Tensor given) {
        Checks.type(op, argument, given, dtype, parameterDtype);
    }

    /**
     * Identifies a stream of random numbers. The same key, sample and element give the same number on every backend,
     * independent of the chunk that a sample is encoded in.
     *
     * @param seed of the run
     * @param step of the optimiser
     * @param layer number of the random layer, unique within a model
     * @param clock [1] I32 holding the step, or null. A captured operation reads the tensor and ignores {@code step}
     */
    public record RandomKey(
            long seed, int step, int layer, @Nullable Tensor clock) {
        /**
         * Creates a key whose step is passed by value.
         *
         * @param seed of the run
         * @param step of the optimiser
         * @param layer number of the random layer, unique within a model
         */
        public RandomKey(long seed, int step, int layer) {
            this(seed, step, layer, null);
        }
    }
}
