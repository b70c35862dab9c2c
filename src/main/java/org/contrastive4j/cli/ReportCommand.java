package org.contrastive4j.cli;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.contrastive4j.train.TrainingRun;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Writes an HTML page about runs. */
@Command(
        name = "report",
        mixinStandardHelpOptions = true,
        description = "Writes an HTML page about one run or a comparison of several runs: settings, recall and curves.")
final class ReportCommand implements Callable<Integer> {
    @Parameters(arity = "1..*", paramLabel = "RUN", description = "run folders, finished or not")
    private List<Path> runs;

    @Option(
            names = "--out",
            description = "page to write; default: report.html in the run folder of one run, runs.html in the working "
                    + "folder for several")
    private @Nullable Path out;

    @Override
    public Integer call() {
        if (out != null) {
            OutputFiles.requireWritable("--out", out);
        }
        Path target = out != null ? out : runs.size() == 1 ? runs.get(0).resolve("report.html") : Path.of("runs.html");
        String page = TrainingRun.report(runs); // first: the default target is in a run folder, which must exist
        OutputFiles.requireWritable("--out", target);
        OutputFiles.write(target, page.getBytes(StandardCharsets.UTF_8));
        System.out.println("report: " + target);
        return 0;
    }
}
