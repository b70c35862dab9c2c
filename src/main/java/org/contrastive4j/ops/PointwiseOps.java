package org.contrastive4j.ops;

import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/**
 * Operations on one element at a time; outputs may be the same tensor as an input. All tensors of an operation are of
 * one type, that of activations or that of parameters; 16 bits are computed on as f32 and rounded once, at the end.
 */
public abstract class PointwiseOps {
    /** The activation functions. */
    public enum Gelu {
        /** x Phi(x), by the error function. */
        EXACT,
        /** x sigmoid(1.702 x). */
        QUICK,
        /** x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, which approximates EXACT. */
        TANH
    }

    private final DType dtype;
    private final DType parameterDtype;

    /** @param dtype of activations */
    protected PointwiseOps(DType dtype) {
        this.dtype = dtype;
        parameterDtype = Ops.parameterDtype(dtype);
    }

    /** y = value everywhere. y any float shape; written. */
    public final void fill(Tensor y, double value) {
        checkFloat("fill", "y", y);
        fillUnchecked(y, value);
    }

    protected abstract void fillUnchecked(Tensor y, double value);

    /** y = x. Same shape and any dtype, I32 too; y written. */
    public final void copy(Tensor x, Tensor y) {
        Checks.require("copy", "x", x);
        Checks.like("copy", "y", y, x);
        y.invalidateValues();
        copyUnchecked(x, y);
    }

    protected abstract void copyUnchecked(Tensor x, Tensor y);

    /**
     * y = x in the type of y: any two of F32, BF16 and F16, or one type twice. Rounded to nearest, ties to even; what
     * is beyond the largest number becomes infinity, NaN stays NaN. Same shapes; y written.
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
                    "from " + x + " to " + y + ", wanted two of f32, bf16 and f16, or one type twice");
        }
        castUnchecked(x, y);
    }

    protected abstract void castUnchecked(Tensor x, Tensor y);

    /** y = a + b, same shapes; y written and may be a or b. */
    public final void add(Tensor a, Tensor b, Tensor y) {
        checkFloat("add", "a", a);
        Checks.like("add", "b", b, a);
        Checks.like("add", "y", y, a);
        addUnchecked(a, b, y);
    }

    protected abstract void addUnchecked(Tensor a, Tensor b, Tensor y);

    /** y += alpha x, same shapes; y accumulated. */
    public final void axpy(double alpha, Tensor x, Tensor y) {
        checkFloat("axpy", "x", x);
        Checks.like("axpy", "y", y, x);
        axpyUnchecked(alpha, x, y);
    }

    protected abstract void axpyUnchecked(double alpha, Tensor x, Tensor y);

    /** x = min(max(x, least), most); NaN stays. x of the type of parameters; accumulated. */
    public final void clamp(double least, double most, Tensor x) {
        Checks.type("clamp", "x", x, parameterDtype, parameterDtype);
        Checks.that(least <= most, "clamp", "bounds are " + least + " and " + most + ", wanted the lower one first");
        clampUnchecked(least, most, x);
    }

    /** By way of the host, for a few elements; a backend with a queue overrides it. */
    protected void clampUnchecked(double least, double most, Tensor x) {
        double[] values = x.toDoubles();
        for (int i = 0; i < values.length; i++) {
            if (!Double.isNaN(values[i])) {
                values[i] = Math.min(Math.max(values[i], least), most);
            }
        }
        x.set(values);
    }

    /** y = alpha x, same shapes; y written and may be x. */
    public final void scale(double alpha, Tensor x, Tensor y) {
        checkFloat("scale", "x", x);
        Checks.like("scale", "y", y, x);
        scaleUnchecked(alpha, x, y);
    }

    protected abstract void scaleUnchecked(double alpha, Tensor x, Tensor y);

    /** y = gelu(x), same shapes; y written and may be x. Worst error in f32: 2e-6 (1 + |x|). */
    public final void gelu(Gelu kind, Tensor x, Tensor y) {
        checkFloat("gelu", "x", x);
        Checks.like("gelu", "y", y, x);
        geluUnchecked(kind, x, y);
    }

    protected abstract void geluUnchecked(Gelu kind, Tensor x, Tensor y);

    /** dx = dy gelu'(x), same shapes; dx written and may be dy. */
    public final void geluBackward(Gelu kind, Tensor x, Tensor dy, Tensor dx) {
        checkFloat("geluBackward", "x", x);
        Checks.like("geluBackward", "dy", dy, x);
        Checks.like("geluBackward", "dx", dx, x);
        geluBackwardUnchecked(kind, x, dy, dx);
    }

    protected abstract void geluBackwardUnchecked(Gelu kind, Tensor x, Tensor dy, Tensor dx);

    /**
     * y = x / (1 - p) where kept, else 0; an element is kept when its Philox4x32-10 word is at least p 2^32.
     *
     * <p>The word of element e of sample s: key = (low, high) half of {@code key.seed}, counter = (e / 4, sampleIds[s],
     * key.layer, key.step), word e mod 4. A mask depends on nothing else, so it does not depend on the chunk size, and
     * the backward pass is this same operation on dy.
     *
     * @param x [samples, ...]; read
     * @param sampleIds [samples] I32; read
     * @param p in [0, 1)
     * @param y like x; written, may be x
     *     <p>Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011.
     */
    public final void dropout(Tensor x, Tensor sampleIds, double p, RandomKey key, Tensor y) {
        checkFloat("dropout", "x", x);
        Checks.that(p >= 0 && p < 1, "dropout", "p is " + p + ", wanted 0 <= p < 1");
        Checks.shape("dropout", "sampleIds", sampleIds, DType.I32, x.dim(0));
        Checks.like("dropout", "y", y, x);
        if (x.size() > 0) {
            dropoutUnchecked(x, sampleIds, p, key, y);
        }
    }

    protected abstract void dropoutUnchecked(Tensor x, Tensor sampleIds, double p, RandomKey key, Tensor y);

    private void checkFloat(String op, String argument, Tensor given) {
        Checks.type(op, argument, given, dtype, parameterDtype);
    }
}
