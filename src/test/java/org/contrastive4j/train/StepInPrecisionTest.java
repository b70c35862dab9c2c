package org.contrastive4j.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.gradcache.GradCache;
import org.contrastive4j.gradcache.InfoNceOverEncoders;
import org.contrastive4j.loss.InfoNce;
import org.contrastive4j.nn.DualEncoder;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.optim.GlobalNorm;
import org.contrastive4j.support.SixteenBitOps;
import org.contrastive4j.support.TinyPairs;
import org.contrastive4j.tensor.DType;
import org.junit.jupiter.api.Test;

/** A whole training step in each precision. */
class StepInPrecisionTest {
    private static final int PAIRS = 11;
    private static final double RATE = 0.01;

    private record Outcome(double loss, Map<String, double[]> gradients, Map<String, double[]> weights) {}

    private static Outcome step(Supplier<Ops> backend, long budget, double scale) {
        Map<String, double[]> gradients = new LinkedHashMap<>();
        Map<String, double[]> weights = new LinkedHashMap<>();
        try (Ops ops = backend.get(); DualEncoder model = new DualEncoder(ops, TinyPairs.model(0.2), 3);
                InfoNce loss = InfoNce.symmetric(ops)) {
            List<Parameter> parameters = new ArrayList<>(model.parameters());
            parameters.addAll(loss.parameters());
            double value;
            try (AdamW optimizer = new AdamW(ops, parameters, new AdamW.Config(0.9, 0.98, 1e-3, 0.1));
                    TrainBatch batch = new TrainBatch(ops, TinyPairs.batch(PAIRS, 5), 7, 0)) {
                value = GradCache.ofChunks(ops, Encoders.of(ops, model), InfoNceOverEncoders.pairs(loss),
                        List.of(4, 5), budget).step(batch, scale).loss();
                for (Parameter parameter : parameters) {
                    double[] gradient = parameter.gradient().toDoubles();
                    for (int i = 0; i < gradient.length; i++) {
                        gradient[i] /= scale;
                    }
                    gradients.put(parameter.name(), gradient);
                }
                optimizer.step(RATE, GlobalNorm.clip(GlobalNorm.of(ops, parameters) / scale, 1) / scale);
                loss.clamp();
            }
            parameters.forEach(parameter -> weights.put(parameter.name(), parameter.value().toDoubles()));
            return new Outcome(value, gradients, weights);
        }
    }

    @Test
    void measure() {
        long plenty = 1L << 30;
        Outcome truth = step(() -> Backend.open("cpu"), plenty, 1);
        for (DType d : List.of(DType.BF16, DType.F16)) {
            for (double scale : new double[] {0x1p-12, 1, 0x1p12}) {
                Outcome o = step(() -> new SixteenBitOps(Backend.open("cpu"), d), plenty, scale);
                double sq = 0, no = 0, worst = 0; String which = "";
                double w = 0;
                for (String name : truth.gradients().keySet()) {
                    double[] a = truth.gradients().get(name), b = o.gradients().get(name);
                    double s = 0, n = 0;
                    for (int i = 0; i < a.length; i++) {
                        s += Math.pow(a[i] - b[i], 2); n += a[i] * a[i];
                        w = Math.max(w, Math.abs(truth.weights().get(name)[i] - o.weights().get(name)[i]));
                    }
                    sq += s; no += n;
                    if (Math.sqrt(s / n) > worst) { worst = Math.sqrt(s / n); which = name; }
                }
                System.out.println(d + " scale " + scale + " loss " + Math.abs(o.loss() - truth.loss()) + " of " + truth.loss() + " grad " + Math.sqrt(sq / no) + " worst " + worst + " " + which + " weights " + w);
            }
        }
    }
}
