package org.contrastive4j.loss;

import java.util.Arrays;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.ops.ShapeException;
import org.contrastive4j.tensor.Tensor;

/**
 * The last {@code capacity} keys that were put in, with their ids; the oldest give way. Capacity and batches may be of
 * any size, neither need divide the other. Empty at first: no random keys.
 *
 * <p>Owns a tensor [capacity, d]. Source: He et al., Momentum contrast for unsupervised visual representation learning,
 * 2020, section 3.
 */
public final class KeyQueue implements AutoCloseable {
    /** Id of a key that was put in without one; equal to no sample's id, so ids of samples must differ from it. */
    public static final int NO_ID = Integer.MIN_VALUE;

    private final Ops ops;
    private final Tensor keys;
    private final int[] ids;
    private int next;
    private int size;

    /** @throws LossOptionException when there is no room for a key */
    public KeyQueue(Ops ops, int capacity, int width) {
        LossOptionException.require(
                capacity >= 1 && width >= 1,
                "a queue of " + capacity + " keys of width " + width + ", expected at least 1 of each");
        this.ops = ops;
        keys = ops.allocateParameter(capacity, width);
        ops.pointwise().fill(keys, 0);
        ids = new int[capacity];
        Arrays.fill(ids, NO_ID);
    }

    public int capacity() {
        return ids.length;
    }

    /** Keys that are in it. */
    public int size() {
        return size;
    }

    /**
     * Puts unit rows in, in their order.
     *
     * @param rows [n, d]; read
     * @param rowIds [n] I32, or null
     * @throws LossOptionException when the batch is larger than the queue: its own keys would push each other out
     */
    public void put(Tensor rows, Tensor rowIds) {
        if (rows.shape().rank() != 2 || rows.dim(1) != keys.dim(1)) {
            throw new ShapeException("keys are " + rows + ", expected [n, " + keys.dim(1) + "]");
        }
        int count = rows.dim(0);
        LossOptionException.require(
                count <= capacity(),
                "a batch of " + count + " keys does not fit into a queue of " + capacity()
                        + "; use a queue of at least one batch");
        int[] newIds = rowIds == null ? null : rowIds.toInts();
        if (newIds != null && newIds.length != count) {
            throw new ShapeException(newIds.length + " ids for " + count + " keys");
        }
        int untilEnd = Math.min(count, capacity() - next);
        copy(rows, 0, untilEnd, next);
        copy(rows, untilEnd, count, 0);
        for (int k = 0; k < count; k++) {
            ids[(next + k) % capacity()] = newIds == null ? NO_ID : newIds[k];
        }
        next = (next + count) % capacity();
        size = Math.min(capacity(), size + count);
    }

    private void copy(Tensor rows, int from, int to, int at) {
        if (to > from) {
            ops.pointwise().copy(rows.rows(from, to), keys.rows(at, at + to - from));
        }
    }

    /** The keys in it [size, d], in no order that matters; a view, valid until the next change. */
    Tensor keys() {
        return keys.rows(0, size);
    }

    /** All places [capacity, d], filled or not; the live tensor, which a checkpoint reads and writes. */
    public Tensor places() {
        return keys;
    }

    int id(int k) {
        return ids[k];
    }

    /**
     * All of it, for a checkpoint.
     *
     * @param keys capacity times d numbers
     * @param ids of each place
     * @param next place of the next key
     * @param size number of keys
     */
    public record State(double[] keys, int[] ids, int next, int size) {}

    public State state() {
        return new State(keys.toDoubles(), ids.clone(), next, size);
    }

    /** Takes back what {@link #state()} of a queue of the same size gave. */
    public void restore(State state) {
        LossOptionException.require(
                state.ids.length == capacity()
                        && state.keys.length == keys.size()
                        && state.next >= 0
                        && state.next < capacity()
                        && state.size >= 0
                        && state.size <= capacity(),
                "state of " + state.ids.length + " keys, " + state.keys.length + " numbers, next " + state.next
                        + ", size " + state.size + " for a queue of " + keys);
        keys.set(state.keys);
        System.arraycopy(state.ids, 0, ids, 0, ids.length);
        next = state.next;
        size = state.size;
    }

    @Override
    public void close() {
        keys.close();
    }
}
