package org.contrastive4j.internal.parse;

import java.util.List;
import java.util.Map;

/**
 * An entry or a device function.
 *
 * @param entry whether it can be launched
 * @param returns of a device function
 * @param registers all of them, by index
 * @param variables declared inside
 * @param directives performance and shape directives with their numbers, such as {@code .reqntid}
 * @param body instructions; empty of a declaration
 * @param defined whether it has a body
 */
public record Function(
        String name,
        boolean entry,
        List<Parameter> parameters,
        List<Parameter> returns,
        List<Register> registers,
        List<Variable> variables,
        Map<String, List<Integer>> directives,
        List<Instruction> body,
        boolean defined,
        int line) {
    /** Returns the same function under another name. */
    Function named(String other) {
        return new Function(other, entry, parameters, returns, registers, variables, directives, body, defined, line);
    }

    /** Returns the same function with other instructions. */
    Function withBody(List<Instruction> other) {
        return new Function(name, entry, parameters, returns, registers, variables, directives, other, defined, line);
    }

    /** Bytes of the parameters, offsets and alignment included. */
    public int parameterBytes() {
        int end = 0;
        for (Parameter parameter : parameters) {
            end = Math.max(end, parameter.offset() + parameter.bytes());
        }
        return end;
    }
}
