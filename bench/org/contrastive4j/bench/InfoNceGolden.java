package org.contrastive4j.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.stream.LongStream;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Writes golden values of loss and gradients, computed by PyTorch's autograd in f64: arguments = target folder. */
public final class InfoNceGolden {
    private InfoNceGolden() {}

    public static void main(String[] arguments) throws IOException {
        Path folder = Path.of(arguments[0]);
        Files.createDirectories(folder);
        write(folder.resolve("symmetric-7x7x5.json"), 7, 7, 5, true, 1);
        write(folder.resolve("symmetric-33x33x16.json"), 33, 33, 16, true, 2);
        write(folder.resolve("rows-33x40x16.json"), 33, 40, 16, false, 3);
    }

    private static void write(Path file, int n, int m, int d, boolean symmetric, long seed) throws IOException {
        Random random = new Random(seed);
        double[] u = random.doubles((long) n * d, -2, 2).map(x -> (float) x).toArray();
        double[] v = random.doubles((long) m * d, -2, 2).map(x -> (float) x).toArray();
        long[] targets = symmetric
                ? LongStream.range(0, n).toArray()
                : random.longs(n, 0, m).toArray();
        double logScale = (float) Math.log(1 / 0.07);
        double bias = 0.25;
        Map<String, Object> golden = new LinkedHashMap<>();
        try (TorchInfoNce torch =
                new TorchInfoNce(u, n, v, m, d, targets, logScale, bias, symmetric, ScalarType.Double, 1)) {
            TorchInfoNce.Answer answer = torch.answer();
            golden.put("n", n);
            golden.put("m", m);
            golden.put("d", d);
            golden.put("symmetric", symmetric);
            golden.put("logScale", logScale);
            golden.put("bias", bias);
            golden.put("targets", targets);
            golden.put("u", u);
            golden.put("v", v);
            golden.put("loss", answer.loss());
            golden.put("du", answer.du());
            golden.put("dv", answer.dv());
            golden.put("dLogScale", answer.dLogScale());
            golden.put("dBias", answer.dBias());
        }
        Files.write(
                file,
                new ObjectMapper().disable(SerializationFeature.INDENT_OUTPUT).writeValueAsBytes(golden));
        System.out.println(file);
    }
}
