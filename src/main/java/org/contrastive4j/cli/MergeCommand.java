package org.contrastive4j.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.pretrained.PretrainedModel;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Writes a model with a merged adapter or interpolated weights. */
@Command(
        name = "merge",
        mixinStandardHelpOptions = true,
        showDefaultValues = true,
        description = "Merges a LoRA adapter into the weights of a CLIP or SigLIP model, interpolates with --start if "
                + "--wise-ft is given, and writes the model in the layout of --from.")
final class MergeCommand implements Callable<Integer> {
    @Mixin
    private FromOptions from;

    @Option(names = "--out", required = true, description = "folder to write")
    private Path out;

    @Mixin
    private BackendOptions backend;

    @Override
    public Integer call() {
        OutputFiles.requireWritableFolder("--out", out, List.of());
        try (Ops ops = backend.open();
                PretrainedModel model = from.open(ops)) {
            model.save(out);
            System.out.println("model: " + out);
            return 0;
        }
    }
}
