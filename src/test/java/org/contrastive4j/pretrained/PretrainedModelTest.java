package org.contrastive4j.pretrained;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.autograd.Tape;
import org.contrastive4j.autograd.Variable;
import org.contrastive4j.loss.ContrastiveLoss;
import org.contrastive4j.loss.PairLabels;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.pretrained.TensorNames.Layout;
import org.contrastive4j.tensor.Precision;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Checkpoints of {@code test-data/pretrained} against the numbers that PyTorch computed from them in f64. */
class PretrainedModelTest {
    private static final List<String> MODELS = List.of("clip-exact", "clip-quick-f16", "siglip-bf16");

    /** Tolerances of representations, loss and gradients. */
    private record Bounds(double representations, double loss, double gradients) {}

    private static final Bounds F32 = new Bounds(1e-5, 1e-6, 1e-4);
    private static final Bounds F64 = new Bounds(1e-12, 1e-12, 1e-9);
    private static final Bounds BF16 = new Bounds(0.03, 0.03, 0.12);

    static Stream<Arguments> cases() {
        List<Arguments> cases = new ArrayList<>();
        for (String model : MODELS) {
            cases.add(Arguments.of(model, "cpu", F32));
            cases.add(Arguments.of(model, "cpu-f64", F64));
        }
        return cases.stream();
    }

    static Stream<Arguments> casesOnKernels() {
        return Stream.of(
                Arguments.of("clip-exact", "sim", F32),
                Arguments.of("siglip-bf16", "sim", F32),
                Arguments.of("clip-exact", "sim bf16", BF16),
                Arguments.of("siglip-bf16", "sim bf16", BF16));
    }

    private static Ops open(String backend) {
        return backend.endsWith(" bf16")
                ? Backend.open(backend.split(" ")[0], Long.MAX_VALUE, Precision.BF16)
                : Backend.open(backend);
    }

    /** A golden batch on a backend. */
    private static final class Batch implements AutoCloseable {
        private final Tensor pictures;
        private final Tensor ids;
        private final Tensor lengths;

        Batch(Ops ops, PretrainedConfig config, GoldenModel golden) {
            int size = config.imageSize();
            int tokens = config.contextLength();
            int[] values = golden.ids();
            int samples = values.length / tokens;
            pictures = ops.parameterTensor(Shape.of(samples, size, size, 3), golden.pictures(size));
            ids = ops.ints(Shape.of(samples, tokens), values);
            lengths = ops.ints(Shape.of(samples), config.lengths(values, tokens));
        }

        Variable image(Tape tape, PretrainedModel model) {
            return model.encoder().image().forward(tape, tape.constant("pictures", pictures), null);
        }

        Variable text(Tape tape, PretrainedModel model) {
            return model.encoder().text().forward(tape, ids, lengths, null);
        }

        /** Loss of the batch; accumulates the gradients of all parameters. */
        double step(Ops ops, PretrainedModel model, ContrastiveLoss loss) {
            try (Tape tape = Tape.recording(ops)) {
                Variable u = image(tape, model);
                Variable v = text(tape, model);
                try (Tensor x = ops.allocateParameter(u.shape());
                        Tensor y = ops.allocateParameter(v.shape());
                        Tensor du = ops.allocateParameter(u.shape());
                        Tensor dv = ops.allocateParameter(v.shape());
                        Tensor seedU = Tensor.allocate(ops.memory(), u.dtype(), u.shape());
                        Tensor seedV = Tensor.allocate(ops.memory(), v.dtype(), v.shape())) {
                    ops.pointwise().cast(u.value(), x);
                    ops.pointwise().cast(v.value(), y);
                    double value = loss.valueAndGradient(x, y, PairLabels.DIAGONAL, du, dv, 1)
                            .get()
                            .loss();
                    ops.pointwise().cast(du, seedU);
                    ops.pointwise().cast(dv, seedV);
                    tape.backward(List.of(u, v), List.of(seedU, seedV));
                    return value;
                }
            }
        }

        @Override
        public void close() {
            pictures.close();
            ids.close();
            lengths.close();
        }
    }

    private static void requireGolden(
            String name, Path folder, Layout layout, Ops ops, Bounds bounds, boolean withGradients) {
        try (GoldenModel golden = new GoldenModel(name);
                PretrainedModel model = PretrainedModel.open(ops, folder);
                Batch batch = new Batch(ops, model.config(), golden);
                ContrastiveLoss loss = model.loss()) {
            try (Tape tape = Tape.inference(ops)) {
                double image = GoldenModel.error(
                        batch.image(tape, model).value().toDoubles(), golden.values("image_features"));
                double text =
                        GoldenModel.error(batch.text(tape, model).value().toDoubles(), golden.values("text_features"));
                assertTrue(
                        image <= bounds.representations() && text <= bounds.representations(),
                        "errors of pictures " + image + ", texts " + text + ", expected at most "
                                + bounds.representations());
            }
            if (withGradients) {
                double expected = golden.values("loss")[0];
                assertEquals(expected, batch.step(ops, model, loss), bounds.loss() * Math.abs(expected));
                Map<String, Parameter> parameters = new LinkedHashMap<>();
                model.encoder().parameters().forEach(parameter -> parameters.put(parameter.name(), parameter));
                parameters.put(TensorNames.LOGIT_SCALE, loss.logScale());
                if (model.config().family() == PretrainedConfig.Family.SIGLIP) {
                    parameters.put(TensorNames.LOGIT_BIAS, loss.bias());
                }
                double gradients = golden.gradientError(TensorNames.of(model.config(), layout), parameters);
                assertTrue(
                        gradients <= bounds.gradients(),
                        "error of gradients " + gradients + ", expected at most " + bounds.gradients());
            }
        }
    }

    private static Layout openClip(String model) {
        return model.startsWith("siglip") ? Layout.OPEN_CLIP_TEXT : Layout.OPEN_CLIP;
    }

    @ParameterizedTest
    @MethodSource("cases")
    void open_checkpoint_givesGoldenRepresentationsLossAndGradients(String model, String backend, Bounds bounds) {
        try (Ops ops = open(backend)) {
            requireGolden(model, GoldenModel.FOLDER.resolve(model), openClip(model), ops, bounds, true);
        }
    }

    @Tag("exhaustive")
    @ParameterizedTest
    @MethodSource("casesOnKernels")
    void open_checkpointOnKernels_givesGoldenRepresentationsLossAndGradients(
            String model, String backend, Bounds bounds) {
        open_checkpoint_givesGoldenRepresentationsLossAndGradients(model, backend, bounds);
    }

    @ParameterizedTest
    @CsvSource({"clip-exact", "clip-quick-f16", "siglip-bf16"})
    void open_openClipLayout_givesTheSameRepresentations(String model) {
        try (Ops ops = Backend.open("cpu")) {
            Path weights = GoldenModel.FOLDER.resolve(model).resolve("open_clip_model.safetensors");
            requireGolden(model, weights, openClip(model), ops, F32, false);
        }
    }

    @ParameterizedTest
    @CsvSource({"clip-exact, cpu, 1e-4", "siglip-bf16, cpu, 1e-4", "clip-exact, cpu-f64, 1e-9"})
    void adamW_threeSteps_givesGoldenLosses(String name, String backend, double tolerance) {
        try (Ops ops = open(backend);
                GoldenModel golden = new GoldenModel(name);
                PretrainedModel model = PretrainedModel.open(ops, GoldenModel.FOLDER.resolve(name));
                Batch batch = new Batch(ops, model.config(), golden);
                ContrastiveLoss loss = model.loss()) {
            List<Parameter> trained = new ArrayList<>(model.encoder().parameters());
            trained.addAll(loss.parameters());
            double[] losses = new double[4];
            try (AdamW optimizer = new AdamW(ops, trained, new AdamW.Config(0.9, 0.98, 1e-6, 0.2))) {
                for (int step = 0; step < losses.length; step++) {
                    trained.forEach(Parameter::zeroGradient);
                    losses[step] = batch.step(ops, model, loss);
                    if (step + 1 < losses.length) {
                        optimizer.step(1e-3, 1);
                    }
                }
            }
            assertArrayEquals(golden.values("train.losses"), losses, tolerance);
            assertEquals(
                    golden.values("train.logit_scale")[0],
                    loss.logScale().value().toDoubles()[0],
                    tolerance);
        }
    }

    @ParameterizedTest
    @CsvSource({
        "clip-exact, model.safetensors",
        "clip-exact, open_clip_model.safetensors",
        "clip-quick-f16, model.safetensors.index.json",
        "clip-quick-f16, open_clip_model.safetensors",
        "siglip-bf16, model.safetensors",
        "siglip-bf16, open_clip_model.safetensors"
    })
    void save_untouchedModel_writesTheBytesOfItsSource(String model, String weights, @TempDir Path target)
            throws IOException {
        Path source = GoldenModel.FOLDER.resolve(model);
        Path saved = target.resolve("saved");
        try (Ops ops = Backend.open("cpu");
                PretrainedModel opened = PretrainedModel.open(ops, source.resolve(weights))) {
            opened.save(saved);
        }
        List<Path> files;
        try (Stream<Path> list = Files.list(saved)) {
            files = list.toList();
        }
        assertTrue(files.stream().anyMatch(file -> file.toString().endsWith(".safetensors")));
        for (Path file : files) {
            assertEquals(
                    -1, Files.mismatch(file, source.resolve(file.getFileName())), file + " differs from its source");
        }
    }

    @Test
    void save_trainedModel_isReadBackWithTheSameOutput(@TempDir Path target) {
        Path source = GoldenModel.FOLDER.resolve("clip-exact");
        try (Ops ops = Backend.open("cpu");
                GoldenModel golden = new GoldenModel("clip-exact");
                PretrainedModel model = PretrainedModel.open(ops, source);
                Batch batch = new Batch(ops, model.config(), golden);
                ContrastiveLoss loss = model.loss()) {
            List<Parameter> trained = new ArrayList<>(model.encoder().parameters());
            trained.addAll(loss.parameters());
            try (AdamW optimizer = new AdamW(ops, trained, new AdamW.Config(0.9, 0.98, 1e-6, 0))) {
                batch.step(ops, model, loss);
                optimizer.step(1e-2, 1);
            }
            model.adoptScale(loss);
            model.save(target.resolve("saved"));
            try (PretrainedModel again = PretrainedModel.open(ops, target.resolve("saved"));
                    Tape tape = Tape.inference(ops)) {
                assertEquals(model.logitScale(), again.logitScale());
                assertArrayEquals(
                        batch.image(tape, model).value().toDoubles(),
                        batch.image(tape, again).value().toDoubles());
                assertArrayEquals(
                        batch.text(tape, model).value().toDoubles(),
                        batch.text(tape, again).value().toDoubles());
            }
        }
    }
}
