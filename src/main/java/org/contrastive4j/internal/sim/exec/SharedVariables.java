package org.contrastive4j.internal.sim.exec;

import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.contrastive4j.device.PtxModule.PtxException;
import org.contrastive4j.internal.parse.Function;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Operand;
import org.contrastive4j.internal.parse.Program;
import org.contrastive4j.internal.parse.Type;
import org.contrastive4j.internal.parse.Variable;

/**
 * The shared variables that a kernel uses, with gaps between them.
 *
 * <p>Tested by {@code SimDeviceTest}.
 *
 * @param addresses in the shared state space
 * @param layout offsets of the variables
 * @param bytes static shared memory as a compiler packs it
 * @param reserved address of the memory that {@code %reserved_smem_offset_1} gives; 0 where no instruction reads it
 * @param end offset at which dynamic shared memory begins
 */
record SharedVariables(Map<Variable, Integer> addresses, Layout layout, int bytes, int end, int reserved) {
    /** Static shared memory that a block can have. */
    private static final int MOST_SHARED = 48 << 10;
    /** Gaps are multiples of the 128 bytes of all memory banks. */
    private static final int LARGE_GAP = 1024;

    static final int RESERVED_BYTES = 1024;

    /** What the system reserves in each block. */
    private static final Variable RESERVED =
            new Variable("reserved shared memory", Variable.Space.SHARED, Type.B8, RESERVED_BYTES, 16, false, null);

    private static final int SMALL_GAP = 128;
    private static final int MANY_VARIABLES = 8;

    /** Shared variables of the functions that are called, and those of the module that they name. */
    private static List<Variable> variables(Program program, List<Function> functions) {
        Set<Variable> named = Collections.newSetFromMap(new IdentityHashMap<>());
        for (Function function : functions) {
            for (Instruction instruction : function.body()) {
                instruction.operands().forEach(operand -> collectVariables(operand, named));
            }
        }
        List<Variable> all = new ArrayList<>();
        program.variables().stream().filter(named::contains).forEach(all::add);
        functions.forEach(function -> all.addAll(function.variables()));
        if (functions.stream().anyMatch(SharedVariables::readsReserved)) {
            all.add(RESERVED);
        }
        all.removeIf(variable -> variable.space() != Variable.Space.SHARED);
        return all;
    }

    private static boolean readsReserved(Function function) {
        return function.body().stream()
                .flatMap(instruction -> instruction.operands().stream())
                .anyMatch(operand -> operand instanceof Operand.Special special
                        && special.name().startsWith("%reserved_smem"));
    }

    private static void collectVariables(Operand operand, Set<Variable> named) {
        if (operand instanceof Operand.Symbol symbol && symbol.variable() != null) {
            named.add(symbol.variable());
        } else if (operand instanceof Operand.Mem memory) {
            collectVariables(memory.base(), named);
            memory.rest().forEach(part -> collectVariables(part, named));
        } else if (operand instanceof Operand.Vec vector) {
            vector.elements().forEach(part -> collectVariables(part, named));
        } else if (operand instanceof Operand.Args arguments) {
            arguments.elements().forEach(part -> collectVariables(part, named));
        }
    }

    /** @throws PtxException when the static variables need more than a block can have */
    static SharedVariables layOut(Program program, Function entry, List<Function> functions) {
        List<Variable> all = variables(program, functions);
        Map<Variable, Integer> addresses = new IdentityHashMap<>();
        Layout layout = new Layout();
        int gap = all.size() > MANY_VARIABLES ? SMALL_GAP : LARGE_GAP;
        int packed = 0;
        int end = 0;
        for (Variable variable : all) {
            if (variable.external()) {
                continue;
            }
            if (variable.bytes() > MOST_SHARED - packed) {
                throw new PtxException(
                        program.file(),
                        entry.line(),
                        0,
                        "static shared memory of " + entry.name()
                                + " is above " + MOST_SHARED + " bytes with " + variable.name()
                                + "; more can only be dynamic");
            }
            int before = packed;
            packed = Linker.align(packed, variable.alignment());
            // the gap keeps the memory bank that a compiler would choose
            end = Linker.align(end + (end == 0 ? 0 : gap) + packed - before, variable.alignment());
            addresses.put(variable, Cta.SHARED_BASE + end);
            layout.add(variable.name(), end, (int) variable.bytes());
            packed += (int) variable.bytes();
            end += (int) variable.bytes();
        }
        int dynamicPacked = packed;
        end += end == 0 ? 0 : gap;
        for (Variable variable : all) {
            if (variable.external()) { // all external arrays begin where the static ones end
                int aligned = Linker.align(dynamicPacked, variable.alignment());
                end = Linker.align(end + aligned - dynamicPacked, variable.alignment());
                dynamicPacked = aligned;
            }
        }
        for (Variable variable : all) {
            if (variable.external()) {
                addresses.put(variable, Cta.SHARED_BASE + end);
            }
        }
        layout.openAt(end);
        return new SharedVariables(addresses, layout, dynamicPacked, end, addresses.getOrDefault(RESERVED, 0));
    }
}
