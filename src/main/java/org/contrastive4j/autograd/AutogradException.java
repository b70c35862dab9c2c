package org.contrastive4j.autograd;

/** Thrown when the forward or backward pass of a function fails. The message names the node and the pass. */
public final class AutogradException extends RuntimeException {
    private final String node;

    /**
     * Creates an exception.
     *
     * @param node path of the node
     * @param pass "forward" or "backward"
     * @param cause the failure of the function
     */
    public AutogradException(String node, String pass, Throwable cause) {
        super(pass + " of " + node + ": " + cause.getMessage(), cause);
        this.node = node;
    }

    /**
     * Returns the path of the node that failed, e.g. {@code image/block2/layer_norm}.
     *
     * @return the path
     */
    public String node() {
        return node;
    }
}
