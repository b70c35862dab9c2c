package org.contrastive4j.autograd;

import java.util.Arrays;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;

/**
 * y[i] = table[ids[i]]; input table [vocabulary, w], output [ids..., w]. Backward: dTable[ids[i]] +=
 * dy[i] in order of i.
 */
final class Embedding extends Function {
    private final Tensor ids;

    /** @param ids I32; stays the caller's, must be open until backward is done */
    Embedding(Tensor ids) {
        super("embedding");
        this.ids = ids;
    }

    @Override
    protected Tensor[] forward(Forward f) {
        int[] dims = Arrays.copyOf(ids.shape().dims(), ids.shape().rank() + 1);
        dims[dims.length - 1] = f.input(0).dim(-1);
        Tensor y = f.allocate(Shape.of(dims));
        f.ops().sequence().embedding(ids, f.input(0), y);
        return new Tensor[] {y};
    }

    @Override
    protected void backward(Backward b) {
        Tensor dTable = b.accumulator(0);
        b.ops().sequence().embeddingBackward(ids, b.outputGradient(0), dTable);
        b.accumulate(0, dTable);
    }
}
