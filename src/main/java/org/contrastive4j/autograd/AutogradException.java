package org.contrastive4j.autograd;

/** A function failed; the message names the node and the pass, the cause says what was wrong. */
public final class AutogradException extends RuntimeException {
    private final String node;

    public AutogradException(String node, String pass, Throwable cause) {
        super(pass + " of " + node + ": " + cause.getMessage(), cause);
        this.node = node;
    }

    /** Path of the node, e.g. {@code image/block2/layer_norm}. */
    public String node() {
        return node;
    }
}
