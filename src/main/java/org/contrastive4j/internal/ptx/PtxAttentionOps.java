package org.contrastive4j.internal.ptx;

import org.contrastive4j.device.PtxDevice;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.internal.backend.Indices;
import org.contrastive4j.ops.AttentionOps;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape.ShapeException;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Softmax attention on a device by the kernels {@code attention_*}, without a matrix of scores in memory and without
 * a workspace. 16-bit activations, and weights rounded to 16 bits, are multiplied on tensor cores; everything else is
 * f32.
 *
 * <p>Checking lengths synchronises with the device, unless the host wrote them itself. A caller that has checked them
 * turns this off; kernels then clamp a length that is out of range.
 */
public final class PtxAttentionOps extends AttentionOps {
    private static final int TILE = 64;
    private static final int THREADS = 64;
    private static final int THREADS_16 = 128;
    private static final double LOG2_E = 1 / Math.log(2);

    private final PtxDevice device;
    private final Kernels kernels;
    private final boolean checksLengths;

    /** Creates operations that check lengths. */
    public PtxAttentionOps(PtxDevice device) {
        this(device, true);
    }

    /** @param checksLengths false trusts lengths and never synchronises */
    public PtxAttentionOps(PtxDevice device, boolean checksLengths) {
        this(device, new Kernels(device), DType.F32, checksLengths);
    }

    PtxAttentionOps(PtxDevice device, Kernels kernels, DType activations, boolean checksLengths) {
        super(activations);
        this.device = device;
        this.kernels = kernels;
        this.checksLengths = checksLengths;
    }

    private void checkLengths(String op, @Nullable Tensor lengths, int tokens) {
        if (checksLengths && lengths != null) {
            Indices.check(op, "lengths", lengths, tokens + 1);
        }
    }

    private long lengthsOrNone(String op, @Nullable Tensor lengths) {
        return lengths == null ? 0 : DeviceTensors.address(op, "lengths", device, lengths);
    }

    /** Returns a launch of one thread block for each head of each sample, 64 tokens and 64 columns of the head. */
    private static Launch launch(Tensor qkv, int heads, int size) {
        int batch = qkv.dim(0);
        int tokens = qkv.dim(1);
        long blocks = (long) batch * heads * ((tokens + TILE - 1) / TILE) * ((size + TILE - 1) / TILE);
        if (blocks > Integer.MAX_VALUE) {
            throw new ShapeException("attention: " + batch + " samples of " + tokens + " tokens with " + heads
                    + " heads are " + blocks
                    + " tiles, expected at most 2^31 - 1; use smaller chunks");
        }
        return Launch.of((int) blocks, qkv.dtype() == DType.F32 ? THREADS : THREADS_16);
    }

    /** Returns 1 if heads begin at multiples of 16 bytes, else 0. */
    private static int aligned(int size, Tensor like, long... addresses) {
        boolean aligned = size * like.dtype().bytes() % 16 == 0;
        for (long address : addresses) {
            aligned &= address % 16 == 0;
        }
        return aligned ? 1 : 0;
    }

    @Override
    protected void attentionUnchecked(
            int batch,
            int tokens,
            int width,
            Tensor qkv,
            int heads,
            boolean causal,
            @Nullable Tensor lengths,
            Tensor out,
            Tensor logSumExp) {
        checkLengths("attention", lengths, tokens);
        int size = width / heads;
        long from = DeviceTensors.address("attention", "qkv", device, qkv);
        long to = DeviceTensors.written("attention", "out", device, out, qkv, lengths);
        long lse = DeviceTensors.written("attention", "logSumExp", device, logSumExp, qkv, lengths, out);
        KernelCall.of(kernels.get(TensorLauncher.of("attention_fwd", qkv)))
                .pointer("qkv", from)
                .pointer("lengths", lengthsOrNone("attention", lengths))
                .pointer("out", to)
                .pointer("lse", lse)
                .int32("t", tokens)
                .int32("w", width)
                .int32("heads", heads)
                .int32("d", size)
                .flag("causal", causal)
                .int32("aligned", aligned(size, qkv, from, to))
                .float32("scale", (float) (LOG2_E / Math.sqrt(size)))
                .launch(device.stream(), launch(qkv, heads, size));
    }

    @Override
    protected void attentionBackwardUnchecked(
            int batch,
            int tokens,
            int width,
            Tensor qkv,
            int heads,
            boolean causal,
            @Nullable Tensor lengths,
            Tensor out,
            Tensor logSumExp,
            Tensor dOut,
            Tensor dQkv) {
        String op = "attentionBackward";
        checkLengths(op, lengths, tokens);
        int size = width / heads;
        long from = DeviceTensors.address(op, "qkv", device, qkv);
        long result = DeviceTensors.address(op, "out", device, out);
        long lse = DeviceTensors.address(op, "logSumExp", device, logSumExp);
        long dResult = DeviceTensors.address(op, "dOut", device, dOut);
        long to = DeviceTensors.written(op, "dQkv", device, dQkv, qkv, lengths, out, logSumExp, dOut);
        for (String gradient : new String[] {"dq", "dk", "dv"}) {
            KernelCall.of(kernels.get(TensorLauncher.of("attention_bwd", qkv) + "_" + gradient))
                    .pointer("qkv", from)
                    .pointer("lengths", lengthsOrNone(op, lengths))
                    .pointer("out", result)
                    .pointer("lse", lse)
                    .pointer("dout", dResult)
                    .pointer("dqkv", to)
                    .int32("t", tokens)
                    .int32("w", width)
                    .int32("heads", heads)
                    .int32("d", size)
                    .flag("causal", causal)
                    .int32("aligned", aligned(size, qkv, from, result, dResult, to))
                    .float32("scale", (float) (LOG2_E / Math.sqrt(size)))
                    .float32("slope", (float) (1 / Math.sqrt(size)))
                    .launch(device.stream(), launch(qkv, heads, size));
        }
    }
}
