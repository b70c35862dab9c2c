package org.contrastive4j.internal.sim.exec;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.contrastive4j.device.PtxModule.PtxException;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Type;
import org.jspecify.annotations.Nullable;

/**
 * Decodes an instruction into a step; each family of instructions is one class of decoders, found by the opcode.
 *
 * <p>Tested by {@code SimDeviceTest}.
 */
interface Decoder {
    /** @throws PtxException by name when the variant is not known */
    @Nullable
    Step decode(Instruction instruction, Operands operands);

    /** All opcodes there are. */
    Map<String, Decoder> BY_OPCODE = all();

    private static Map<String, Decoder> all() {
        Map<String, Decoder> all = new HashMap<>();
        for (Map<String, Decoder> family : List.of(
                IntegerSteps.FAMILY,
                LogicSteps.FAMILY,
                FloatSteps.FAMILY,
                HalfSteps.FAMILY,
                CompareSteps.FAMILY,
                ConvertSteps.FAMILY,
                MoveSteps.FAMILY,
                MemorySteps.FAMILY,
                AtomicSteps.FAMILY,
                ControlSteps.FAMILY,
                StackSteps.FAMILY,
                WarpSteps.FAMILY,
                BarrierSteps.FAMILY,
                MbarrierSteps.FAMILY,
                CopySteps.FAMILY,
                MatrixSteps.FAMILY,
                WmmaSteps.FAMILY,
                WgmmaSteps.FAMILY)) {
            all.putAll(family);
        }
        return Map.copyOf(all);
    }

    static Step of(Instruction instruction, Operands operands) {
        Decoder decoder = BY_OPCODE.get(instruction.opcode());
        if (decoder == null) {
            throw unknown(instruction);
        }
        Step step = decoder.decode(instruction, operands);
        if (step == null) {
            throw unknown(instruction);
        }
        return step;
    }

    static PtxException unknown(Instruction instruction) {
        return instruction.error("the simulator does not support " + instruction.name());
    }

    /** Opcodes that only compute registers from registers, the lanes of a shuffle included. */
    Set<String> PURE = pure();

    private static Set<String> pure() {
        Set<String> pure = new HashSet<>(Set.of("shfl"));
        for (Map<String, Decoder> family : List.of(
                IntegerSteps.FAMILY,
                LogicSteps.FAMILY,
                FloatSteps.FAMILY,
                HalfSteps.FAMILY,
                CompareSteps.FAMILY,
                ConvertSteps.FAMILY,
                MoveSteps.FAMILY)) {
            pure.addAll(family.keySet());
        }
        return Set.copyOf(pure);
    }

    static boolean isPure(String opcode) {
        return PURE.contains(opcode);
    }

    /** The last type among the modifiers. */
    static Type type(Instruction instruction) {
        for (int i = instruction.modifiers().size() - 1; i >= 0; i--) {
            Type type = Type.of(instruction.modifiers().get(i).substring(1));
            if (type == Type.B128) { // a lane holds 64 bits
                throw unknown(instruction);
            }
            if (type != null) {
                return type;
            }
        }
        throw instruction.error(instruction.name() + " names no type");
    }

    /** All types among the modifiers, in order. */
    static List<Type> types(Instruction instruction) {
        return instruction.modifiers().stream()
                .map(modifier -> Type.of(modifier.substring(1)))
                .filter(type -> type != null)
                .toList();
    }

    /** @throws PtxException where the instruction does not name as many types */
    static Type type(Instruction instruction, int number) {
        List<Type> types = types(instruction);
        if (number >= types.size()) {
            throw unknown(instruction);
        }
        return types.get(number);
    }

    /** @throws PtxException where the instruction does not have as many modifiers */
    static String modifier(Instruction instruction, int number) {
        if (number >= instruction.modifiers().size()) {
            throw unknown(instruction);
        }
        return instruction.modifiers().get(number);
    }

    static Numbers.Rounding rounding(Instruction instruction) {
        for (String modifier : instruction.modifiers()) {
            switch (modifier) {
                case ".rn", ".rni" -> {
                    return Numbers.Rounding.NEAREST;
                }
                case ".rz", ".rzi" -> {
                    return Numbers.Rounding.ZERO;
                }
                case ".rm", ".rmi" -> {
                    return Numbers.Rounding.DOWN;
                }
                case ".rp", ".rpi" -> {
                    return Numbers.Rounding.UP;
                }
                case ".rna" -> {
                    return Numbers.Rounding.NEAREST_AWAY;
                }
                default -> {}
            }
        }
        return Numbers.Rounding.NEAREST;
    }
}
