package org.contrastive4j.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.stream.LongStream;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.contrastive4j.Backend;
import org.contrastive4j.loss.ContrastiveLoss;
import org.contrastive4j.loss.Losses;
import org.contrastive4j.ops.Ops;

/**
 * Writes golden values of InfoNCE and of every named loss, with their gradients, computed by PyTorch's autograd in f64:
 * arguments = target folder. Only names, settings and starting points of scale and bias come from this library.
 */
public final class LossGolden {
    private LossGolden() {}

    public static void main(String[] arguments) throws IOException {
        Path folder = Path.of(arguments[0]);
        InfoNceGolden.main(new String[] {folder.resolve("infonce").toString()});
        Files.createDirectories(folder.resolve("losses"));
        write(folder.resolve("losses/2x3.json"), 2, 3, 4);
        write(folder.resolve("losses/7x5.json"), 7, 5, 5);
        write(folder.resolve("losses/17x8.json"), 17, 8, 6);
        OptionGolden.write(folder.resolve("losses/options.json"));
    }

    /** Returns random pairs, a third of which share their id with another pair. */
    private static void write(Path file, int n, int d, long seed) throws IOException {
        Random random = new Random(seed);
        double[] u = random.doubles((long) n * d, -2, 2).map(x -> (float) x).toArray();
        double[] v = random.doubles((long) n * d, -2, 2).map(x -> (float) x).toArray();
        long[] ids = LongStream.range(0, n).map(i -> i % 3 == 2 ? i / 2 : i).toArray();
        Map<String, Object> losses = new LinkedHashMap<>();
        try (Ops ops = Backend.open("cpu-f64")) {
            for (String name : Losses.names()) {
                try (ContrastiveLoss loss = Losses.named(ops, name)) {
                    double logScale = (float) loss.logScale().value().toDoubles()[0];
                    double bias = loss.bias() == null ? 0 : loss.bias().value().toDoubles()[0];
                    losses.put(name, golden(name, u, v, n, d, ids, logScale, bias));
                }
            }
        }
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("n", n);
        all.put("d", d);
        all.put("ids", ids);
        all.put("u", u);
        all.put("v", v);
        all.put("losses", losses);
        Files.write(file, new ObjectMapper().writeValueAsBytes(all));
        System.out.println(file);
    }

    private static Map<String, Object> golden(
            String name, double[] u, double[] v, int n, int d, long[] ids, double logScale, double bias) {
        try (TorchContrast torch =
                new TorchContrast(name, u, v, n, d, ids, null, logScale, bias, ScalarType.Double, 1)) {
            TorchInfoNce.Answer answer = torch.answer();
            Map<String, Object> golden = new LinkedHashMap<>();
            golden.put("logScale", logScale);
            golden.put("bias", bias);
            golden.put("loss", answer.loss());
            golden.put("du", answer.du());
            golden.put("dv", answer.dv());
            golden.put("dLogScale", answer.dLogScale());
            golden.put("dBias", answer.dBias());
            return golden;
        }
    }
}
