package org.contrastive4j.pretrained;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Functions;
import org.contrastive4j.autograd.GradientCheck;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.Tape;
import org.contrastive4j.autograd.Variable;
import org.contrastive4j.gradcache.ChunkEncoder;
import org.contrastive4j.gradcache.TapeEncoder;
import org.contrastive4j.nn.DualEncoder.LowRankConfig;
import org.contrastive4j.nn.DualEncoder.Randomness;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.PointwiseOps.RandomKey;
import org.contrastive4j.pretrained.FineTunedModel.FineTuning;
import org.contrastive4j.pretrained.PretrainedModel.PretrainedException;
import org.contrastive4j.tensor.DType;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class LoraAdapterTest {
    private static final Path CLIP = GoldenModel.FOLDER.resolve("clip-exact");
    private static final Path SIGLIP = GoldenModel.FOLDER.resolve("siglip-bf16");

    /** Pictures of the golden batch, encoded without dropout. */
    private static double[] pictures(Ops ops, PretrainedModel model, GoldenModel golden) {
        int size = model.config().imageSize();
        double[] values = golden.pictures(size);
        try (Tensor pictures = ops.parameterTensor(Shape.of(values.length / (3 * size * size), size, size, 3), values);
                Tape tape = Tape.inference(ops)) {
            return model.encoder()
                    .image()
                    .forward(tape, tape.constant("pictures", pictures), null)
                    .value()
                    .toDoubles();
        }
    }

    private static double[] texts(Ops ops, PretrainedModel model, GoldenModel golden) {
        int tokens = model.config().contextLength();
        int[] ids = golden.ids();
        int samples = ids.length / tokens;
        try (Tensor batch = ops.ints(Shape.of(samples, tokens), ids);
                Tensor lengths = ops.ints(Shape.of(samples), model.config().lengths(ids, tokens));
                Tape tape = Tape.inference(ops)) {
            return model.encoder()
                    .text()
                    .forward(tape, batch, lengths, null)
                    .value()
                    .toDoubles();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"clip-exact", "siglip-bf16"})
    void add_newAdapter_leavesTheOutputAsItIsBitForBit(String name) {
        try (Ops ops = Backend.open("cpu");
                GoldenModel golden = new GoldenModel(name);
                PretrainedModel model = PretrainedModel.open(ops, GoldenModel.FOLDER.resolve(name))) {
            double[] images = pictures(ops, model, golden);
            double[] texts = texts(ops, model, golden);
            LoraAdapter.add(
                    ops, model, new LowRankConfig(3, 6, 0.5, false), List.of("q", "k", "v", "out", "up", "down"), 1);
            assertArrayEquals(images, pictures(ops, model, golden));
            assertArrayEquals(texts, texts(ops, model, golden));
        }
    }

    @ParameterizedTest
    @CsvSource({
        "clip-exact, model.safetensors, cpu, 1e-5",
        "clip-exact, open_clip_model.safetensors, cpu-f64, 1e-12",
        "clip-quick-f16, model.safetensors.index.json, cpu-f64, 1e-12"
    })
    void load_adapterOfPeft_givesGoldenOutputAndMergesIntoIt(
            String name, String weights, String backend, double tolerance) {
        Path folder = GoldenModel.FOLDER.resolve(name);
        try (Ops ops = Backend.open(backend);
                GoldenModel golden = new GoldenModel(name);
                PretrainedModel model = PretrainedModel.open(ops, folder.resolve(weights))) {
            double before = GoldenModel.error(pictures(ops, model, golden), golden.values("lora.image_features"));
            assertTrue(before > 0.01, "the adapter changes the output, error without it " + before);
            LoraAdapter.load(ops, model, folder.resolve("adapter"));
            double[] unmerged = pictures(ops, model, golden);
            double[] texts = texts(ops, model, golden);
            assertTrue(GoldenModel.error(unmerged, golden.values("lora.image_features")) < tolerance);
            assertTrue(GoldenModel.error(texts, golden.values("lora.text_features")) < tolerance);
            model.encoder().merge(ops);
            assertTrue(GoldenModel.error(pictures(ops, model, golden), unmerged) < 1e-6);
            assertTrue(GoldenModel.error(texts(ops, model, golden), texts) < 1e-6);
        }
    }

    @Test
    void save_adapter_isReadBackAndKeepsTheTensorsOfPeft(@TempDir Path target) throws IOException {
        try (Ops ops = Backend.open("cpu");
                GoldenModel golden = new GoldenModel("clip-exact");
                PretrainedModel model = PretrainedModel.open(ops, CLIP);
                PretrainedModel again = PretrainedModel.open(ops, CLIP)) {
            LoraAdapter adapter = LoraAdapter.load(ops, model, CLIP.resolve("adapter"));
            adapter.save(target.resolve("saved"), "clip-exact");
            JsonNode config =
                    Json.read(target.resolve("saved/adapter_config.json")).node();
            assertEquals("LORA", config.path("peft_type").asText());
            assertEquals(2, config.path("r").asInt());
            assertEquals(8, config.path("lora_alpha").asDouble());
            assertEquals(
                    "[\"q_proj\",\"v_proj\"]", config.path("target_modules").toString());
            assertEquals("clip-exact", config.path("base_model_name_or_path").asText());
            LoraAdapter.load(ops, again, target.resolve("saved"));
            assertArrayEquals(pictures(ops, model, golden), pictures(ops, again, golden));
            assertEquals(
                    -1,
                    Files.mismatch(
                            CLIP.resolve("adapter/adapter_model.safetensors"),
                            target.resolve("saved/adapter_model.safetensors")));
        }
    }

    @Test
    void adaptedLinear_withDropoutAndTwoRanges_hasTheGradientOfCentralDifferences() {
        try (Ops ops = Backend.open("cpu-f64");
                Tensor samples = ops.ints(Shape.of(3), 5, 2, 9)) {
            Parameter x = parameter(ops, "x", 3, 2, 6);
            List<Parameter> inputs = new ArrayList<>(List.of(
                    x,
                    parameter(ops, "w", 6, 9),
                    parameter(ops, "bias", 9),
                    parameter(ops, "a1", 2, 6),
                    parameter(ops, "b1", 3, 2),
                    parameter(ops, "a2", 3, 6),
                    parameter(ops, "b2", 4, 3)));
            Functions.AdapterDropout dropout =
                    new Functions.AdapterDropout(0.4, samples, new RandomKey(7, 3, 11, null));
            for (Functions.AdapterDropout each : Arrays.asList(null, dropout)) {
                new GradientCheck(ops, 1)
                        .run(
                                tape -> Functions.adaptedLinear(
                                        tape,
                                        inputs.get(0),
                                        inputs.get(1),
                                        inputs.get(2),
                                        inputs.subList(3, 7),
                                        List.of(
                                                new Functions.AdapterRange(0, 3, 2),
                                                new Functions.AdapterRange(5, 4, 3)),
                                        1.5,
                                        each,
                                        false),
                                inputs)
                        .require(1e-7);
            }
            inputs.forEach(Parameter::close);
        }
    }

    @Test
    void appendToken_hasTheGradientOfCentralDifferences() {
        try (Ops ops = Backend.open("cpu-f64");
                Tensor lengths = ops.ints(Shape.of(2), 4, 4);
                Parameter x = parameter(ops, "x", 2, 3, 5);
                Parameter token = parameter(ops, "token", 5)) {
            new GradientCheck(ops, 1)
                    .run(tape -> Functions.appendToken(tape, x, token, lengths), List.of(x, token))
                    .require(1e-8);
        }
    }

    private static Parameter parameter(Ops ops, String name, int... dims) {
        double[] values = new SplittableRandom(name.hashCode())
                .doubles(Shape.of(dims).size(), -1, 1)
                .toArray();
        return new Parameter(ops, name, ops.parameterTensor(Shape.of(dims), values), true);
    }

    private record Batch(Tensor pictures, Tensor sampleIds) {}

    /** Gradients of sum of the representations' elements times fixed weights, in chunks. */
    private static List<double[]> gradients(Ops ops, Path folder, DType matrices, int chunk, double dropout) {
        try (GoldenModel golden = new GoldenModel(folder.getFileName().toString());
                PretrainedModel model = PretrainedModel.open(ops, folder, new PretrainedModel.Options(matrices, 0))) {
            LoraAdapter adapter = LoraAdapter.add(
                    ops, model, new LowRankConfig(2, 4, dropout, false), List.of("q", "v", "up", "down"), 3);
            for (Parameter parameter : adapter.parameters()) {
                double[] values = parameter.value().toDoubles();
                for (int i = 0; i < values.length; i++) {
                    values[i] += 0.1 * Math.sin(i + 1);
                }
                parameter.value().set(values);
            }
            int size = model.config().imageSize();
            double[] values = golden.pictures(size);
            int samples = values.length / (3 * size * size);
            int width = model.config().encoder().image().embedding();
            try (Tensor pictures = ops.parameterTensor(Shape.of(samples, size, size, 3), values);
                    Tensor ids = ops.ints(Shape.of(samples), 4, 8, 1, 0, 2);
                    Tensor out = ops.allocateParameter(samples, width);
                    Tensor seed = ops.allocateParameter(samples, width)) {
                double[] weights = new double[samples * width];
                Arrays.setAll(weights, i -> Math.cos(3 * i));
                seed.set(weights);
                ChunkEncoder<Batch> encoder = new TapeEncoder<>(
                        ops,
                        "image",
                        width,
                        batch -> samples,
                        model.encoder().image().parameters(),
                        (tape, batch, from, to) -> model.encoder()
                                .image()
                                .forward(
                                        tape,
                                        tape.constant("p", batch.pictures().rows(from, to)),
                                        new Randomness(1, 2, batch.sampleIds().rows(from, to))));
                for (int from = 0; from < samples; from += chunk) {
                    int to = Math.min(samples, from + chunk);
                    try (ChunkEncoder.Pass pass =
                            encoder.encodeForBackward(new Batch(pictures, ids), from, to, out.rows(from, to))) {
                        pass.backward(seed.rows(from, to));
                    }
                }
            }
            List<double[]> gradients = new ArrayList<>();
            adapter.parameters().stream()
                    .filter(parameter -> parameter.name().startsWith("image."))
                    .forEach(parameter -> gradients.add(parameter.gradient().toDoubles()));
            return gradients;
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3})
    void gradients_inChunksWithDropout_equalThoseOfTheWholeBatch(int chunk) {
        try (Ops ops = Backend.open("cpu-f64")) {
            List<double[]> whole = gradients(ops, CLIP, DType.F64, 5, 0.3);
            List<double[]> chunked = gradients(ops, CLIP, DType.F64, chunk, 0.3);
            for (int k = 0; k < whole.size(); k++) {
                assertTrue(GoldenModel.error(chunked.get(k), whole.get(k)) < 1e-12);
            }
        }
    }

    @Test
    void gradients_onSixteenBitBaseWeights_equalThoseOnTheSameValuesInF32() {
        try (Ops ops = Backend.open("cpu")) {
            List<double[]> wide = gradients(ops, SIGLIP, DType.F32, 5, 0);
            List<double[]> narrow = gradients(ops, SIGLIP, DType.BF16, 5, 0);
            for (int k = 0; k < wide.size(); k++) {
                assertArrayEquals(wide.get(k), narrow.get(k));
            }
        }
    }

    @Test
    void frozenWeights_keepNoGradientsAndFewerActivations() {
        try (Ops ops = Backend.open("cpu")) {
            long[] live = new long[2];
            for (int trained = 0; trained < 2; trained++) {
                try (GoldenModel golden = new GoldenModel("clip-exact");
                        PretrainedModel model = PretrainedModel.open(ops, CLIP)) {
                    if (trained == 0) {
                        LoraAdapter.add(ops, model, new LowRankConfig(1, 1, 0, false), List.of("q"), 1);
                    }
                    int size = model.config().imageSize();
                    double[] values = golden.pictures(size);
                    Shape shape = Shape.of(values.length / (3 * size * size), size, size, 3);
                    try (Tensor pictures = ops.parameterTensor(shape, values);
                            Tape tape = Tape.recording(ops)) {
                        long before = ops.memory().currentBytes();
                        Variable out = model.encoder().image().forward(tape, tape.constant("p", pictures), null);
                        live[trained] = ops.memory().currentBytes() - before;
                        try (Tensor seed = ops.zeroParameter(out.shape())) {
                            long parameters = ops.memory().currentBytes();
                            tape.backward(out, seed);
                            assertTrue(trained == 1 || ops.memory().currentBytes() < parameters);
                        }
                    }
                }
            }
            assertTrue(live[0] < 0.75 * live[1], "activations of LoRA " + live[0] + ", of all weights " + live[1]);
        }
    }

    @Test
    void add_rankAboveTheWidth_namesLayerAndLargestRank() {
        try (Ops ops = Backend.open("cpu");
                PretrainedModel model = PretrainedModel.open(ops, CLIP)) {
            IllegalArgumentException refused = assertThrows(
                    IllegalArgumentException.class,
                    () -> LoraAdapter.add(ops, model, new LowRankConfig(13, 8, 0, false), List.of("q"), 1));
            assertTrue(
                    refused.getMessage().contains("exceeds the width of text.block0.attention.q"), refused::toString);
            assertThrows(IllegalArgumentException.class, () -> new LowRankConfig(0, 8, 0, false));
            assertTrue(assertThrows(
                            PretrainedException.class,
                            () -> LoraAdapter.add(ops, model, new LowRankConfig(2, 8, 0, false), List.of("qq"), 1))
                    .getMessage()
                    .contains("LoRA target qq names no layer"));
        }
    }

    @Test
    void load_adapterOfAnotherBase_namesEveryTensorThatDoesNotFit() {
        try (Ops ops = Backend.open("cpu");
                PretrainedModel model = PretrainedModel.open(ops, GoldenModel.FOLDER.resolve("clip-quick-f16"))) {
            String message = assertThrows(
                            PretrainedException.class, () -> LoraAdapter.load(ops, model, CLIP.resolve("adapter")))
                    .getMessage();
            assertTrue(message.contains("was made for another model"), message);
            assertTrue(message.contains("text_model.encoder.layers.2.self_attn.q_proj.lora_A.weight is missing"));
            assertTrue(message.contains(
                    "vision_model.encoder.layers.1.self_attn.v_proj.lora_B.weight belongs to no adapted layer"));
        }
    }

    @Test
    void fineTuning_lockedTowerWithUnlockedBlock_trainsThatBlockAndWhatFollows() {
        try (Ops ops = Backend.open("cpu");
                PretrainedModel model = PretrainedModel.open(ops, CLIP)) {
            FineTuning settings = new FineTuning(true, true, 1, 0.5);
            settings.apply(model.encoder());
            Map<Double, List<Parameter>> groups = settings.groups(model.encoder());
            assertEquals(Set.of(1.0, 0.5), groups.keySet());
            assertTrue(groups.get(0.5).stream()
                    .allMatch(parameter -> parameter.name().contains(".block1.")));
            assertTrue(groups.get(1.0).stream()
                    .allMatch(parameter -> parameter.name().matches(".*\\.(norm|project)\\..*")));
        }
    }
}
