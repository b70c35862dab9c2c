package org.contrastive4j.ops;

/**
 * Operations captured as a CUDA graph. Each launch runs them on the same tensors, with the values these have then, and
 * with the same scalar arguments. The tensors must stay open.
 */
public interface CapturedGraph extends AutoCloseable {
    /** Launches the graph in stream order; does not synchronise. */
    void run();

    /**
     * Returns the size of the graph.
     *
     * @return number of nodes: kernels, copies and fills
     */
    int operations();

    /** Frees the graph. */
    @Override
    void close();
}
