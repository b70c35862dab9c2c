package org.contrastive4j.cli;

import java.util.Map;
import java.util.concurrent.Callable;
import org.contrastive4j.Backend;
import picocli.CommandLine.Command;

/** Lists the backends and PTX devices of this machine, the choice of {@code auto}, and library versions. */
@Command(
        name = "devices",
        mixinStandardHelpOptions = true,
        description = "Lists backends and devices of this machine, the choice of \"auto\" with its reason, "
                + "and library versions.")
final class DevicesCommand implements Callable<Integer> {
    @Override
    public Integer call() {
        Backend.Choice auto = Backend.auto();
        print("backends, for --device of train, eval and search", Backend.descriptions());
        print("the choice of \"auto\" and its reason", Map.of(auto.name(), auto.reason()));
        print("devices, for --device of ptx run", Backend.devices());
        print("libraries", Backend.libraries());
        return 0;
    }

    private static void print(String title, Map<String, String> lines) {
        System.out.println(title + ":");
        lines.forEach((name, text) -> System.out.printf("  %-13s  %s%n", name, text));
    }
}
