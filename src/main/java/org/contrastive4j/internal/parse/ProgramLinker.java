package org.contrastive4j.internal.parse;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.contrastive4j.device.PtxModule.PtxException;
import org.jspecify.annotations.Nullable;

/**
 * Links several PTX texts to one program, as {@code nvcc -rdc=true} leaves them: what one file declares as
 * {@code .extern}, another defines.
 *
 * <p>Names that are not {@code .visible}, {@code .weak} or {@code .common} belong to their file; where another file has
 * the same name they get the name of the file as a suffix.
 *
 * <p>Tested by {@code CudaFeaturesTest}.
 */
public final class ProgramLinker {
    private static final Set<String> REPLACEABLE = Set.of(".weak", ".common");

    private final List<Program> programs;
    private final List<Variable> variables = new ArrayList<>();
    private final List<Function> functions = new ArrayList<>();
    private final Map<String, Variable> definedVariables = new HashMap<>();
    private final Map<Variable, Variable> linked = new IdentityHashMap<>();

    private ProgramLinker(List<Program> programs) {
        this.programs = programs;
    }

    /**
     * Links programs; the first gives the name for messages.
     *
     * @throws PtxException when two files define the same visible name
     */
    public static Program link(List<Program> programs) {
        return programs.size() == 1 ? programs.get(0) : new ProgramLinker(programs).link();
    }

    private Program link() {
        checkDefinitions();
        programs.forEach(this::addVariables);
        for (Program program : programs) {
            for (Variable variable : program.variables()) {
                Variable definition = definedVariables.get(variable.name());
                if (isDeclaration(program, variable) && definition != null) {
                    linked.put(variable, definition);
                } else if (!linked.containsKey(variable)) {
                    linked.put(variable, variable);
                    variables.add(variable);
                }
            }
        }
        programs.forEach(this::addFunctions);
        Map<String, String> linkage = new HashMap<>();
        programs.forEach(program -> linkage.putAll(program.linkage()));
        Program newest = programs.stream()
                .max(Comparator.comparingInt(Program::architecture))
                .orElseThrow();
        return new Program(
                programs.get(0).file(),
                programs.get(0).version(),
                newest.target(),
                List.copyOf(variables),
                List.copyOf(functions),
                Map.copyOf(linkage));
    }

    private static boolean isDeclaration(Program program, Variable variable) {
        return variable.external() && variable.space() != Variable.Space.SHARED
                || REPLACEABLE.contains(program.linkage().getOrDefault(variable.name(), ""));
    }

    private void checkDefinitions() {
        Map<String, Program> seen = new HashMap<>();
        for (Program program : programs) {
            for (Function function : program.functions()) {
                check(program, function.name(), function.defined(), function.line(), seen);
            }
            for (Variable variable : program.variables()) {
                check(program, variable.name(), !variable.external(), 0, seen);
            }
        }
    }

    private static void check(Program program, String name, boolean defined, int line, Map<String, Program> seen) {
        if (!defined || !".visible".equals(program.linkage().get(name))) {
            return;
        }
        Program before = seen.put(name, program);
        if (before != null && before != program) {
            throw new PtxException(program.file(), line, 0, name + " is defined in " + before.file() + " too");
        }
    }

    /** Definitions; the name of a variable of one file changes where another file has it too. */
    private void addVariables(Program program) {
        for (Variable variable : program.variables()) {
            if (variable.external()) {
                continue;
            }
            boolean seen = program.linkage().containsKey(variable.name());
            if (seen && definedVariables.containsKey(variable.name())) {
                continue; // weak or common: the first one counts
            }
            Variable definition = new Variable(
                    seen ? variable.name() : ownName(program, variable.name()),
                    variable.space(),
                    variable.type(),
                    variable.count(),
                    variable.alignment(),
                    false,
                    variable.initial() == null ? null : operands(program, variable.initial()));
            variables.add(definition);
            linked.put(variable, definition);
            if (seen) {
                definedVariables.put(variable.name(), definition);
            }
        }
    }

    private void addFunctions(Program program) {
        for (Function function : program.functions()) {
            boolean taken =
                    functions.stream().anyMatch(other -> other.name().equals(function.name()) && other.defined());
            if (program.linkage().containsKey(function.name()) && taken) {
                continue; // a declaration of what is there, or a weak function
            }
            List<Instruction> body = function.body().stream()
                    .map(instruction -> instruction.withOperands(operands(program, instruction.operands())))
                    .toList();
            functions.add(function.named(functionName(program, function.name())).withBody(body));
        }
    }

    private String functionName(Program program, String name) {
        return program.linkage().containsKey(name) ? name : ownName(program, name);
    }

    private String ownName(Program program, String name) {
        boolean shared = programs.stream()
                .anyMatch(other -> other != program
                        && (other.functions().stream()
                                        .anyMatch(one -> one.name().equals(name))
                                || other.variables().stream()
                                        .anyMatch(one -> one.name().equals(name))));
        return shared ? name + "@" + program.file() : name;
    }

    private List<Operand> operands(Program program, List<Operand> operands) {
        return operands.stream().map(operand -> operand(program, operand)).collect(Collectors.toList());
    }

    private Operand operand(Program program, Operand operand) {
        if (operand instanceof Operand.Symbol symbol) {
            return symbol(program, symbol);
        }
        if (operand instanceof Operand.Mem memory) {
            return new Operand.Mem(operand(program, memory.base()), memory.offset(), operands(program, memory.rest()));
        }
        if (operand instanceof Operand.Vec vector) {
            return new Operand.Vec(operands(program, vector.elements()));
        }
        return operand instanceof Operand.Args arguments
                ? new Operand.Args(operands(program, arguments.elements()))
                : operand;
    }

    private Operand symbol(Program program, Operand.Symbol symbol) {
        @Nullable Variable variable = symbol.variable();
        if (variable == null) {
            boolean isFunction = program.functions().stream()
                    .anyMatch(function -> function.name().equals(symbol.name()));
            return isFunction
                    ? new Operand.Symbol(functionName(program, symbol.name()), null, symbol.offset())
                    : symbol;
        }
        Variable target = linked.getOrDefault(variable, variable);
        return new Operand.Symbol(target.name(), target, symbol.offset());
    }
}
