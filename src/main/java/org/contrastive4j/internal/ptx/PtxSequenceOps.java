package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.internal.backend.Indices;
import org.contrastive4j.ops.SequenceOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Sequence operations with one warp for each row, or one thread for each column where rows are summed. Checking ids
 * and lengths that the host did not write synchronises with the device.
 *
 * <p>Tested by {@code BackendAgreementTest}.
 */
final class PtxSequenceOps extends SequenceOps {
    private static final int THREADS = 256;
    private static final int SCATTER_COLUMNS = 128; // of a block

    private final TensorLauncher launcher;

    PtxSequenceOps(TensorLauncher launcher, DType activations) {
        super(activations);
        this.launcher = launcher;
    }

    @Override
    protected void embeddingUnchecked(Tensor ids, Tensor table, Tensor y) {
        int width = table.dim(1);
        Indices.check("embedding", "ids", ids, table.dim(0));
        int count = Math.toIntExact(ids.size());
        launcher.rows(
                TensorLauncher.of("embedding_fwd", y),
                count,
                width,
                table,
                ids,
                y,
                count,
                width,
                launcher.aligned(width, table, y));
    }

    /** A thread block searches all ids for one row of the table, and sums 128 columns of it. */
    @Override
    protected void embeddingBackwardUnchecked(Tensor ids, Tensor dy, Tensor dTable) {
        int width = dTable.dim(1);
        Indices.check("embeddingBackward", "ids", ids, dTable.dim(0));
        int count = Math.toIntExact(ids.size());
        if (count > 0 && width > 0) {
            launcher.launch(
                    TensorLauncher.of("embedding_bwd", dy),
                    Launch.of(
                            new Launch.Dim(dTable.dim(0), TensorLauncher.blocks(width, SCATTER_COLUMNS), 1),
                            new Launch.Dim(THREADS, 1, 1)),
                    dy,
                    ids,
                    dTable,
                    count,
                    width);
        }
    }

    @Override
    protected void addPositionsUnchecked(Tensor x, Tensor positions, Tensor y) {
        int width = x.dim(2);
        rows(
                TensorLauncher.of("add_positions_fwd", x),
                x,
                x,
                positions,
                y,
                x.dim(1),
                x.shape().rows(),
                width,
                launcher.aligned(width, x, positions, y));
    }

    /** Launches a kernel on tensors [b, t, w], which have a row for each b and t. */
    private void rows(String name, Tensor of, @Nullable Object... arguments) {
        launcher.rows(name, of.shape().rows(), of.dim(2), arguments);
    }

    @Override
    protected void addPositionsBackwardUnchecked(Tensor dy, Tensor dPositions) {
        int sample = dy.dim(1) * dy.dim(2);
        launcher.sumRows(dy.dtype(), launcher.address(dy), dy.dim(0), sample, sample, launcher.address(dPositions));
    }

    @Override
    protected void prependTokenUnchecked(Tensor x, Tensor token, Tensor y) {
        int width = x.dim(2);
        rows(
                TensorLauncher.of("prepend_token_fwd", y),
                y,
                x,
                token,
                y,
                x.dim(1),
                y.shape().rows(),
                width,
                launcher.aligned(width, x, token, y));
    }

    @Override
    protected void prependTokenBackwardUnchecked(Tensor dy, @Nullable Tensor dx, @Nullable Tensor dToken) {
        int width = dy.dim(2);
        if (dx != null) {
            rows(
                    TensorLauncher.of("prepend_token_bwd", dx),
                    dx,
                    dy,
                    dx,
                    dx.dim(1),
                    dx.shape().rows(),
                    width,
                    launcher.aligned(width, dy, dx));
        }
        if (dToken != null) {
            launcher.sumRows(
                    dy.dtype(), launcher.address(dy), dy.dim(0), width, dy.dim(1) * width, launcher.address(dToken));
        }
    }

    @Override
    protected void patchifyUnchecked(Tensor x, int kernel, int stride, int padding, Tensor y) {
        int channels = x.dim(3);
        int pitch = x.dim(2) * channels;
        int run = kernel * channels;
        int size = Math.multiplyExact(y.dim(1), y.dim(2));
        boolean whole = pitch % 4 == 0 && stride * channels % 4 == 0 && padding * channels % 4 == 0;
        int aligned = whole ? launcher.aligned(run, x, y) : 0;
        int blocks = TensorLauncher.blocks(size, aligned == 1 ? 4 * THREADS : THREADS);
        if (y.size() > 0) {
            launcher.call(patchify(x, y))
                    .pointer("x", launcher.address(x))
                    .pointer("y", launcher.address(y))
                    .int32("blocks", blocks)
                    .int32("size", size)
                    .int32("run", run)
                    .int32("height", x.dim(1))
                    .int32("pitch", pitch)
                    .int32("windowColumns", patches(x.dim(2), kernel, stride, padding))
                    .int32("kernel", kernel)
                    .int32("stride", stride)
                    .int32("padding", padding)
                    .int32("step", stride * channels)
                    .int32("margin", padding * channels)
                    .int32("aligned", aligned)
                    .launch(launcher.stream, Launch.of(Math.multiplyExact(x.dim(0), blocks), THREADS));
        }
    }

    /** Returns the kernel name; pictures may be f32 while patches are 16-bit. */
    private static String patchify(Tensor x, Tensor y) {
        String name = TensorLauncher.of("patchify_fwd", y);
        return x.dtype() == y.dtype() ? name : TensorLauncher.of(name, x);
    }

    @Override
    protected void patchifyBackwardUnchecked(Tensor dy, int kernel, int stride, int padding, Tensor dx) {
        int channels = dx.dim(3);
        int width = dx.dim(2) * channels;
        int rows = Math.multiplyExact(dx.dim(0), dx.dim(1));
        if (rows > 0 && width > 0) {
            launcher.call(TensorLauncher.of("patchify_bwd", dx))
                    .pointer("dy", launcher.address(dy))
                    .pointer("dx", launcher.address(dx))
                    .int32("height", dx.dim(1))
                    .int32("windowRows", patches(dx.dim(1), kernel, stride, padding))
                    .int32("windowColumns", patches(dx.dim(2), kernel, stride, padding))
                    .int32("kernel", kernel)
                    .int32("stride", stride)
                    .int32("padding", padding)
                    .int32("channels", channels)
                    .int32("n", rows)
                    .int32("d", width)
                    .int32("aligned", 0)
                    .launch(launcher.stream, TensorLauncher.ofRows(rows));
        }
    }

    private static void check(String op, @Nullable Tensor lengths, int least, int tokens) {
        if (lengths != null) {
            Indices.check(op, "lengths", lengths, least, tokens + 1);
        }
    }

    @Override
    protected void meanPoolUnchecked(Tensor x, @Nullable Tensor lengths, Tensor y) {
        check("meanPool", lengths, 0, x.dim(1));
        int width = x.dim(2);
        int aligned = launcher.aligned(width, x, y);
        launcher.columns(
                TensorLauncher.of("mean_pool_fwd", x),
                x.dim(0),
                width,
                aligned,
                x,
                lengths,
                y,
                x.dim(1),
                width,
                aligned);
    }

    /** Launches the kernel of a gradient that gives every token its share of dy. */
    private void poolBackward(String kernel, Tensor dy, @Nullable Tensor lengths, Tensor dx) {
        int width = dx.dim(2);
        int aligned = launcher.aligned(width, dy, dx);
        String name = TensorLauncher.of(kernel, dx);
        rows(name, dx, dy, lengths, dx, dx.dim(1), dx.shape().rows(), width, aligned);
    }

    @Override
    protected void meanPoolBackwardUnchecked(Tensor dy, @Nullable Tensor lengths, Tensor dx) {
        check("meanPoolBackward", lengths, 0, dx.dim(1));
        poolBackward("mean_pool_bwd", dy, lengths, dx);
    }

    @Override
    protected void selectTokenUnchecked(Tensor x, @Nullable Tensor lengths, Tensor y) {
        check("selectToken", lengths, 1, x.dim(1));
        int width = x.dim(2);
        launcher.rows(
                TensorLauncher.of("select_token_fwd", x),
                x.dim(0),
                width,
                x,
                lengths,
                y,
                x.dim(1),
                x.dim(0),
                width,
                launcher.aligned(width, x, y));
    }

    @Override
    protected void selectTokenBackwardUnchecked(Tensor dy, @Nullable Tensor lengths, Tensor dx) {
        check("selectTokenBackward", lengths, 1, dx.dim(1));
        poolBackward("select_token_bwd", dy, lengths, dx);
    }
}
