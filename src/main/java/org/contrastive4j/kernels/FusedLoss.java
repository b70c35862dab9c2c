package org.contrastive4j.kernels;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.contrastive4j.device.DeviceException.LaunchException;
import org.contrastive4j.device.DeviceStream;
import org.contrastive4j.ops.PairwiseOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.jspecify.annotations.Nullable;

/**
 * A contrastive loss of raw representations on device addresses: one call goes from the rows u and v of any encoder
 * through normalisation, logits and loss to the gradients with respect to these rows.
 *
 * <p>A call allocates nothing, never synchronises and enqueues all its work on the caller's stream, so a CUDA graph can
 * capture it. Memory comes from the caller:
 *
 * <pre>{@code
 * FusedLoss loss = Backend.fusedInfoNce(device, Precision.BF16);   // once; loads the kernels
 * long bytes = loss.workspaceBytes(n, m, d);
 * loss.valueAndGradient(
 *         stream,
 *         new FusedLoss.Inputs(FusedLoss.Rows.f32(u, n, d), FusedLoss.Rows.f32(v, m, d), 0, logScale, 0),
 *         new FusedLoss.Gradients(FusedLoss.Rows.f32(du, n, d), FusedLoss.Rows.f32(dv, m, d), dLogScale, 0, 1),
 *         result, workspace, bytes);
 * }</pre>
 *
 * <p>Cost: 8 n m d flops; the rows are read once and their gradients are written once, and the workspace holds 8 (n +
 * m) d bytes and a stripe of the gradient of the logits. The same inputs give the same bits in every run.
 *
 * <p>Numerics: normalisation and its gradient are f32, from rows converted exactly; 16-bit gradients are rounded once,
 * to nearest. A row of norm 0 gives unit row 0 and gradient 0.
 *
 * <p>Tested by {@code FusedLossTest}.
 */
public interface FusedLoss {
    /** Size of a result: loss, row accuracy, column accuracy, mean positive logit, each f64. */
    int RESULT_BYTES = 4 * Double.BYTES;

    /**
     * Rows in device memory, or the place of their gradients.
     *
     * @param address of the first element, aligned to its type; 16-byte aligned is faster
     * @param count number of rows, at least 1
     * @param width elements of a row, at least 1
     * @param stride elements from the start of one row to the start of the next, at least {@code width}; elements
     *     beyond the width are neither read nor written
     * @param type F32, BF16 or F16
     */
    record Rows(long address, int count, int width, int stride, DType type) {
        /**
         * Describes contiguous f32 rows.
         *
         * @param address of the first element
         * @param count number of rows
         * @param width elements of a row
         * @return the rows
         */
        public static Rows f32(long address, int count, int width) {
            return new Rows(address, count, width, width, DType.F32);
        }
    }

    /**
     * What a call reads.
     *
     * @param u raw representations, n rows of width d
     * @param v raw representations, m rows of width d
     * @param targets i32 [n], the row of v in [0, m) that row i of u belongs to, not checked; or 0: row i belongs to
     *     row i, then m &gt;= n
     * @param logScale f32 [1], the logarithm of the logit scale
     * @param bias f32 [1], added to each logit; or 0
     */
    record Inputs(Rows u, Rows v, long targets, long logScale, long bias) {}

    /**
     * Where the gradients go; null or 0 skips one.
     *
     * @param u of u, n rows of width d of any type and stride; written, may be the rows u themselves
     * @param v of v, m rows of width d; written, may be the rows v themselves
     * @param logScale f32 [1]; accumulated
     * @param bias f32 [1]; accumulated
     * @param scale factor of all gradients, finite
     */
    record Gradients(@Nullable Rows u, @Nullable Rows v, long logScale, long bias, double scale) {}

    /**
     * Reads a result that was copied to the host.
     *
     * @param bytes at least {@link #RESULT_BYTES} from its position on, in the byte order of the machine; not moved
     * @return the numbers by name
     */
    static PairwiseOps.Result result(ByteBuffer bytes) {
        ByteBuffer values = bytes.duplicate().order(ByteOrder.nativeOrder());
        int at = bytes.position();
        return new PairwiseOps.Result(
                values.getDouble(at), values.getDouble(at + 8), values.getDouble(at + 16), values.getDouble(at + 24));
    }

    /**
     * Returns the bytes of workspace that a call needs: O((n + m) d) and a stripe of what depends on pairs.
     *
     * @param n rows of u, at least 1
     * @param m rows of v, at least 1
     * @param d width of both, at least 1
     * @return the least size of the workspace
     * @throws ShapeException if a size is out of range
     */
    long workspaceBytes(int n, int m, int d);

    /**
     * Launches value and gradients on a stream.
     *
     * @param stream where all kernels are launched
     * @param inputs what the call reads
     * @param gradients where the gradients go; null computes the value alone
     * @param result f64 [4], written; {@link #result} names the numbers; 8-byte aligned
     * @param workspace 256-byte aligned; its contents are undefined on return
     * @param workspaceBytes size of the workspace, at least {@link #workspaceBytes}
     * @throws ShapeException if sizes are out of range or do not fit together, an element type is not supported, or the
     *     gradient scale is not finite; nothing was launched
     * @throws LaunchException if an address is 0, misaligned or overlaps another, or the workspace is too small;
     *     nothing was launched
     */
    void valueAndGradient(
            DeviceStream stream,
            Inputs inputs,
            @Nullable Gradients gradients,
            long result,
            long workspace,
            long workspaceBytes);
}
