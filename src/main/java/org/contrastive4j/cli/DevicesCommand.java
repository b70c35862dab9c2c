package org.contrastive4j.cli;

import java.util.concurrent.Callable;
import org.contrastive4j.Backend;
import picocli.CommandLine.Command;

/** Lists what can be trained on. */
@Command(name = "devices", mixinStandardHelpOptions = true, description = "Lists the backends of this machine.")
final class DevicesCommand implements Callable<Integer> {
    @Override
    public Integer call() {
        Backend.descriptions().forEach((name, text) -> System.out.printf("%-8s  %s%n", name, text));
        return 0;
    }
}
