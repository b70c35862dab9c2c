package org.contrastive4j.internal.parse;

/**
 * A declared register.
 *
 * @param index in its function, from 0
 */
public record Register(int index, String name, Type type) {
    public boolean isPredicate() {
        return type == Type.PRED;
    }

    @Override
    public String toString() {
        return name;
    }
}
