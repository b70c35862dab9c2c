package org.contrastive4j.internal.parse;

/**
 * A declared parameter of an entry.
 *
 * @param name as declared
 * @param type of an element
 * @param count number of elements; 1 for a scalar
 * @param array whether it was declared with brackets
 * @param alignment in bytes
 * @param offset in the parameter space
 */
public record Parameter(String name, Type type, int count, boolean array, int alignment, int offset) {
    public int bytes() {
        return type.bytes() * count;
    }
}
