package org.contrastive4j.internal.parse;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A declared variable in a state space.
 *
 * @param space global, const, shared, local or param
 * @param count elements; 0 for an external array without a size
 * @param external declared here, sized by the launch (dynamic shared memory) or defined elsewhere
 * @param initial values of the first elements, the others are zero; null when nothing was given
 */
public record Variable(
        String name,
        Space space,
        Type type,
        long count,
        int alignment,
        boolean external,
        @Nullable List<Operand> initial) {
    /** State spaces that variables live in. */
    public enum Space {
        GLOBAL,
        CONST,
        SHARED,
        LOCAL,
        PARAM
    }

    public long bytes() {
        return count * type.bytes();
    }
}
