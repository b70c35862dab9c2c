package org.contrastive4j.bench;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.pretrained.PretrainedModel;
import org.contrastive4j.pretrained.PretrainedModel.TextTokenizer;
import org.contrastive4j.tensor.Tensor;

/**
 * Opens a random checkpoint, embeds a picture and a text, and prints times and the peak resident memory of the process:
 * {@code PretrainedOpening <folder> [b32|l14-336]}. The first run in a new folder writes the checkpoint.
 */
public final class PretrainedOpening {
    private PretrainedOpening() {}

    public static void main(String[] arguments) throws IOException {
        Path folder = Path.of(arguments[0]);
        if (!Files.exists(folder)) {
            RandomCheckpoint.write(folder, RandomCheckpoint.Sizes.named(arguments.length > 1 ? arguments[1] : "b32"));
            System.out.println("wrote " + folder + "; run again to measure");
            return;
        }
        try (Ops ops = Backend.open("cpu")) {
            double before = resident();
            long start = System.nanoTime();
            try (PretrainedModel model = PretrainedModel.open(ops, folder)) {
                double opened = (System.nanoTime() - start) / 1e9;
                double peak = resident();
                long parameters = 1
                        + model.encoder().parameters().stream()
                                .map(Parameter::value)
                                .mapToLong(Tensor::size)
                                .sum();
                double weights = parameters * 4 / 1048576.0;
                start = System.nanoTime();
                try (TextTokenizer tokenizer = model.tokenizer();
                        Tensor picture =
                                model.embedPictures(List.of(new BufferedImage(640, 480, BufferedImage.TYPE_INT_RGB)));
                        Tensor text = model.embedTexts(tokenizer, List.of("a cat"))) {
                    System.out.printf(
                            Locale.ROOT,
                            "%,d parameters, %.0f MiB of weights: opened in %.2f s; peak resident %.0f MiB (%+.1f%%),"
                                    + " %.0f MiB before; one picture and one text in %.2f s, then peak %.0f MiB%n",
                            parameters,
                            weights,
                            opened,
                            peak,
                            100 * (peak / weights - 1),
                            before,
                            (System.nanoTime() - start) / 1e9,
                            resident());
                    if (!Map.of(picture, text).keySet().stream().allMatch(PretrainedOpening::isUnit)) {
                        throw new IllegalStateException("expected representations of norm 1");
                    }
                }
            }
        }
    }

    private static boolean isUnit(Tensor row) {
        double squares = 0;
        for (double value : row.toDoubles()) {
            squares += value * value;
        }
        return Math.abs(squares - 1) < 1e-4;
    }

    /** Returns the peak resident memory of this process in MiB. */
    private static double resident() throws IOException {
        return Files.readAllLines(Path.of("/proc/self/status")).stream()
                .filter(line -> line.startsWith("VmHWM:"))
                .mapToDouble(line -> Double.parseDouble(line.replaceAll("\\D", "")) / 1024)
                .findFirst()
                .orElseThrow();
    }
}
