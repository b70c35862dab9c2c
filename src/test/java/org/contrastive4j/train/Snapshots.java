package org.contrastive4j.train;

import java.nio.ByteBuffer;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.contrastive4j.tensor.Tensor;

/** All that a checkpoint of a run would hold, as text that two runs can be compared by. */
final class Snapshots {
    private Snapshots() {}

    /** Weights; moments of the optimiser and tensors of the loss; everything else. */
    static List<String> of(Trainer trainer) {
        return List.of(
                bytes(Trainer.weights(trainer.parameters())),
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
