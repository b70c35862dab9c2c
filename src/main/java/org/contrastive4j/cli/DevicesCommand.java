package org.contrastive4j.cli;

import java.util.concurrent.Callable;
import org.bytedeco.javacpp.Pointer;
import org.contrastive4j.ops.cpu.Workers;
import picocli.CommandLine.Command;

/** Lists what can be trained on. */
@Command(name = "devices", mixinStandardHelpOptions = true, description = "Lists the backends of this machine.")
final class DevicesCommand implements Callable<Integer> {
    @Override
    public Integer call() {
        System.out.printf("cpu      f32, OpenBLAS and vectorised Java, %d threads, %d MiB of memory%n", Workers.threads(),
                physicalMemory() >> 20);
        System.out.println("cpu-f64  the same operations in f64, plain loops: for gradient checks");
        return 0;
    }

    private static long physicalMemory() {
        return Pointer.totalPhysicalBytes();
    }
}
