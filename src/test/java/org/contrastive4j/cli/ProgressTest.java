package org.contrastive4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import org.contrastive4j.train.Trainer;
import org.junit.jupiter.api.Test;

/** The progress line at several widths of the terminal. */
class ProgressTest {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private int columns = 80;
    private final StatusLine line = StatusLine.of(new PrintStream(bytes, true, StandardCharsets.UTF_8), () -> columns);

    private static Trainer.Step step(int number, Map<String, Double> details) {
        return new Trainer.Step(number, 3.21, 0.1, 0.14, 1, 1, 14, 1e-3, details);
    }

    /** Returns the line after the last of 600 steps. */
    private String shown(Map<String, Double> details) {
        bytes.reset();
        Progress progress = new Progress(line, 0, 600, 1024);
        progress.recall("new-design", 0.34);
        progress.recall("new-concept", 0.2);
        progress.recall("new-both", 0.1);
        progress.step(step(600, details));
        String written = bytes.toString(StandardCharsets.UTF_8);
        return written.substring(written.lastIndexOf("\u001b[J") + 3);
    }

    @Test
    void line_at80Columns_fitsAndHasRecallAndSpeed() {
        String shown = shown(Map.of());
        assertTrue(shown.length() < 80, shown);
        for (String part : List.of("600/600", "loss 3.210", "0:00 left", "new-design R@1 34%", "pairs/s")) {
            assertTrue(shown.contains(part), shown);
        }
    }

    @Test
    void line_atAnyWidth_fitsAndKeepsTheStep() {
        for (columns = 20; columns < 200; columns++) {
            String shown = shown(Map.of("lossScale", 32768.0, "skippedSteps", 2.0));
            assertTrue(shown.length() < columns, columns + ": " + shown);
            assertTrue(shown.startsWith("600/600"), columns + ": " + shown);
            assertFalse(shown.contains("[]") || shown.contains("[ ]"), shown);
        }
    }

    @Test
    void line_onAWideTerminal_showsEverything() {
        columns = 190;
        String shown = shown(Map.of("lossScale", 32768.0, "skippedSteps", 2.0));
        for (String part :
                List.of("[####", "in-batch R@1 12%", "new-both R@1 10%", "loss scale 32768, 2 steps skipped")) {
            assertTrue(shown.contains(part), shown);
        }
    }

    @Test
    void line_inANarrowerWindow_isRewrittenFromTheFirstWrappedRow() {
        columns = 120;
        line.show("x".repeat(119));
        bytes.reset();
        columns = 40;
        line.show("y");
        assertEquals("\r\u001b[2A\u001b[Jy", bytes.toString(StandardCharsets.UTF_8));
    }

    @Test
    void keep_afterALine_writesOneLineBreak() {
        line.show("x");
        bytes.reset();
        line.keep();
        line.close();
        assertEquals(System.lineSeparator(), bytes.toString(StandardCharsets.UTF_8));
    }
}
