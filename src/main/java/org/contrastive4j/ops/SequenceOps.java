package org.contrastive4j.ops;

import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Operations that make token sequences from pictures and ids, and single vectors from sequences. Embedding tables,
 * positions, class tokens and their gradients have the type of parameters, pictures either type, and everything else
 * the type of activations.
 *
 * <p>The public methods check their arguments; a backend implements the unchecked counterparts. Sums over samples or
 * tokens are computed in the type of parameters and in a fixed order. In the costs, e is the number of bytes of an
 * element. Ids and lengths are checked on the host: a synchronisation where a kernel wrote them.
 */
public abstract class SequenceOps {
    private final DType dtype;
    private final DType parameterDtype;

    /**
     * Creates the family.
     *
     * @param dtype type of activations
     */
    protected SequenceOps(DType dtype) {
        this.dtype = dtype;
        parameterDtype = Ops.parameterDtype(dtype);
    }

    /**
     * Computes y[i] = table[ids[i]].
     *
     * <p>Cost: ids width e bytes read and as many written.
     *
     * @param ids any shape, I32, in [0, rows of table); read
     * @param table [vocabulary, width]; read
     * @param y [ids..., width]; written
     * @throws ShapeException if types or sizes do not fit, or an id is out of range
     */
    public final void embedding(Tensor ids, Tensor table, Tensor y) {
        checkEmbedding("embedding", ids, table, y);
        embeddingUnchecked(ids, table, y);
    }

    /**
     * Computes {@link #embedding} on arguments that were checked.
     *
     * @param ids any shape, I32, in [0, rows of table); read
     * @param table [vocabulary, width]; read
     * @param y [ids..., width]; written
     */
    protected abstract void embeddingUnchecked(Tensor ids, Tensor table, Tensor y);

    /**
     * Computes dTable[ids[i]] += dy[i], in the order of i.
     *
     * <p>Cost: ids width additions; ids width elements of dy read, and the rows of dTable that have an id read and
     * written.
     *
     * @param ids as in the forward pass; read
     * @param dy [ids..., width]; read
     * @param dTable [vocabulary, width]; accumulated
     * @throws ShapeException if types or sizes do not fit, or an id is out of range
     */
    public final void embeddingBackward(Tensor ids, Tensor dy, Tensor dTable) {
        checkEmbedding("embeddingBackward", ids, dTable, dy);
        embeddingBackwardUnchecked(ids, dy, dTable);
    }

    /**
     * Computes {@link #embeddingBackward} on arguments that were checked.
     *
     * @param ids as in the forward pass; read
     * @param dy [ids..., width]; read
     * @param dTable [vocabulary, width]; accumulated
     */
    protected abstract void embeddingBackwardUnchecked(Tensor ids, Tensor dy, Tensor dTable);

    private void checkEmbedding(String op, Tensor ids, Tensor table, Tensor y) {
        Checks.require(op, "ids", ids);
        Checks.that(ids.dtype() == DType.I32, op, "ids are " + ids + ", expected i32");
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
     * Computes y[b, t] = x[b, t] + positions[t].
     *
     * <p>Cost: b t w flops; 2 b t w e bytes, and t w elements of positions.
     *
     * @param x [b, t, w]; read
     * @param positions [at least t, w]; read
     * @param y like x; written, may be x
     * @throws ShapeException if types or sizes do not fit
     */
    public final void addPositions(Tensor x, Tensor positions, Tensor y) {
        checkPositions("addPositions", x, positions);
        Checks.like("addPositions", "y", y, x);
        addPositionsUnchecked(x, positions, y);
    }

    /**
     * Computes {@link #addPositions} on arguments that were checked.
     *
     * @param x [b, t, w]; read
     * @param positions [at least t, w]; read
     * @param y like x; written, may be x
     */
    protected abstract void addPositionsUnchecked(Tensor x, Tensor positions, Tensor y);

    /**
     * Computes dPositions[t] += sum over b of dy[b, t], in the order of b.
     *
     * <p>Cost: b t w flops; b t w e bytes read, and t w elements of dPositions read and written.
     *
     * @param dy [b, t, w]; read
     * @param dPositions [at least t, w]; accumulated
     * @throws ShapeException if types or sizes do not fit
     */
    public final void addPositionsBackward(Tensor dy, Tensor dPositions) {
        checkPositions("addPositionsBackward", dy, dPositions);
        addPositionsBackwardUnchecked(dy, dPositions);
    }

    /**
     * Computes {@link #addPositionsBackward} on arguments that were checked.
     *
     * @param dy [b, t, w]; read
     * @param dPositions [at least t, w]; accumulated
     */
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
     * Prepends a class token: y[b, 0] = token and y[b, t + 1] = x[b, t].
     *
     * <p>Cost: 2 b (t + 1) w e bytes.
     *
     * @param x [b, t, w]; read
     * @param token [w]; read
     * @param y [b, t + 1, w]; written
     * @throws ShapeException if types or sizes do not fit
     */
    public final void prependToken(Tensor x, Tensor token, Tensor y) {
        Checks.rank("prependToken", "x", x, dtype, 3);
        Checks.shape("prependToken", "token", token, parameterDtype, x.dim(2));
        Checks.shape("prependToken", "y", y, dtype, x.dim(0), x.dim(1) + 1, x.dim(2));
        prependTokenUnchecked(x, token, y);
    }

    /**
     * Computes {@link #prependToken} on arguments that were checked.
     *
     * @param x [b, t, w]; read
     * @param token [w]; read
     * @param y [b, t + 1, w]; written
     */
    protected abstract void prependTokenUnchecked(Tensor x, Tensor token, Tensor y);

    /**
     * Computes dx[b, t] = dy[b, t + 1] and dToken += sum over b of dy[b, 0], in the order of b.
     *
     * <p>Cost: b w additions; 2 b (t + 1) w e bytes.
     *
     * @param dy [b, t + 1, w]; read
     * @param dx [b, t, w], written; null skips it
     * @param dToken [w], accumulated; null skips it
     * @throws ShapeException if types or sizes do not fit, or dy has no token
     */
    public final void prependTokenBackward(Tensor dy, @Nullable Tensor dx, @Nullable Tensor dToken) {
        Checks.rank("prependTokenBackward", "dy", dy, dtype, 3);
        Checks.that(dy.dim(1) > 0, "prependTokenBackward", "dy is " + dy + ", expected at least the class token");
        if (dx != null) {
            Checks.shape("prependTokenBackward", "dx", dx, dtype, dy.dim(0), dy.dim(1) - 1, dy.dim(2));
        }
        if (dToken != null) {
            Checks.shape("prependTokenBackward", "dToken", dToken, parameterDtype, dy.dim(2));
        }
        prependTokenBackwardUnchecked(dy, dx, dToken);
    }

    /**
     * Computes {@link #prependTokenBackward} on arguments that were checked.
     *
     * @param dy [b, t + 1, w]; read
     * @param dx [b, t, w], written; null skips it
     * @param dToken [w], accumulated; null skips it
     */
    protected abstract void prependTokenBackwardUnchecked(Tensor dy, @Nullable Tensor dx, @Nullable Tensor dToken);

    /**
     * Extracts windows: y[b, (r, c)] is the kernel x kernel x channels window of x[b] that begins at row r stride -
     * padding and column c stride - padding, with zeros outside the picture. With kernel = stride and padding = 0 the
     * windows are the patches of a vision transformer; with kernel &gt; stride they overlap.
     *
     * <p>Cost: 2 b rows columns kernel kernel channels e bytes; x is read once for each window that covers an
     * element.
     *
     * <p>Source: Dosovitskiy et al., An image is worth 16x16 words, ICLR 2021, section 3.1, as rows for a matrix
     * product (im2col).
     *
     * @param x [b, h, w, channels] of the type of activations or of parameters; read
     * @param kernel height and width of a window
     * @param stride distance of windows
     * @param padding rows and columns of zeros around the picture, less than kernel
     * @param y [b, rows x columns, kernel x kernel x channels] with rows = {@link #patches}(h); written
     * @throws ShapeException if types or sizes do not fit, or no window fits in the picture
     */
    public final void patchify(Tensor x, int kernel, int stride, int padding, Tensor y) {
        Checks.type("patchify", "x", x, dtype, parameterDtype);
        checkPatches("patchify", x, kernel, stride, padding, y);
        patchifyUnchecked(x, kernel, stride, padding, y);
    }

    /**
     * Computes {@link #patchify} on arguments that were checked.
     *
     * @param x [b, h, w, channels] of the type of activations or of parameters; read
     * @param kernel height and width of a window
     * @param stride distance of windows
     * @param padding rows and columns of zeros around the picture, less than kernel
     * @param y [b, rows x columns, kernel x kernel x channels] with rows = {@link #patches}(h); written
     */
    protected abstract void patchifyUnchecked(Tensor x, int kernel, int stride, int padding, Tensor y);

    /**
     * Computes dx as the sum of all windows of dy at each picture element, in window order.
     *
     * <p>Cost: b rows columns kernel kernel channels additions; 2 b rows columns kernel kernel channels e bytes at
     * most.
     *
     * @param dy as y of the forward pass; read
     * @param kernel as in the forward pass
     * @param stride as in the forward pass
     * @param padding as in the forward pass
     * @param dx [b, h, w, channels]; written
     * @throws ShapeException if types or sizes do not fit, or no window fits in the picture
     */
    public final void patchifyBackward(Tensor dy, int kernel, int stride, int padding, Tensor dx) {
        Checks.type("patchifyBackward", "dx", dx, dtype, dtype);
        checkPatches("patchifyBackward", dx, kernel, stride, padding, dy);
        patchifyBackwardUnchecked(dy, kernel, stride, padding, dx);
    }

    /**
     * Computes {@link #patchifyBackward} on arguments that were checked.
     *
     * @param dy as y of the forward pass; read
     * @param kernel as in the forward pass
     * @param stride as in the forward pass
     * @param padding as in the forward pass
     * @param dx [b, h, w, channels]; written
     */
    protected abstract void patchifyBackwardUnchecked(Tensor dy, int kernel, int stride, int padding, Tensor dx);

    /**
     * Returns the number of windows along an axis: (size + 2 padding - kernel) / stride + 1.
     *
     * @param size of the axis
     * @param kernel size of a window
     * @param stride distance of windows
     * @param padding zeros on either side
     * @return the number of windows
     */
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
     * Computes y[b] = mean over t &lt; lengths[b] of x[b, t]; zeros if the length is 0.
     *
     * <p>Cost: b t w flops; b (t + 1) w e bytes.
     *
     * @param x [b, t, w]; read
     * @param lengths [b] I32 in [0, t], or null for all t; read
     * @param y [b, w]; written
     * @throws ShapeException if types or sizes do not fit, or a length is out of range
     */
    public final void meanPool(Tensor x, @Nullable Tensor lengths, Tensor y) {
        checkPool("meanPool", x, lengths, y);
        meanPoolUnchecked(x, lengths, y);
    }

    /**
     * Computes {@link #meanPool} on arguments that were checked.
     *
     * @param x [b, t, w]; read
     * @param lengths [b] I32 in [0, t], or null for all t; read
     * @param y [b, w]; written
     */
    protected abstract void meanPoolUnchecked(Tensor x, @Nullable Tensor lengths, Tensor y);

    /**
     * Computes dx[b, t] = dy[b] / lengths[b] for t &lt; lengths[b], else 0.
     *
     * <p>Cost: b w divisions; b (t + 1) w e bytes.
     *
     * @param dy [b, w]; read
     * @param lengths as in the forward pass; read
     * @param dx [b, t, w]; written
     * @throws ShapeException if types or sizes do not fit, or a length is out of range
     */
    public final void meanPoolBackward(Tensor dy, @Nullable Tensor lengths, Tensor dx) {
        checkPool("meanPoolBackward", dx, lengths, dy);
        meanPoolBackwardUnchecked(dy, lengths, dx);
    }

    /**
     * Computes {@link #meanPoolBackward} on arguments that were checked.
     *
     * @param dy [b, w]; read
     * @param lengths as in the forward pass; read
     * @param dx [b, t, w]; written
     */
    protected abstract void meanPoolBackwardUnchecked(Tensor dy, @Nullable Tensor lengths, Tensor dx);

    /**
     * Selects one token: y[b] = x[b, lengths[b] - 1], the last valid one, or x[b, 0] if lengths is null. This is
     * pooling by the end-of-text token or by the class token.
     *
     * <p>Cost: 2 b w e bytes.
     *
     * @param x [b, t, w]; read
     * @param lengths [b] I32 in [1, t], or null; read
     * @param y [b, w]; written
     * @throws ShapeException if types or sizes do not fit, or a length is out of range
     */
    public final void selectToken(Tensor x, @Nullable Tensor lengths, Tensor y) {
        checkPool("selectToken", x, lengths, y);
        Checks.that(x.dim(1) > 0, "selectToken", "x is " + x + ", expected at least one token");
        selectTokenUnchecked(x, lengths, y);
    }

    /**
     * Computes {@link #selectToken} on arguments that were checked.
     *
     * @param x [b, t, w]; read
     * @param lengths [b] I32 in [1, t], or null; read
     * @param y [b, w]; written
     */
    protected abstract void selectTokenUnchecked(Tensor x, @Nullable Tensor lengths, Tensor y);

    /**
     * Computes the gradient of {@link #selectToken}: dy[b] at the selected token, 0 elsewhere.
     *
     * <p>Cost: b (t + 1) w e bytes.
     *
     * @param dy [b, w]; read
     * @param lengths as in the forward pass; read
     * @param dx [b, t, w]; written
     * @throws ShapeException if types or sizes do not fit, or a length is out of range
     */
    public final void selectTokenBackward(Tensor dy, @Nullable Tensor lengths, Tensor dx) {
        checkPool("selectTokenBackward", dx, lengths, dy);
        Checks.that(dx.dim(1) > 0, "selectTokenBackward", "dx is " + dx + ", expected at least one token");
        selectTokenBackwardUnchecked(dy, lengths, dx);
    }

    /**
     * Computes {@link #selectTokenBackward} on arguments that were checked.
     *
     * @param dy [b, w]; read
     * @param lengths as in the forward pass; read
     * @param dx [b, t, w]; written
     */
    protected abstract void selectTokenBackwardUnchecked(Tensor dy, @Nullable Tensor lengths, Tensor dx);

    private void checkPool(String op, Tensor x, @Nullable Tensor lengths, Tensor y) {
        Checks.rank(op, "x", x, dtype, 3);
        Checks.shape(op, "y", y, dtype, x.dim(0), x.dim(2));
        if (lengths != null) {
            Checks.shape(op, "lengths", lengths, DType.I32, x.dim(0));
        }
    }
}
