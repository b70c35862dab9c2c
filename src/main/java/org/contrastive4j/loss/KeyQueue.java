package org.contrastive4j.loss;

import java.util.Arrays;
import java.util.Objects;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.tensor.Shape;
import org.contrastive4j.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A ring buffer of the most recent keys and their ids. New keys overwrite the oldest ones. The capacity need not be a
 * multiple of the batch size. The queue starts empty, without random keys.
 *
 * <p>Owns a tensor [capacity, d].
 *
 * <p>Source: He et al., Momentum contrast for unsupervised visual representation learning,
 * 2020, section 3.
 */
public final class KeyQueue implements AutoCloseable {
    /** Id of a key that was stored without one; no sample may have this id. */
    public static final int NO_ID = Integer.MIN_VALUE;

    private final Ops ops;
    private final Tensor keys;
    private final int[] ids;
    private final @Nullable Tensor idTensor; // the same for a backend that captures
    private int next;
    private int size;

    /**
     * Creates an empty queue.
     *
     * @param ops backend
     * @param capacity number of keys, at least 1
     * @param width d, at least 1
     * @throws LossOptionException when capacity or width is less than 1
     */
    public KeyQueue(Ops ops, int capacity, int width) {
        LossOptionException.require(
                capacity >= 1 && width >= 1,
                "expected a queue capacity and width of at least 1, got " + capacity + " and " + width);
        this.ops = ops;
        keys = ops.allocateParameter(capacity, width);
        ops.pointwise().fill(keys, 0);
        ids = new int[capacity];
        Arrays.fill(ids, NO_ID);
        idTensor = ops.canCapture() ? ops.ints(Shape.of(capacity), ids) : null;
    }

    /**
     * Returns the maximum number of keys.
     *
     * @return capacity
     */
    public int capacity() {
        return ids.length;
    }

    /**
     * Returns the number of stored keys.
     *
     * @return 0 to capacity
     */
    public int size() {
        return size;
    }

    /**
     * Stores the keys of a batch, in order, in place of the oldest ones.
     *
     * @param rows [n, d] unit rows; read
     * @param rowIds [n] I32, or null
     * @throws LossOptionException when the batch is larger than the queue
     * @throws ShapeException when rows or ids do not have these shapes
     */
    public void put(Tensor rows, @Nullable Tensor rowIds) {
        if (rows.shape().rank() != 2 || rows.dim(1) != keys.dim(1)) {
            throw new ShapeException("expected keys [n, " + keys.dim(1) + "], got " + rows);
        }
        int count = rows.dim(0);
        LossOptionException.require(
                count <= capacity(),
                "expected a batch of at most the queue capacity " + capacity() + ", got " + count
                        + " keys; use a queue of at least one batch");
        int[] newIds = rowIds == null ? null : rowIds.toInts();
        if (newIds != null && newIds.length != count) {
            throw new ShapeException("expected " + count + " ids, one for each key, got " + newIds.length);
        }
        int untilEnd = Math.min(count, capacity() - next);
        copy(rows, 0, untilEnd, next);
        copy(rows, untilEnd, count, 0);
        for (int k = 0; k < count; k++) {
            ids[(next + k) % capacity()] = newIds == null ? NO_ID : newIds[k];
        }
        sendIds();
        next = (next + count) % capacity();
        size = Math.min(capacity(), size + count);
    }

    private void copy(Tensor rows, int from, int to, int offset) {
        if (to > from) {
            ops.pointwise().copy(rows.rows(from, to), keys.rows(offset, offset + to - from));
        }
    }

    /** Returns the stored keys [size, d], in an arbitrary order; a view, valid until the next change. */
    Tensor keys() {
        return keys.rows(0, size);
    }

    /**
     * Returns the tensor of all slots, which a checkpoint reads and writes.
     *
     * @return [capacity, d]; slots without a key are zeros
     */
    public Tensor slots() {
        return keys;
    }

    int id(int k) {
        return ids[k];
    }

    /** Returns the ids of the stored keys, [size] I32; a view, valid until the next change. */
    Tensor ids() {
        return Objects.requireNonNull(idTensor, "a backend that captures")
                .rows(0, size);
    }

    private void sendIds() {
        if (idTensor != null) {
            ops.send(ids, idTensor);
        }
    }

    /**
     * The complete state of a queue, for a checkpoint.
     *
     * @param keys capacity times d elements
     * @param ids id of each slot
     * @param next slot of the next key
     * @param size number of stored keys
     */
    public record State(double[] keys, int[] ids, int next, int size) {}

    /**
     * Returns a copy of the state.
     *
     * @return the state
     */
    public State state() {
        return new State(keys.toDoubles(), ids.clone(), next, size);
    }

    /**
     * Restores a state.
     *
     * @param state of a queue of the same capacity and width
     * @throws LossOptionException when it is of another size or inconsistent
     */
    public void restore(State state) {
        LossOptionException.require(
                state.ids.length == capacity()
                        && state.keys.length == keys.size()
                        && state.next >= 0
                        && state.next < capacity()
                        && state.size >= 0
                        && state.size <= capacity(),
                "expected the state of a queue of " + keys + ", got " + state.ids.length + " ids, " + state.keys.length
                        + " elements, next " + state.next + ", size " + state.size);
        keys.set(state.keys);
        System.arraycopy(state.ids, 0, ids, 0, ids.length);
        sendIds();
        next = state.next;
        size = state.size;
    }

    @Override
    public void close() {
        keys.close();
        if (idTensor != null) {
            idTensor.close();
        }
    }
}
