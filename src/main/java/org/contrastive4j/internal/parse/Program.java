package org.contrastive4j.internal.parse;

import java.util.List;

/**
 * A parsed PTX text.
 *
 * @param version as written, such as 8.0
 * @param target architecture, such as sm_90a
 * @param variables of the module: global, const and shared ones
 */
public record Program(String file, String version, String target, List<Variable> variables, List<Function> functions) {
    public List<Function> entries() {
        return functions.stream()
                .filter(function -> function.entry() && function.defined())
                .toList();
    }

    /** The number in the target: 90 of {@code sm_90a}. */
    public int architecture() {
        return Integer.parseInt(target.replaceAll("[^0-9]", ""));
    }
}
