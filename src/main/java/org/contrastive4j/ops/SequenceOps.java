package org.contrastive4j.ops;

import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;

/**
 * Making sequences out of pictures and ids, and single vectors out of sequences. Tables, positions, class tokens and
 * their gradients are of the type of parameters, pictures of either type, everything else of that of activations.
 */
public abstract class SequenceOps {
    private final DType dtype;
    private final DType parameterDtype;

    /** @param dtype of activations */
    protected SequenceOps(DType dtype) {
        this.dtype = dtype;
        parameterDtype = Ops.parameterDtype(dtype);
    }

    /**
     * y[i] = table[ids[i]].
     *
     * @param ids any shape, I32, in [0, rows of table); read
     * @param table [vocabulary, width]; read
     * @param y [ids..., width]; written
     * @throws ShapeException also when an id is outside the table
     */
    public final void embedding(Tensor ids, Tensor table, Tensor y) {
        checkEmbedding("embedding", ids, table, y);
        embeddingUnchecked(ids, table, y);
    }

    protected abstract void embeddingUnchecked(Tensor ids, Tensor table, Tensor y);

    /** dTable[ids[i]] += dy[i], in order of i; dTable [vocabulary, width] accumulated. */
    public final void embeddingBackward(Tensor ids, Tensor dy, Tensor dTable) {
        checkEmbedding("embeddingBackward", ids, dTable, dy);
        embeddingBackwardUnchecked(ids, dy, dTable);
    }

    protected abstract void embeddingBackwardUnchecked(Tensor ids, Tensor dy, Tensor dTable);

    private void checkEmbedding(String op, Tensor ids, Tensor table, Tensor y) {
        Checks.require(op, "ids", ids);
        Checks.that(ids.dtype() == DType.I32, op, "ids are " + ids + ", wanted i32");
        Checks.rank(op, "table", table, parameterDtype, 2);
        Checks.require(op, "y", y);
        Checks.that(
                y.dtype() == dtype
                        && y.shape().rank() > 0
                        && y.dim(-1) == table.dim(1)
                        && y.shape().rows() == ids.size(),
                op,
                "rows are " + y + " for ids " + ids + " and table " + table);
    }

    /**
     * y[b, t] = x[b, t] + positions[t].
     *
     * @param x [b, t, w]; read
     * @param positions [at least t, w]; read
     * @param y like x; written, may be x
     */
    public final void addPositions(Tensor x, Tensor positions, Tensor y) {
        checkPositions("addPositions", x, positions);
        Checks.like("addPositions", "y", y, x);
        addPositionsUnchecked(x, positions, y);
    }

    protected abstract void addPositionsUnchecked(Tensor x, Tensor positions, Tensor y);

    /** dPositions[t] += sum over b of dy[b, t], in order of b; dPositions accumulated. */
    public final void addPositionsBackward(Tensor dy, Tensor dPositions) {
        checkPositions("addPositionsBackward", dy, dPositions);
        addPositionsBackwardUnchecked(dy, dPositions);
    }

    protected abstract void addPositionsBackwardUnchecked(Tensor dy, Tensor dPositions);

    private void checkPositions(String op, Tensor x, Tensor positions) {
        Checks.rank(op, "x", x, dtype, 3);
        Checks.rank(op, "positions", positions, parameterDtype, 2);
        Checks.that(
                positions.dim(0) >= x.dim(1) && positions.dim(1) == x.dim(2),
                op,
                "positions are " + positions + " for tokens " + x);
    }

    /**
     * y[b, 0] = token and y[b, t + 1] = x[b, t]: a class token in front.
     *
     * @param x [b, t, w]; read
     * @param token [w]; read
     * @param y [b, t + 1, w]; written
     */
    public final void prependToken(Tensor x, Tensor token, Tensor y) {
        Checks.rank("prependToken", "x", x, dtype, 3);
        Checks.shape("prependToken", "token", token, parameterDtype, x.dim(2));
        Checks.shape("prependToken", "y", y, dtype, x.dim(0), x.dim(1) + 1, x.dim(2));
        prependTokenUnchecked(x, token, y);
    }

    protected abstract void prependTokenUnchecked(Tensor x, Tensor token, Tensor y);

    /**
     * dx[b, t] = dy[b, t + 1] and dToken += sum over b of dy[b, 0].
     *
     * @param dx [b, t, w] written, or null when not wanted
     * @param dToken [w] accumulated, or null when not wanted
     */
    public final void prependTokenBackward(Tensor dy, Tensor dx, Tensor dToken) {
        Checks.rank("prependTokenBackward", "dy", dy, dtype, 3);
        Checks.that(dy.dim(1) > 0, "prependTokenBackward", "dy is " + dy + ", wanted at least the class token");
        if (dx != null) {
            Checks.shape("prependTokenBackward", "dx", dx, dtype, dy.dim(0), dy.dim(1) - 1, dy.dim(2));
        }
        if (dToken != null) {
            Checks.shape("prependTokenBackward", "dToken", dToken, parameterDtype, dy.dim(2));
        }
        prependTokenBackwardUnchecked(dy, dx, dToken);
    }

    protected abstract void prependTokenBackwardUnchecked(Tensor dy, Tensor dx, Tensor dToken);

    /**
     * y[b, (r, c)] = the kernel x kernel x channels window of x[b] at row r stride - padding, column c stride -
     * padding, zeros outside the picture. kernel = stride, padding = 0 are the patches of a vision transformer; kernel
     * &gt; stride makes them overlap.
     *
     * @param x [b, h, w, channels] of the type of activations or of that of parameters; read
     * @param y [b, rows x columns, kernel x kernel x channels] with rows = {@link #patches}(h); written
     */
    public final void patchify(Tensor x, int kernel, int stride, int padding, Tensor y) {
        Checks.type("patchify", "x", x, dtype, parameterDtype);
        checkPatches("patchify", x, kernel, stride, padding, y);
        patchifyUnchecked(x, kernel, stride, padding, y);
    }

    protected abstract void patchifyUnchecked(Tensor x, int kernel, int stride, int padding, Tensor y);

    /** dx = the sum of all windows of dy at each picture element, in window order; dx [b, h, w, channels] written. */
    public final void patchifyBackward(Tensor dy, int kernel, int stride, int padding, Tensor dx) {
        Checks.type("patchifyBackward", "dx", dx, dtype, dtype);
        checkPatches("patchifyBackward", dx, kernel, stride, padding, dy);
        patchifyBackwardUnchecked(dy, kernel, stride, padding, dx);
    }

    protected abstract void patchifyBackwardUnchecked(Tensor dy, int kernel, int stride, int padding, Tensor dx);

    /** Number of windows along an axis of the given size: (size + 2 padding - kernel) / stride + 1. */
    public static int patches(int size, int kernel, int stride, int padding) {
        return (size + 2 * padding - kernel) / stride + 1;
    }

    private void checkPatches(String op, Tensor x, int kernel, int stride, int padding, Tensor y) {
        Checks.rank(op, "x", x, x.dtype(), 4);
        Checks.that(
                kernel > 0
                        && stride > 0
                        && padding >= 0
                        && padding < kernel
                        && x.dim(1) + 2 * padding >= kernel
                        && x.dim(2) + 2 * padding >= kernel,
                op,
                "kernel " + kernel + ", stride " + stride + ", padding " + padding + " do not fit pictures " + x);
        int windows = patches(x.dim(1), kernel, stride, padding) * patches(x.dim(2), kernel, stride, padding);
        Checks.shape(op, "y", y, dtype, x.dim(0), windows, kernel * kernel * x.dim(3));
    }

    /**
     * y[b] = mean over t &lt; lengths[b] of x[b, t]; zeros when the length is 0.
     *
     * @param x [b, t, w]; read
     * @param lengths [b] I32 in [0, t], or null for all t; read
     * @param y [b, w]; written
     * @throws ShapeException also when a length is outside
     */
    public final void meanPool(Tensor x, Tensor lengths, Tensor y) {
        checkPool("meanPool", x, lengths, y);
        meanPoolUnchecked(x, lengths, y);
    }

    protected abstract void meanPoolUnchecked(Tensor x, Tensor lengths, Tensor y);

    /** dx[b, t] = dy[b] / lengths[b] for t &lt; lengths[b], else 0; dx [b, t, w] written. */
    public final void meanPoolBackward(Tensor dy, Tensor lengths, Tensor dx) {
        checkPool("meanPoolBackward", dx, lengths, dy);
        meanPoolBackwardUnchecked(dy, lengths, dx);
    }

    protected abstract void meanPoolBackwardUnchecked(Tensor dy, Tensor lengths, Tensor dx);

    /**
     * y[b] = x[b, lengths[b] - 1], the last valid token, or the first of all where lengths is null: the end-of-text
     * token, or class-token pooling.
     *
     * @param x [b, t, w]; read
     * @param lengths [b] I32 in [1, t], or null; read
     * @param y [b, w]; written
     * @throws ShapeException also when a length is outside
     */
    public final void selectToken(Tensor x, Tensor lengths, Tensor y) {
        checkPool("selectToken", x, lengths, y);
        Checks.that(x.dim(1) > 0, "selectToken", "x is " + x + ", wanted at least one token");
        selectTokenUnchecked(x, lengths, y);
    }

    protected abstract void selectTokenUnchecked(Tensor x, Tensor lengths, Tensor y);

    /** dx[b, lengths[b] - 1] = dy[b], 0 elsewhere; dx [b, t, w] written. */
    public final void selectTokenBackward(Tensor dy, Tensor lengths, Tensor dx) {
        checkPool("selectTokenBackward", dx, lengths, dy);
        Checks.that(dx.dim(1) > 0, "selectTokenBackward", "dx is " + dx + ", wanted at least one token");
        selectTokenBackwardUnchecked(dy, lengths, dx);
    }

    protected abstract void selectTokenBackwardUnchecked(Tensor dy, Tensor lengths, Tensor dx);

    private void checkPool(String op, Tensor x, Tensor lengths, Tensor y) {
        Checks.rank(op, "x", x, dtype, 3);
        Checks.shape(op, "y", y, dtype, x.dim(0), x.dim(2));
        if (lengths != null) {
            Checks.shape(op, "lengths", lengths, DType.I32, x.dim(0));
        }
    }
}
