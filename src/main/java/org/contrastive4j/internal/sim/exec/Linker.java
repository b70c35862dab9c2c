package org.contrastive4j.internal.sim.exec;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.contrastive4j.device.PtxModule.Launch;
import org.contrastive4j.device.PtxModule.PtxException;
import org.contrastive4j.internal.parse.Function;
import org.contrastive4j.internal.parse.Instruction;
import org.contrastive4j.internal.parse.Operand;
import org.contrastive4j.internal.parse.Parameter;
import org.contrastive4j.internal.parse.Program;
import org.contrastive4j.internal.parse.Register;
import org.contrastive4j.internal.parse.Type;
import org.contrastive4j.internal.parse.Variable;
import org.jspecify.annotations.Nullable;

/**
 * Lays out one kernel with the functions it calls: rows for registers and constants, addresses for variables, steps for
 * instructions.
 *
 * <p>Tested by {@code SimDeviceTest}.
 */
public final class Linker {
    private static final int ROW = Warp.LANES;
    /** Local memory that a thread can have. */
    private static final int MOST_LOCAL = 512 << 10;
    /** Gap between local variables. */
    private static final int LOCAL_GAP = 16;

    private final Program program;
    private final Function entry;
    private final Map<String, Region> globals;
    private final Map<String, Integer> rowBases = new HashMap<>();
    private final Map<String, Integer> starts = new HashMap<>();
    private final List<Function> functions = new ArrayList<>();
    private final Map<Long, Integer> constants = new LinkedHashMap<>();
    private final Map<String, Integer> specials = new LinkedHashMap<>();
    private final Map<String, Integer> local = new HashMap<>();
    private int rows;
    private int predicates;
    private final Layout localLayout = new Layout();
    private final SharedVariables shared;
    private int localEnd;
    private boolean communicates;
    private boolean usesWgmma;
    private boolean usesAsyncProxy;
    private boolean usesStack;
    private Function current; // whose instructions are linked now

    private Linker(Program program, Function entry, Map<String, Region> globals) {
        this.program = program;
        this.entry = entry;
        this.globals = globals;
        this.current = entry;
        collect(entry);
        shared = SharedVariables.layOut(program, entry, functions);
    }

    /**
     * @param globals blocks of the module's global and const variables by name
     * @throws PtxException naming the first instruction that is not known
     */
    public static Code link(Program program, Function entry, Map<String, Region> globals) {
        return new Linker(program, entry, globals).link();
    }

    private Code link() {
        rows = 2 * ROW; // scratch, then registers
        predicates = 2; // always true, scratch
        int at = 0;
        for (Function function : functions) {
            rowBases.put(function.name(), rows);
            starts.put(function.name(), at);
            rows += function.registers().size() * ROW;
            predicates = Math.max(predicates, rows / ROW);
            at += function.body().size() + 1;
        }
        Step[] steps = new Step[at];
        int next = 0;
        for (Function function : functions) {
            current = function;
            int first = next;
            int[] converge = PostDominators.of(function.body());
            for (Instruction instruction : function.body()) {
                int point = converge[next - first];
                steps[next] = step(instruction, next, point < 0 ? PostDominators.NONE : first + point);
                next++;
            }
            steps[next] = step(end(function), next, PostDominators.NONE);
            next++;
        }
        int stackBase = usesStack ? align(localEnd, LOCAL_GAP) : -1;
        long[] template = new long[rows];
        constants.forEach((value, row) -> Arrays.fill(template, row, row + ROW, value));
        return new Code(
                entry,
                steps,
                template,
                Map.copyOf(specials),
                predicates,
                shared.bytes(),
                shared.layout(),
                shared.end(),
                shared.reserved(),
                usesStack ? stackBase + LocalStack.BYTES : localEnd,
                stackBase,
                localLayout,
                clusterSize(),
                communicates,
                usesWgmma,
                usesAsyncProxy,
                names(),
                types());
    }

    /** A function may end without ret. */
    private static Instruction end(Function function) {
        int line = function.body().isEmpty()
                ? function.line()
                : function.body().get(function.body().size() - 1).line();
        String file = function.body().isEmpty()
                ? function.name()
                : function.body().get(0).file();
        return new Instruction(null, "ret", List.of(), List.of(), file, line, 0, "ret", null);
    }

    private Step step(Instruction instruction, int index, int converge) {
        Operands operands = new Operands(this, instruction);
        Step step = Decoder.of(instruction, operands);
        int guard = -1;
        boolean negated = false;
        if (instruction.guard() != null) {
            guard = predicate(instruction.guard().register());
            negated = instruction.guard().negated();
            operands.noteGuard(guard);
        }
        step.bind(instruction, index, guard, negated, converge);
        operands.finish(step);
        usesWgmma |= step instanceof WgmmaStep;
        usesAsyncProxy |= step instanceof WgmmaStep || instruction.has(".bulk");
        return step;
    }

    private void collect(Function function) {
        if (functions.contains(function)) {
            return;
        }
        functions.add(function);
        for (Instruction instruction : function.body()) {
            if (!instruction.opcode().equals("call") || isIntrinsic(instruction)) {
                continue;
            }
            if (isIndirect(instruction)) {
                functionsWithAddress().forEach(this::collect);
            } else {
                collect(callee(instruction));
            }
        }
    }

    /** Whether a call is to a function of the CUDA runtime that the simulator has itself. */
    private boolean isIntrinsic(Instruction call) {
        Function named = named(call);
        return named != null && !named.defined() && Intrinsics.contains(named.name());
    }

    /** The first declaration of the function that a call names; null where there is none. */
    @Nullable
    Function named(Instruction call) {
        for (Operand operand : call.operands()) {
            if (operand instanceof Operand.Symbol symbol && symbol.variable() == null) {
                List<Function> found = program.functions().stream()
                        .filter(function -> function.name().equals(symbol.name()))
                        .toList();
                return found.stream()
                        .filter(Function::defined)
                        .findFirst()
                        .orElse(found.isEmpty() ? null : found.get(0));
            }
        }
        return null;
    }

    /** Whether a call takes the address of the function from a register. */
    static boolean isIndirect(Instruction call) {
        return call.operands().stream().anyMatch(Operand.Reg.class::isInstance);
    }

    /** Defined functions whose address is in a register or a table: those that a register can be called through. */
    List<Function> functionsWithAddress() {
        Set<String> names = new HashSet<>();
        for (Function function : program.functions()) {
            for (Instruction instruction : function.body()) {
                if (instruction.opcode().equals("mov")) {
                    collectFunctions(instruction.operands(), names);
                }
            }
        }
        for (Variable variable : program.variables()) {
            collectFunctions(variable.initial() == null ? List.of() : variable.initial(), names);
        }
        return program.functions().stream()
                .filter(function -> function.defined() && names.contains(function.name()))
                .toList();
    }

    private static void collectFunctions(List<Operand> operands, Set<String> names) {
        for (Operand operand : operands) {
            if (operand instanceof Operand.Symbol symbol && symbol.variable() == null) {
                names.add(symbol.name());
            }
        }
    }

    long functionAddress(String name, Instruction instruction) {
        if (program.functions().stream().noneMatch(function -> function.name().equals(name))) {
            throw instruction.error("there is no function " + name);
        }
        return functionAddress(program, name);
    }

    /** Address of a function, the same for its declaration and its definition. */
    public static long functionAddress(Program program, String name) {
        List<String> names = program.functions().stream().map(Function::name).toList();
        return Windows.FUNCTIONS + 16L * names.indexOf(name);
    }

    /** The function that a call names. */
    Function callee(Instruction call) {
        for (Operand operand : call.operands()) {
            if (operand instanceof Operand.Symbol symbol && symbol.variable() == null) {
                return program.functions().stream()
                        .filter(function -> function.name().equals(symbol.name()) && function.defined())
                        .findFirst()
                        .orElseThrow(() -> call.error("function " + symbol.name()
                                + " has no body in this file; link the file that defines it"));
            }
        }
        throw call.error("the call names no function");
    }

    private String[] names() {
        String[] names = new String[predicates];
        Arrays.fill(names, "");
        for (Function function : functions) {
            for (Register register : function.registers()) {
                names[firstRow(function) / ROW + register.index()] = register.name();
            }
        }
        return names;
    }

    private Type[] types() {
        Type[] types = new Type[predicates];
        Arrays.fill(types, Type.B64);
        for (Function function : functions) {
            for (Register register : function.registers()) {
                types[firstRow(function) / ROW + register.index()] = register.type();
            }
        }
        return types;
    }

    static int align(int at, int alignment) {
        return (at + alignment - 1) & -alignment;
    }

    private Launch.Dim clusterSize() {
        Launch.Dim size = dimensions(entry, ".reqnctapercluster");
        if (size == null) {
            return new Launch.Dim(1, 1, 1);
        }
        if (size.x() < 1 || size.y() < 1 || size.z() < 1) {
            throw new PtxException(
                    program.file(),
                    entry.line(),
                    0,
                    "cluster " + size + " of " + entry.name() + ", expected 1 or more blocks along each axis");
        }
        return size;
    }

    /** The one to three numbers of a directive; null when the function does not have it. */
    public static Launch.@Nullable Dim dimensions(Function function, String directive) {
        List<Integer> size = function.directives().get(directive);
        return size == null || size.isEmpty()
                ? null
                : new Launch.Dim(size.get(0), size.size() > 1 ? size.get(1) : 1, size.size() > 2 ? size.get(2) : 1);
    }

    String entryName() {
        return entry.name();
    }

    int row(Register register) {
        return firstRow(current) + register.index() * ROW;
    }

    int predicate(Register register) {
        return firstRow(current) / ROW + register.index();
    }

    /** The predicate that is always true. */
    int truth() {
        return 0;
    }

    int scratchPredicate() {
        return 1;
    }

    int scratch() {
        return 0;
    }

    int constant(long value) {
        return constants.computeIfAbsent(value, key -> newRow());
    }

    int special(String name, Instruction instruction) {
        if (name.startsWith("%reserved_smem")) {
            return constant(name.endsWith("_1") || name.endsWith("_begin") ? shared.reserved() : 0);
        }
        if (!Specials.isKnown(name)) {
            throw instruction.error("the simulator does not support the special register " + name);
        }
        if (Specials.isChanging(name)) {
            throw instruction.error(name + " can only be read by mov");
        }
        return specials.computeIfAbsent(name, key -> newRow());
    }

    private int newRow() {
        int row = rows;
        rows += ROW;
        return row;
    }

    /** Place of an instruction of the current function in the linked code. */
    int target(Operand.Target target) {
        return start(current) + target.instruction();
    }

    int firstRow(Function function) {
        return Objects.requireNonNull(rowBases.get(function.name()), function.name());
    }

    /** Whether a function can come to call itself. */
    boolean isRecursive(Function function) {
        return reaches(function, function, new ArrayList<>());
    }

    private boolean reaches(Function from, Function target, List<Function> seen) {
        for (Instruction instruction : from.body()) {
            if (!instruction.opcode().equals("call") || isIntrinsic(instruction)) {
                continue;
            }
            List<Function> callees = isIndirect(instruction) ? functionsWithAddress() : List.of(callee(instruction));
            for (Function next : callees) {
                if (next == target) {
                    return true;
                }
                if (!seen.contains(next)) {
                    seen.add(next);
                    if (reaches(next, target, seen)) {
                        return true;
                    }
                }
            }
        }
        return false;
    }

    int start(Function function) {
        return Objects.requireNonNull(starts.get(function.name()), function.name());
    }

    /** Some instruction allocates local memory. */
    void usesStack() {
        usesStack = true;
    }

    /** Some instruction lets blocks communicate. */
    void communicatesAcrossBlocks() {
        communicates = true;
    }

    /** Whether the instruction that is linked belongs to the kernel itself, not to a function that it calls. */
    boolean isInEntry() {
        return current == entry;
    }

    boolean isKernelParameter(@Nullable Variable variable) {
        return variable != null
                && variable.space() == Variable.Space.PARAM
                && current == entry
                && !entry.variables().contains(variable);
    }

    /** Address of a variable in its own state space. */
    long address(@Nullable Variable variable, Instruction instruction) {
        if (variable == null) {
            throw instruction.error("there is no such variable");
        }
        switch (variable.space()) {
            case GLOBAL, CONST -> {
                Region block = globals.get(variable.name());
                if (block == null) {
                    throw instruction.error("variable " + variable.name() + " is external and nothing defines it");
                }
                return block.base();
            }
            case SHARED -> {
                return Objects.requireNonNull(shared.addresses().get(variable), variable.name());
            }
            case PARAM -> {
                if (isKernelParameter(variable)) {
                    for (Parameter parameter : entry.parameters()) {
                        if (parameter.name().equals(variable.name())) {
                            return parameter.offset();
                        }
                    }
                }
                return local(current, variable);
            }
            default -> {
                return local(current, variable);
            }
        }
    }

    /**
     * Place in the local memory of a lane; the same for a function's parameter seen from inside and from its callers.
     */
    long local(Function function, Variable variable) {
        return allocateLocal(
                function.name() + "/" + variable.name() + "/" + variable.bytes(),
                variable.bytes(),
                variable.alignment());
    }

    long local(Function function, Parameter parameter) {
        return allocateLocal(
                function.name() + "/" + parameter.name() + "/" + parameter.bytes(),
                parameter.bytes(),
                parameter.alignment());
    }

    private long allocateLocal(String key, long bytes, int alignment) {
        return local.computeIfAbsent(key, name -> {
            int at = align(localEnd + (localEnd == 0 ? 0 : LOCAL_GAP), Math.max(8, alignment));
            if (bytes > MOST_LOCAL - at) {
                throw new PtxException(
                        program.file(),
                        current.line(),
                        0,
                        "local memory of " + current.name() + " is above " + MOST_LOCAL + " bytes");
            }
            localEnd = at + (int) bytes;
            localLayout.add(name.substring(name.indexOf('/') + 1, name.lastIndexOf('/')), at, (int) bytes);
            return at;
        });
    }
}
