package org.contrastive4j.cli;

import org.contrastive4j.Backend;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Precision;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Options that choose the backend and the precision of a command. */
final class BackendOptions {
    @Option(
            names = "--device",
            completionCandidates = Candidates.Backends.class,
            description = "backend: auto, cpu, cpu-f64, cuda, cuda:1 and so on, sim")
    String device = "auto";

    @Option(
            names = "--precision",
            completionCandidates = Candidates.Precisions.class,
            description = "precision of activations, their products and InfoNCE: f32 on every backend but cpu-f64, "
                    + "which computes everything in f64; tf32, bf16 or f16 on cuda and sim, where parameters, "
                    + "optimiser state and other losses stay f32; default: f32 (cpu-f64: f64), or the precision of "
                    + "the resumed run")
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
