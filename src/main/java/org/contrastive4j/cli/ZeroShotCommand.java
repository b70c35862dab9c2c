package org.contrastive4j.cli;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.function.Function;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import org.contrastive4j.data.DataException;
import org.contrastive4j.internal.files.FileErrors;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.pretrained.PretrainedConfig;
import org.contrastive4j.pretrained.PretrainedModel;
import org.contrastive4j.pretrained.PretrainedModel.TextTokenizer;
import org.contrastive4j.tensor.Tensor;
import org.contrastive4j.train.TrainedModel;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * Classifies pictures by their similarity to the texts of classes.
 *
 * <p>Tested by {@code PretrainedCommandsTest}.
 */
@Command(
        name = "zero-shot",
        mixinStandardHelpOptions = true,
        showDefaultValues = true,
        description = "Classifies pictures with a pretrained model or the model of a run, given only the names of the "
                + "classes.")
final class ZeroShotCommand implements Callable<Integer> {
    @Parameters(arity = "1..*", paramLabel = "<picture>", description = "picture files")
    private List<Path> pictures;

    @Mixin
    private FromOptions from;

    @Option(names = "--run", description = "run folder of a finished or running training")
    private Path run = Path.of("runs/emoji");

    @Option(names = "--classes", required = true, split = ";", description = "class names, separated by semicolons")
    private List<String> classes;

    @Option(
            names = "--prompt",
            description = "text for a class, with {} for its name; representations of several texts are averaged")
    private List<String> prompts = List.of("a photo of a {}.");

    @Option(names = "--top", description = "classes to print for each picture")
    private int top = 5;

    @Mixin
    private BackendOptions backend;

    @Override
    public Integer call() {
        check();
        boolean pretrained = from.isPretrained();
        try (Ops ops = backend.open()) {
            if (!pretrained) {
                try (TrainedModel model = TrainedModel.load(ops, run)) {
                    classify(
                            model::embedTexts,
                            model::embedPictures,
                            new Scale(
                                    model.logitScale(),
                                    model.logitBias(),
                                    model.config().loss().name().equals("siglip")));
                }
                return 0;
            }
            try (PretrainedModel model = from.open(ops);
                    TextTokenizer tokenizer = model.tokenizer()) {
                classify(
                        texts -> model.embedTexts(tokenizer, texts),
                        model::embedPictures,
                        new Scale(
                                model.logitScale(),
                                model.logitBias(),
                                model.config().family() == PretrainedConfig.Family.SIGLIP));
            }
            return 0;
        }
    }

    /**
     * From cosines to shares.
     *
     * @param log natural logarithm of the factor of cosines
     * @param bias added to scaled cosines
     * @param separate whether each class has a probability of its own, instead of one distribution of all classes
     */
    private record Scale(double log, double bias, boolean separate) {}

    private void classify(
            Function<List<String>, Tensor> embedTexts,
            Function<List<BufferedImage>, Tensor> embedPictures,
            Scale scale) {
        double[][] texts = new double[classes.size()][];
        for (int c = 0; c < texts.length; c++) {
            String name = classes.get(c);
            try (Tensor rows = embedTexts.apply(
                    prompts.stream().map(prompt -> prompt.replace("{}", name)).toList())) {
                texts[c] = mean(rows);
            }
        }
        for (Path file : pictures) {
            try (Tensor row = embedPictures.apply(List.of(read(file)))) {
                print(file, scale, row.toDoubles(), texts);
            }
        }
    }

    private void check() {
        if (top < 1) {
            throw new IllegalArgumentException("--top is " + top + ", expected 1 or more");
        }
        if (classes.stream().anyMatch(String::isBlank)) {
            throw new IllegalArgumentException(
                    "--classes has an empty name; expected names separated by semicolons, such as \"cat;dog\"");
        }
        for (String prompt : prompts) {
            if (!prompt.contains("{}")) {
                throw new IllegalArgumentException("--prompt \"" + prompt + "\" has no {} for the name of a class");
            }
        }
        for (Path file : pictures) {
            if (!Files.isRegularFile(file)) {
                throw new DataException(file + " is not a file, expected a picture");
            }
        }
    }

    private static BufferedImage read(Path file) {
        BufferedImage picture;
        try {
            picture = ImageIO.read(file.toFile());
        } catch (IOException | RuntimeException e) { // decoders throw both for damaged files
            throw new DataException("cannot decode the picture " + file + ": " + FileErrors.reason(e), e);
        }
        if (picture == null) {
            throw new DataException(file + " is not a picture in a supported format, such as PNG or JPEG");
        }
        return picture;
    }

    /** Returns the normalised mean of unit rows. */
    private static double[] mean(Tensor rows) {
        double[] values = rows.toDoubles();
        double[] mean = new double[rows.dim(1)];
        for (int i = 0; i < values.length; i++) {
            mean[i % mean.length] += values[i];
        }
        double norm = Math.sqrt(Arrays.stream(mean).map(x -> x * x).sum());
        return Arrays.stream(mean).map(x -> norm == 0 ? 0 : x / norm).toArray();
    }

    private void print(Path file, Scale scale, double[] picture, double[][] texts) {
        double[] logits = new double[texts.length];
        for (int c = 0; c < texts.length; c++) {
            for (int i = 0; i < picture.length; i++) {
                logits[c] += picture[i] * texts[c][i];
            }
            logits[c] = Math.exp(scale.log()) * logits[c] + scale.bias();
        }
        double[] shares = scale.separate()
                ? Arrays.stream(logits).map(x -> 1 / (1 + Math.exp(-x))).toArray()
                : softmax(logits);
        List<Integer> order =
                new ArrayList<>(IntStream.range(0, shares.length).boxed().toList());
        order.sort((a, b) -> Double.compare(logits[b], logits[a]));
        System.out.println(file);
        order.stream()
                .limit(top)
                .forEach(c -> System.out.printf(Locale.ROOT, "  %6.2f%%  %s%n", 100 * shares[c], classes.get(c)));
    }

    private static double[] softmax(double[] logits) {
        double largest = Arrays.stream(logits).max().orElse(0);
        double sum = Arrays.stream(logits).map(x -> Math.exp(x - largest)).sum();
        return Arrays.stream(logits).map(x -> Math.exp(x - largest) / sum).toArray();
    }
}
