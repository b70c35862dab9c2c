package org.contrastive4j.cli;

import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** Prints what an assembler sees of a file. */
@Command(
        name = "expand",
        mixinStandardHelpOptions = true,
        description = "Prints a PTX file with #include, #define and #if expanded; "
                + "marks such as #line 12 \"file\" say where lines come from.")
final class PtxExpandCommand implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "FILE", description = "PTX with preprocessor lines")
    private Path file;

    @Mixin
    private PtxSource source;

    @Override
    public Integer call() {
        System.out.print(source.readOne(file));
        return 0;
    }
}
