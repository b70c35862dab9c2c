package org.contrastive4j.loss;

import org.contrastive4j.ops.Ops;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** A copy of ids on a backend that captures graphs, where a graph reads them at every replay; empty on others. */
final class DeviceIds implements AutoCloseable {
    private final Ops ops;
    private final int[] ids;
    private final @Nullable Tensor tensor;

    /** @param ids of the host; not copied */
    DeviceIds(Ops ops, int[] ids) {
        this.ops = ops;
        this.ids = ids;
        tensor = ops.canCapture() ? ops.ints(Shape.of(ids.length), ids) : null;
    }

    /** Sends the current ids of the host. */
    void send() {
        if (tensor != null) {
            ops.send(ids, tensor);
        }
    }

    /** Returns the first {@code count} ids, I32; null on a backend that captures no graphs. */
    @Nullable
    Tensor first(int count) {
        return tensor == null ? null : tensor.rows(0, count);
    }

    @Override
    public void close() {
        if (tensor != null) {
            tensor.close();
        }
    }
}
