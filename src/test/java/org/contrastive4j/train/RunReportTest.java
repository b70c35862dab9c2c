package org.contrastive4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** HTML pages about the runs in folders. */
class RunReportTest {
    @TempDir
    Path folder;

    private static RunRecord run(String name, int batch, int steps) {
        List<Map<String, Object>> metrics = new ArrayList<>();
        for (int step = 1; step <= steps; step++) {
            metrics.add(Map.of(
                    "step",
                    step,
                    "loss",
                    1.0 / step,
                    "learningRate",
                    1e-3,
                    "seconds",
                    0.5 * step,
                    "r1.test",
                    0.1,
                    "positives.mean",
                    0.5,
                    "positives.p05",
                    0.4,
                    "negatives.mean",
                    0.1,
                    "pairsPerSecond",
                    32));
        }
        return new RunRecord(
                name,
                "finished",
                false,
                Map.of("batch", batch, "data", "/data/<pairs>", "steps", steps),
                Map.of("leftOut", Map.of("unreadable picture", 1234)),
                metrics,
                Map.of(
                        "peakBytes",
                        3 << 20,
                        "splits",
                        Map.of(
                                "test",
                                Map.of(
                                        "image to text",
                                        Map.of(
                                                "r1",
                                                0.123,
                                                "r5",
                                                0.2,
                                                "r10",
                                                0.3,
                                                "chance",
                                                0.0006,
                                                "candidates",
                                                1720)))),
                new byte[0]);
    }

    @Test
    void page_ofOneRun_hasTheValuesOfTheConsole() {
        String page = RunReport.html(List.of(run("one", 16, 5)));
        assertTrue(page.contains("<td>0.06%</td>"), "chance in the format of the console");
        assertTrue(page.contains("<td>1,720</td>") && page.contains("<td>12.3%</td>"));
        assertTrue(page.contains("3 MiB") && !page.contains("3145728"), "memory in MiB");
        assertTrue(page.contains("1,234 unreadable picture"));
        assertTrue(page.contains("/data/&lt;pairs&gt;") && !page.contains("<pairs>"));
        assertTrue(page.contains("32 pairs/s"), "5 steps of 16 in 2.5 s");
    }

    @Test
    void page_ofSeveralRuns_hasARowForEachDifferentSettingAndCurvesOverPairs() {
        String page = RunReport.html(List.of(run("one", 16, 5), run("two", 32, 5)));
        assertTrue(page.contains("<tr><th>run</th><th>one</th><th>two</th></tr>"), page);
        assertTrue(page.contains("<tr><td>batch</td><td>16</td><td>32</td></tr>"), page);
        assertFalse(page.contains("<td>data</td>"));
        Map<String, Object> loss = new ReportCharts(List.of(run("one", 16, 2), run("two", 32, 2)))
                .all()
                .get(0);
        assertEquals("pairs seen", loss.get("x"));
        assertEquals(List.of(16L, 32L, 64L), loss.get("xs"));
    }

    @Test
    void charts_ofALongRun_haveAtMostSixHundredPoints() {
        Map<String, Object> loss =
                new ReportCharts(List.of(run("long", 16, 10_000))).all().get(0);
        assertEquals("Loss", loss.get("title"));
        int points = ((List<?>) loss.get("xs")).size();
        assertTrue(points <= 600 && points > 300, points + " points");
    }

    @Test
    void charts_ofOneRun_haveSpeedRateAndCosinesWithTheirQuantiles() {
        List<Map<String, Object>> charts = new ReportCharts(List.of(run("one", 16, 5))).all();
        assertEquals(
                List.of(
                        "Loss",
                        "Held-out recall at 1, mean of both directions",
                        "Cosines",
                        "Learning rate",
                        "Pairs per second"),
                charts.stream().map(chart -> chart.get("title")).toList());
        String cosines = charts.get(2).get("series").toString();
        assertTrue(
                cosines.contains("name=positives, thin=false") && cosines.contains("name=positives, 5%, thin=true"),
                cosines);
    }

    @Test
    void page_ofAFolderWithoutARun_isRejected() {
        String message = assertThrows(RunFolder.RunFolderException.class, () -> RunReport.of(List.of(folder)))
                .getMessage();
        assertTrue(message.contains("holds no run"), message);
    }
}
