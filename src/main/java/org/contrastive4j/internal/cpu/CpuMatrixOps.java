package org.contrastive4j.internal.cpu;

import org.contrastive4j.ops.MatrixOps;
import org.contrastive4j.ops.PointwiseOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Matrix products by OpenBLAS. The result is divided into fixed tiles that threads compute in any order.
 *
 * <p>Tested by {@code ElementaryOpsTest} and {@code BackendAgreementTest}.
 */
final class CpuMatrixOps extends MatrixOps {
    /** Multiply-adds below which one thread is faster than two. */
    private static final long SMALL = 1 << 19;

    private static final int TILES = 4;
    private static final int TILE_STEP = 16; // tile edges on multiples of OpenBLAS's register block

    CpuMatrixOps(PointwiseOps pointwise) {
        super(DType.F32, pointwise);
    }

    @Override
    protected void gemmUnchecked(
            boolean transA,
            boolean transB,
            int m,
            int n,
            int k,
            double alpha,
            Tensor a,
            Tensor b,
            double beta,
            Tensor c) {
        multiply(
                transA,
                transB,
                m,
                n,
                k,
                (float) alpha,
                Blas.address(a),
                Blas.address(b),
                (float) beta,
                Blas.address(c));
    }

    /** Splits the longer side of the result into tiles, one sgemm each. */
    private static void multiply(
            boolean transA, boolean transB, int m, int n, int k, float alpha, long a, long b, float beta, long c) {
        int lda = transA ? m : k;
        int ldb = transB ? k : n;
        if ((long) m * n * k < SMALL) {
            Blas.sgemm(transA, transB, m, n, k, alpha, a, Math.max(lda, 1), b, Math.max(ldb, 1), beta, c, n);
            return;
        }
        boolean byRows = m >= n;
        int length = byRows ? m : n;
        int tile = Math.max(TILE_STEP, (length + TILES * TILE_STEP - 1) / (TILES * TILE_STEP) * TILE_STEP);
        Workers.run((length + tile - 1) / tile, t -> {
            int from = t * tile;
            int part = Math.min(tile, length - from);
            if (byRows) {
                long rows = a + 4L * from * (transA ? 1 : k);
                Blas.sgemm(transA, transB, part, n, k, alpha, rows, lda, b, ldb, beta, c + 4L * from * n, n);
            } else {
                long columns = b + 4L * from * (transB ? k : 1);
                Blas.sgemm(transA, transB, m, part, k, alpha, a, lda, columns, ldb, beta, c + 4L * from, n);
            }
        });
    }

    @Override
    protected void batchedGemmUnchecked(
            boolean transA,
            boolean transB,
            int batch,
            int m,
            int n,
            int k,
            double alpha,
            Tensor a,
            Tensor b,
            double beta,
            Tensor c) {
        long from = Blas.address(a);
        long with = Blas.address(b);
        long to = Blas.address(c);
        Workers.run(
                batch,
                i -> Blas.sgemm(
                        transA,
                        transB,
                        m,
                        n,
                        k,
                        (float) alpha,
                        from + 4L * i * m * k,
                        Math.max(transA ? m : k, 1),
                        with + 4L * i * k * n,
                        Math.max(transB ? k : n, 1),
                        (float) beta,
                        to + 4L * i * m * n,
                        n));
    }

    @Override
    protected void linearUnchecked(int rows, int in, int out, Tensor x, Tensor w, @Nullable Tensor bias, Tensor y) {
        if (bias != null) {
            float[] row = Rows.all(bias);
            Rows.run(rows, out, (from, to) -> {
                float[] block = Scratch.floats(0, (to - from) * out);
                for (int r = 0; r < to - from; r++) {
                    System.arraycopy(row, 0, block, r * out, out);
                }
                Rows.store(y, (long) from * out, (to - from) * out, block);
            });
        }
        multiply(
                false,
                false,
                rows,
                out,
                in,
                1,
                Blas.address(x),
                Blas.address(w),
                bias == null ? 0 : 1,
                Blas.address(y));
    }

    @Override
    protected void biasGradientUnchecked(int rows, int width, Tensor dy, Tensor dBias) {
        float[][] total = Rows.sum(rows, width, 1, (from, to, sums) -> {
            float[] block = Rows.load(dy, (long) from * width, (to - from) * width, 0);
            float[] row = Scratch.floats(1, width);
            for (int r = 0; r < to - from; r++) {
                System.arraycopy(block, r * width, row, 0, width);
                Rows.add(row, sums[0], width);
            }
        });
        Rows.accumulate(dBias, total[0]);
    }
}
