package org.contrastive4j.internal.compare;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.contrastive4j.Backend;
import org.contrastive4j.data.Augmentation;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.support.Configs;
import org.contrastive4j.support.PairFiles;
import org.contrastive4j.support.TinyPairs;
import org.contrastive4j.train.RunFolder;
import org.contrastive4j.train.TrainConfig;
import org.contrastive4j.train.Trainer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Compares losses on a small data set. */
class ComparisonTest {
    @TempDir
    Path folder;

    private TrainConfig base(double rate) {
        return Configs.of(
                PairFiles.folder(folder.resolve("pairs"), 20).toString(),
                true,
                "c",
                0.2,
                3,
                3,
                16,
                5,
                1L << 30,
                rate,
                2,
                1,
                60,
                new Augmentation(0.1, 0.1, 10, 0.2, 0.3, 0.2),
                new AdamW.Config(0.9, 0.98, 1e-8, 0.1),
                TinyPairs.model(0.1),
                null);
    }

    private static Comparison comparison(RunFolder folder, TrainConfig base) {
        return new Comparison(
                folder,
                base,
                PairDataset.open(Path.of(base.data()), true),
                List.of("infonce", "bce-warmup", "queue"),
                List.of(8, 16),
                List.of(1L, 2L),
                2);
    }

    private static List<Map<String, Object>> withoutTime(RunFolder run) {
        List<Map<String, Object>> lines = run.metrics();
        lines.forEach(line -> line.remove("seconds"));
        return lines;
    }

    @Test
    void config_ofEveryRun_hasTheSameNumberOfPairs() {
        try (RunFolder out = RunFolder.open(folder.resolve("out"))) {
            Comparison comparison = comparison(out, base(1e-2));
            assertEquals(12, comparison.cells().size());
            for (Comparison.Cell cell : comparison.cells()) {
                TrainConfig config = comparison.config(cell);
                assertEquals(48, config.steps() * config.batch());
                assertEquals(32, config.warmup() * config.batch());
                assertEquals(cell.batch() == 16 ? 1e-2 : 1e-2 * Math.sqrt(0.5), config.learningRate(), 1e-15);
                assertEquals(cell.loss(), config.loss().name());
                assertEquals(cell.seed(), config.seed());
            }
        }
    }

    /** A comparison that is killed during a run continues from its checkpoint in the same bits. */
    @Test
    void run_interrupted_continuesInTheSameBits() {
        Comparison.Cell cell = new Comparison.Cell("queue", 8, 2);
        try (RunFolder straight = RunFolder.open(folder.resolve("straight"));
                RunFolder killed = RunFolder.open(folder.resolve("killed"));
                Ops ops = Backend.open("cpu")) {
            Comparison one = comparison(straight, base(1e-2));
            Comparison other = comparison(killed, base(1e-2));
            Comparison.Result expected = one.run(ops, cell);
            try (RunFolder run = RunFolder.open(killed.path().resolve("cells/queue-b8-s2"));
                    Trainer trainer =
                            Trainer.start(ops, other.config(cell), PairDataset.open(Path.of(base(1).data()), true))) {
                run.writeJson("config.json", other.config(cell));
                while (trainer.step() < 4) {
                    run.append(trainer.next().asMap());
                }
                trainer.save(run.checkpoints());
                run.append(trainer.next().asMap()); // not saved
            }
            assertEquals(Optional.empty(), other.finished(cell));
            assertEquals(expected.recall(), other.run(ops, cell).recall());
            assertEquals(expected.recall(), other.finished(cell).orElseThrow().recall());
            try (RunFolder a = RunFolder.open(straight.path().resolve("cells/queue-b8-s2"));
                    RunFolder b = RunFolder.open(killed.path().resolve("cells/queue-b8-s2"))) {
                assertEquals(6, a.metrics().size());
                assertEquals(withoutTime(a), withoutTime(b));
                assertTrue(b.checkpoints().latest().isEmpty(), "a finished run keeps no checkpoint");
            }
        }
    }

    @Test
    void run_thatDiverges_isReportedAsStopped() throws Exception {
        try (RunFolder out = RunFolder.open(folder.resolve("out"));
                Ops ops = Backend.open("cpu")) {
            Comparison comparison = comparison(out, base(1e30));
            Comparison.Result result = comparison.run(ops, comparison.cells().get(0));
            assertTrue(result.stopped().contains("stopped at step 2"), result.stopped());
            assertEquals(Map.of(), result.recall());
            assertEquals(result, comparison.finished(result.cell()).orElseThrow());
            comparison.report(List.of(result));
            String table = Files.readString(out.path().resolve("table.md"));
            assertTrue(table.contains("infonce-b8-s1: stopped at step 2"), table);
            assertTrue(!table.contains("NaN"), table);
        }
    }

    @Test
    void run_withAnotherConfigurationInItsFolder_isRejected() {
        try (RunFolder out = RunFolder.open(folder.resolve("out"));
                Ops ops = Backend.open("cpu")) {
            Comparison comparison = comparison(out, base(1e-2));
            Comparison.Cell cell = comparison.cells().get(0);
            comparison.run(ops, cell);
            String message = assertThrows(
                            RunFolder.RunFolderException.class,
                            () -> comparison(out, base(2e-2)).finished(cell))
                    .getMessage();
            assertTrue(message.contains("infonce-b8-s1 holds a run of another configuration"), message);
        }
    }

    @Test
    void report_hasMeansDeviationsAndDifferencesBySeed() {
        try (RunFolder out = RunFolder.open(folder.resolve("out"))) {
            Comparison comparison = comparison(out, base(1e-2));
            ComparisonReport report = new ComparisonReport(
                    comparison,
                    List.of(
                            result("infonce", 16, 1, 0.10),
                            result("infonce", 16, 2, 0.20),
                            result("queue", 16, 2, 0.23),
                            result("queue", 16, 1, 0.15),
                            result("queue", 8, 1, 0.5)));
            ComparisonReport.Spread spread = report.recall("queue", 16, "test");
            assertEquals(19, spread.mean(), 1e-12);
            assertEquals(Math.sqrt(2 * 16), spread.deviation(), 1e-12);
            String page = report.markdown();
            assertTrue(page.contains("| queue | 50.0 | 19.0 ± 5.7 |"), page);
            assertTrue(page.contains("| queue |  | +4.0 ± 1.0 |"), page);
            assertTrue(page.contains("with 2 seeds chance alone exceeds 12.7 standard errors"), page);
            assertTrue(page.contains("| bce-warmup |  |  |"), page);
            assertTrue(report.csv().contains("queue,16,test,2,19.000,5.657,4.000,1.000,7.0"), report.csv());
            assertEquals(
                    List.of("infonce,16,1,3,0.10000,7.0,", "infonce,16,2,3,0.20000,7.0,"),
                    report.cells()
                            .lines()
                            .skip(1)
                            .filter(line -> line.startsWith("infonce"))
                            .toList());
            assertTrue(!ComparisonPlots.byLoss(report, "test").contains("NaN"));
            assertTrue(!ComparisonPlots.byBatch(report, "test").contains("NaN"));
        }
    }

    private static Comparison.Result result(String loss, int batch, long seed, double recall) {
        return new Comparison.Result(new Comparison.Cell(loss, batch, seed), Map.of("test", recall), 7, null);
    }
}
