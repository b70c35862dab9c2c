package org.contrastive4j.internal.parse;

import java.util.List;
import org.contrastive4j.device.PtxException;

/**
 * One instruction as written.
 *
 * @param guard predicate that must be true for a lane to take part; null for all
 * @param opcode first word, without modifiers
 * @param modifiers with their dots, in order
 * @param text source, for messages
 */
public record Instruction(
        Operand.Reg guard,
        String opcode,
        List<String> modifiers,
        List<Operand> operands,
        String file,
        int line,
        int column,
        String text) {
    public boolean has(String modifier) {
        return modifiers.contains(modifier);
    }

    /** Opcode with its modifiers. */
    public String name() {
        return opcode + String.join("", modifiers);
    }

    public PtxException error(String message) {
        return new PtxException(file, line, column, message + " in \"" + text + "\"");
    }
}
