package org.contrastive4j.bench;

import static org.bytedeco.pytorch.global.torch.cat;
import static org.bytedeco.pytorch.global.torch.cross_entropy;
import static org.bytedeco.pytorch.global.torch.embedding;
import static org.bytedeco.pytorch.global.torch.from_blob;
import static org.bytedeco.pytorch.global.torch.layer_norm;
import static org.bytedeco.pytorch.global.torch.linear;
import static org.bytedeco.pytorch.global.torch.scaled_dot_product_attention;
import static org.bytedeco.pytorch.global.torch.set_num_threads;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.contrastive4j.internal.safetensors.SafetensorsFile;
import org.contrastive4j.internal.safetensors.SafetensorsFile.Entry;

/**
 * A CLIP checkpoint of {@link RandomCheckpoint} in PyTorch (through JavaCPP), with the names of Hugging Face
 * transformers, fused attention, and low-rank adapters on queries and values.
 */
final class TorchClip implements AutoCloseable {
    private static final int HEAD = 64;
    private static final double EPSILON = 1e-5;

    private final PointerScope scope = new PointerScope();
    private final RandomCheckpoint.Sizes sizes;
    private final Map<String, Tensor> weights = new LinkedHashMap<>();
    private final Map<String, Tensor> adapters = new LinkedHashMap<>();
    private double adapterScale;

    TorchClip(Path folder, RandomCheckpoint.Sizes sizes, int threads) {
        set_num_threads(threads);
        this.sizes = sizes;
        try (SafetensorsFile file = SafetensorsFile.open(folder.resolve("model.safetensors"))) {
            file.entries().forEach((name, entry) -> weights.put(name, read(file, entry)));
        }
    }

    private static Tensor read(SafetensorsFile file, Entry entry) {
        ByteBuffer bytes =
                ByteBuffer.allocate((int) (entry.end() - entry.begin())).order(ByteOrder.LITTLE_ENDIAN);
        file.read(entry, 0, bytes);
        float[] values = new float[(int) entry.size()];
        bytes.flip().asFloatBuffer().get(values);
        long[] shape = new long[entry.shape().length];
        for (int k = 0; k < shape.length; k++) {
            shape[k] = entry.shape()[k];
        }
        return tensor(values, shape);
    }

    static Tensor tensor(float[] values, long... shape) {
        return from_blob(new FloatPointer(values), shape, new TensorOptions(ScalarType.Float))
                .clone();
    }

    static Tensor tensor(long[] values, long... shape) {
        return from_blob(new LongPointer(values), shape, new TensorOptions(ScalarType.Long))
                .clone();
    }

    /** Adds an adapter: A [rank, in] and B [out, rank] of a module. */
    void adapt(String module, float[] a, float[] b, int rank, double scale) {
        adapterScale = scale;
        adapters.put(module + ".a", tensor(a, rank, a.length / rank).set_requires_grad(true));
        adapters.put(module + ".b", tensor(b, b.length / rank, rank).set_requires_grad(true));
    }

    private Tensor weight(String name) {
        return Objects.requireNonNull(weights.get(name), name);
    }

    private Tensor dense(String module, Tensor x) {
        Tensor y = linear(x, weight(module + ".weight"), new TensorOptional(weight(module + ".bias")));
        Tensor a = adapters.get(module + ".a");
        return a == null
                ? y
                : y.add(linear(linear(x, a), adapters.get(module + ".b")).mul(new Scalar(adapterScale)));
    }

    private Tensor norm(String module, Tensor x) {
        return layer_norm(
                x,
                new long[] {x.size(-1)},
                new TensorOptional(weight(module + ".weight")),
                new TensorOptional(weight(module + ".bias")),
                EPSILON,
                false);
    }

    private static Tensor heads(Tensor x) {
        return x.reshape(x.size(0), x.size(1), x.size(2) / HEAD, HEAD).transpose(1, 2);
    }

    private Tensor block(String block, Tensor x, boolean causal) {
        Tensor h = norm(block + ".layer_norm1", x);
        String attention = block + ".self_attn.";
        Tensor mixed = scaled_dot_product_attention(
                heads(dense(attention + "q_proj", h)),
                heads(dense(attention + "k_proj", h)),
                heads(dense(attention + "v_proj", h)),
                new TensorOptional(),
                0,
                causal,
                new DoubleOptional(),
                false);
        Tensor joined = mixed.transpose(1, 2).reshape(x.size(0), x.size(1), x.size(2));
        Tensor y = x.add(dense(attention + "out_proj", joined));
        Tensor up = dense(block + ".mlp.fc1", norm(block + ".layer_norm2", y));
        Tensor active = up.mul(up.mul(new Scalar(1.702)).sigmoid());
        return y.add(dense(block + ".mlp.fc2", active));
    }

    /** @param pixels [n, 3, s, s] */
    private Tensor pictures(Tensor pixels) {
        long n = pixels.size(0);
        long grid = sizes.image() / sizes.patch();
        long patch = sizes.patch();
        Tensor patches = pixels.reshape(n, 3, grid, patch, grid, patch)
                .permute(0, 2, 4, 1, 3, 5)
                .reshape(n, grid * grid, 3 * patch * patch);
        String from = "vision_model.embeddings.";
        Tensor kernel = weight(from + "patch_embedding.weight").reshape(sizes.width(), 3 * patch * patch);
        Tensor token =
                weight(from + "class_embedding").reshape(1, 1, sizes.width()).expand(n, 1, sizes.width());
        Tensor x = cat(new TensorVector(token, linear(patches, kernel)), 1)
                .add(weight(from + "position_embedding.weight"));
        x = norm("vision_model.pre_layrnorm", x);
        for (int k = 0; k < sizes.layers(); k++) {
            x = block("vision_model.encoder.layers." + k, x, false);
        }
        return linear(norm("vision_model.post_layernorm", x.select(1, 0)), weight("visual_projection.weight"));
    }

    /** @param ids [n, t], all of the whole length; the last is the end of the text */
    private Tensor texts(Tensor ids) {
        long tokens = ids.size(1);
        String from = "text_model.embeddings.";
        Tensor x = embedding(weight(from + "token_embedding.weight"), ids)
                .add(weight(from + "position_embedding.weight").narrow(0, 0, tokens));
        for (int k = 0; k < sizes.textLayers(); k++) {
            x = block("text_model.encoder.layers." + k, x, true);
        }
        return linear(norm("text_model.final_layer_norm", x.select(1, tokens - 1)), weight("text_projection.weight"));
    }

    /** Computes representations of pictures, not normalised. */
    float[] embed(Tensor pixels) {
        try (PointerScope step = new PointerScope();
                NoGradGuard guard = new NoGradGuard()) {
            return values(pictures(pixels));
        }
    }

    /** Computes InfoNCE of a batch; gradients of the adapters accumulate. */
    double step(Tensor pixels, Tensor ids) {
        try (PointerScope step = new PointerScope()) {
            Tensor logits = TorchInfoNce.normalised(pictures(pixels))
                    .matmul(TorchInfoNce.normalised(texts(ids)).t())
                    .mul(weight("logit_scale").exp());
            long[] own = new long[(int) ids.size(0)];
            for (int k = 0; k < own.length; k++) {
                own[k] = k;
            }
            Tensor targets = tensor(own, own.length);
            Tensor loss = cross_entropy(logits, targets)
                    .add(cross_entropy(logits.t(), targets))
                    .mul(new Scalar(0.5));
            loss.backward();
            return loss.item().toDouble();
        }
    }

    /** Forgets the gradients and returns them: A and B of each module in the order they were added. */
    List<float[]> takeGradients() {
        List<float[]> gradients = adapters.values().stream()
                .map(adapter -> values(adapter.grad()))
                .toList();
        adapters.values().forEach(adapter -> adapter.mutable_grad().reset());
        return gradients;
    }

    private static float[] values(Tensor tensor) {
        float[] values = new float[(int) tensor.numel()];
        try (PointerScope local = new PointerScope()) {
            new FloatPointer(tensor.contiguous().data_ptr_float()).get(values);
        }
        return values;
    }

    @Override
    public void close() {
        scope.close();
    }
}
