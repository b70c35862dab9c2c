package org.contrastive4j.internal.parse;

import java.util.List;
import org.contrastive4j.device.PtxModule.PtxException;
import org.jspecify.annotations.Nullable;

/**
 * One instruction as written.
 *
 * @param guard predicate that must be true for a lane to take part; null for all
 * @param opcode first word, without modifiers
 * @param modifiers with their dots, in order
 * @param text source, for messages
 * @param origin file and line of the CUDA source that {@code .loc} names, such as {@code add.cu:12}; null where there
 *     is none
 */
public record Instruction(
        Operand.@Nullable Reg guard,
        String opcode,
        List<String> modifiers,
        List<Operand> operands,
        String file,
        int line,
        int column,
        String text,
        @Nullable String origin) {
    /** Returns the same instruction with other operands. */
    Instruction withOperands(List<Operand> other) {
        return new Instruction(guard, opcode, modifiers, other, file, line, column, text, origin);
    }

    public boolean has(String modifier) {
        return modifiers.contains(modifier);
    }

    /** Returns file and line of the PTX text, and of the CUDA source where known. */
    public String where() {
        return file + ":" + line + (origin == null ? "" : " (" + origin + ")");
    }

    /** Opcode with its modifiers. */
    public String name() {
        return opcode + String.join("", modifiers);
    }

    public PtxException error(String message) {
        return new PtxException(file, line, column, message + " in \"" + text + "\"");
    }
}
