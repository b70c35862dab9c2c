package org.contrastive4j.ops;

/**
 * Operations that were noted once and are done again each time it runs: on the same tensors, with whatever is in them
 * then, and with the same numbers beside them. The tensors must stay open.
 */
public interface CapturedGraph extends AutoCloseable {
    /** Gives all of it to the backend; does not wait. */
    void run();

    /** Number of operations of the device that it holds. */
    int operations();

    @Override
    void close();
}
