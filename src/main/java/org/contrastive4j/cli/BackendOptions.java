package org.contrastive4j.cli;

import org.contrastive4j.Backend;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Precision;
import picocli.CommandLine.Option;

/** Which backend a command runs on, and what it computes in. */
final class BackendOptions {
    @Option(names = "--device", description = "backend: auto, cpu, cpu-f64, cuda, cuda:1 and so on, sim")
    String device = "auto";

    @Option(
            names = "--precision",
            description = "of activations, their products and those of InfoNCE: f32, tf32, bf16 or f16, as the device "
                    + "has them; parameters, optimiser and other losses stay f32. Without it f32, or "
                    + "that of the run to resume")
    Precision precision;

    Ops open() {
        return open(null);
    }

    /** @param usual precision where none is asked for; null for that of the backend */
    Ops open(Precision usual) {
        return Backend.open(device, Long.MAX_VALUE, precision == null ? usual : precision);
    }
}
