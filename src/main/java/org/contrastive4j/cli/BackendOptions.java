package org.contrastive4j.cli;

import org.contrastive4j.Backend;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Precision;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Options that choose the backend and the precision of a command. */
final class BackendOptions {
    @Option(names = "--device", description = "backend: auto, cpu, cpu-f64, cuda, cuda:1 and so on, sim")
    String device = "auto";

    @Option(
            names = "--precision",
            description = "precision of activations, their products and InfoNCE: f32, tf32, bf16 or f16, if the device "
                    + "supports it; parameters, optimiser state and other losses stay f32; default: f32, or the "
                    + "precision of the resumed run")
    @Nullable
    Precision precision;

    Ops open() {
        return open(null);
    }

    /** @param usual precision without --precision; null for the default of the backend */
    Ops open(@Nullable Precision usual) {
        return Backend.open(device, Long.MAX_VALUE, precision == null ? usual : precision);
    }
}
