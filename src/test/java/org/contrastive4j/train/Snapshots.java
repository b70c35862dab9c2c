package org.contrastive4j.train;

import java.nio.ByteBuffer;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.contrastive4j.tensor.Tensor;

/** Converts everything that a checkpoint of a run would hold to text, to compare two runs. */
final class Snapshots {
    private Snapshots() {}

    /** Returns the weights, the moments of the optimiser with the tensors of the loss, and the other state. */
    static List<String> of(Trainer trainer) {
        return List.of(
                bytes(TrainerState.weights(trainer.parameters())),
                bytes(trainer.trainingState()),
                trainer.state().toString());
    }

    private static String bytes(Map<String, Tensor> tensors) {
        StringBuilder all = new StringBuilder();
        new TreeMap<>(tensors).forEach((name, tensor) -> {
            ByteBuffer bytes = ByteBuffer.allocate((int) tensor.bytes());
            tensor.storage().download(tensor.offset() * tensor.dtype().bytes(), bytes);
            all.append(name)
                    .append(' ')
                    .append(HexFormat.of().formatHex(bytes.array()))
                    .append('\n');
        });
        return all.toString();
    }
}
