package org.contrastive4j.internal.parse;

import java.util.List;
import java.util.Map;

/**
 * A parsed PTX text.
 *
 * @param version as written, such as 8.0
 * @param target architecture, such as sm_90a
 * @param variables of the module: global, const and shared ones
 * @param linkage by name of a function or variable that other files see or define: {@code .visible}, {@code .weak},
 *     {@code .common} or {@code .extern}
 */
public record Program(
        String file,
        String version,
        String target,
        List<Variable> variables,
        List<Function> functions,
        Map<String, String> linkage) {
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
