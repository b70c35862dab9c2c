package org.contrastive4j.cli;

import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** Prints a PTX file after preprocessing. */
@Command(
        name = "expand",
        mixinStandardHelpOptions = true,
        description = "Prints a PTX file with #include, #define and #if expanded; "
                + "markers such as #line 12 \"file\" state the origin of lines.")
final class PtxExpandCommand implements Callable<Integer> {
    @Parameters(index = "0", paramLabel = "FILE", description = "PTX file with preprocessor lines")
    private Path file;

    @Mixin
    private PtxSource source;

    @Override
    public Integer call() {
        System.out.print(source.readOne(file));
        return 0;
    }
}
