package org.contrastive4j.gradcache;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.contrastive4j.Backend;
import org.contrastive4j.autograd.Parameter;
import org.contrastive4j.loss.InfoNce;
import org.contrastive4j.ops.Ops;
import org.junit.jupiter.api.Test;

/** Comparison of the chunked gradient with that of the whole batch, and the layer it names when they differ. */
class EquivalenceCheckTest {
    private static EquivalenceCheck.Report check(Ops ops, LinearEncoders linears, InfoNce loss) {
        List<Parameter> all = new ArrayList<>(linears.weights);
        all.addAll(loss.parameters());
        return new EquivalenceCheck<>(ops, linears.encoders(), LossOverEncoders.<LinearEncoders>of(loss), all)
                .run(linears, List.of(5, 5));
    }

    @Test
    void run_keyedRandomness_passes() {
        try (Ops ops = Backend.open("cpu-f64");
                InfoNce loss = InfoNce.symmetric(ops);
                LinearEncoders linears = new LinearEncoders(ops, 0)) {
            EquivalenceCheck.Report report = check(ops, linears, loss);
            assertTrue(report.agrees(1e-12), report.toString());
            assertTrue(report.culprits().isEmpty());
        }
    }

    @Test
    void run_randomnessWithoutKey_namesTheLayer() {
        try (Ops ops = Backend.open("cpu-f64");
                InfoNce loss = InfoNce.symmetric(ops);
                LinearEncoders linears = new LinearEncoders(ops, LinearEncoders.NOT_KEYED)) {
            EquivalenceCheck.Report report = check(ops, linears, loss);
            assertTrue(report.gradient() > 0.05, report.toString());
            assertTrue(report.passes().get("left") > 0.05, report.toString());
            assertTrue(report.culprits().get("left").contains("left/noise/dropout"), report.toString());
        }
    }

    @Test
    void run_statisticsOfAChunk_namesTheLayer() {
        try (Ops ops = Backend.open("cpu-f64");
                InfoNce loss = InfoNce.symmetric(ops);
                LinearEncoders linears = new LinearEncoders(ops, LinearEncoders.CHUNK_STATISTICS)) {
            EquivalenceCheck.Report report = check(ops, linears, loss);
            assertTrue(report.chunking().get("right") > 0.01, report.toString());
            assertEquals(0, report.passes().get("right"));
            assertTrue(report.culprits().get("right").contains("right/minus_chunk_mean"), report.toString());
            assertTrue(!report.culprits().containsKey("left"), report.toString());
        }
    }
}
