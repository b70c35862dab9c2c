package org.contrastive4j.internal.parse;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Reads one entry or function: parameters, directives, declarations, instructions; names and labels are
 * resolved by scope.
 *
 * <p>Tested by {@code ParserTest}.
 */
final class FunctionParser {
    private static final int MOST_PARAMETER_BYTES = 32_764;
    static final String VECTOR_ELEMENTS = "xyzwabcd";

    private final TokenStream tokens;
    private final String file;
    private final List<Variable> module;
    private final List<Function> functions;
    private final List<Register> registers = new ArrayList<>();
    private final List<Variable> variables = new ArrayList<>();
    private final Map<String, List<Integer>> directives = new LinkedHashMap<>();
    private final List<Instruction> body = new ArrayList<>();
    private final List<Scope> scopes = new ArrayList<>();
    private Scope scope = new Scope(null);

    /** Names between one pair of braces. */
    static final class Scope {
        final @Nullable Scope outer;
        final Map<String, Register> registers = new HashMap<>();
        final Map<String, Range> ranges = new HashMap<>();
        final Map<String, List<Register>> vectors = new HashMap<>();
        final Map<String, Variable> variables = new HashMap<>();
        final Map<String, Integer> labels = new HashMap<>();
        final Map<String, List<String>> targets = new HashMap<>();

        Scope(@Nullable Scope outer) {
            this.outer = outer;
        }
    }

    /** {@code %r<count>}: registers %r0 ... %r(count-1), each of so many elements. */
    record Range(Type type, int count, int elements) {}

    FunctionParser(TokenStream tokens, String file, List<Variable> module, List<Function> functions) {
        this.tokens = tokens;
        this.file = file;
        this.module = module;
        this.functions = functions;
    }

    Function function() {
        boolean entry = tokens.next().is(".entry");
        List<Parameter> returns = !entry && tokens.peek().is("(") ? parameters() : List.of();
        Token name = tokens.word();
        List<Parameter> parameters = tokens.peek().is("(") ? parameters() : List.of();
        while (tokens.peek().kind() == Token.Kind.DOT_WORD) {
            directive();
        }
        boolean defined = !tokens.accept(";");
        if (defined) {
            block();
        }
        return new Function(
                name.text(),
                entry,
                parameters,
                returns,
                List.copyOf(registers),
                List.copyOf(variables),
                directives,
                resolved(),
                defined,
                name.line());
    }

    private List<Parameter> parameters() {
        tokens.expect("(");
        List<Parameter> list = new ArrayList<>();
        int offset = 0;
        while (!tokens.accept(")")) {
            Token start = tokens.peek();
            if (start.is(".reg")) {
                throw start.error("register parameters are not supported, expected .param");
            }
            boolean array = false;
            for (int ahead = 0;
                    !tokens.peek(ahead).is(",")
                            && !tokens.peek(ahead).is(")")
                            && tokens.peek(ahead).kind() != Token.Kind.END;
                    ahead++) {
                array |= tokens.peek(ahead).is("[");
            }
            Variable variable = parameter();
            if (variable.bytes() > MOST_PARAMETER_BYTES - offset) {
                throw start.error("parameters of more than " + MOST_PARAMETER_BYTES + " bytes");
            }
            offset = (offset + variable.alignment() - 1) & -variable.alignment();
            list.add(new Parameter(
                    variable.name(), variable.type(), (int) variable.count(), array, variable.alignment(), offset));
            offset += (int) variable.bytes();
            declare(variable, start);
            if (!tokens.peek().is(")")) {
                tokens.expect(",");
            }
        }
        return List.copyOf(list);
    }

    private Variable parameter() {
        Token start = tokens.peek();
        if (!start.is(".param")) {
            throw start.error("expected .param, found " + start);
        }
        return Declarations.parameter(tokens);
    }

    private void directive() {
        Token name = tokens.next();
        List<Integer> numbers = new ArrayList<>();
        if (tokens.peek().kind() == Token.Kind.STRING) {
            tokens.next();
            tokens.accept(";");
        }
        while (tokens.peek().kind() == Token.Kind.NUMBER) {
            numbers.add(tokens.integer());
            tokens.accept(",");
        }
        directives.put(name.text(), List.copyOf(numbers));
    }

    private void block() {
        tokens.expect("{");
        Scope outer = scope;
        scope = new Scope(outer);
        while (!tokens.accept("}")) {
            statement();
        }
        scope = outer;
    }

    private void statement() {
        Token token = tokens.peek();
        if (token.is("{")) {
            block();
        } else if (token.is(";")) {
            tokens.next();
        } else if (token.kind() == Token.Kind.WORD && tokens.peek(1).is(":")) {
            label();
        } else if (token.is(".reg")) {
            registers();
        } else if (token.is(".pragma")) {
            while (!tokens.accept(";")) {
                tokens.next();
            }
        } else if (token.kind() == Token.Kind.DOT_WORD) {
            for (Variable variable : new Declarations(tokens, this::variable, name -> false).variables(false)) {
                variables.add(variable);
                declare(variable, token);
            }
            tokens.expect(";");
        } else {
            instruction();
        }
    }

    private void label() {
        Token name = tokens.next();
        tokens.next();
        if (tokens.peek().is(".branchtargets")) {
            tokens.next();
            List<String> names = new ArrayList<>();
            do {
                names.add(tokens.word().text());
            } while (tokens.accept(","));
            tokens.expect(";");
            scope.targets.put(name.text(), names);
        } else if (tokens.peek().is(".callprototype") || tokens.peek().is(".calltargets")) {
            while (!tokens.accept(";")) { // the arguments of the call give the same types
                if (tokens.next().kind() == Token.Kind.END) {
                    throw name.error(name.text() + " has no end");
                }
            }
        } else if (scope.labels.put(name.text(), body.size()) != null) {
            throw name.error("label " + name.text() + " is there twice");
        }
    }

    private void registers() {
        tokens.next();
        int elements = tokens.accept(".v2") ? 2 : tokens.accept(".v4") ? 4 : tokens.accept(".v8") ? 8 : 1;
        Type type = tokens.type();
        do {
            Token name = tokens.word();
            if (tokens.accept("<")) {
                if (scope.ranges.put(name.text(), new Range(type, tokens.integer(), elements)) != null) {
                    throw name.error("registers " + name.text() + "<...> are declared twice");
                }
                tokens.expect(">");
            } else if (elements == 1
                    ? scope.registers.put(name.text(), declare(name.text(), type)) != null
                    : scope.vectors.put(name.text(), declare(name.text(), type, elements)) != null) {
                throw name.error("register " + name.text() + " is declared twice");
            }
        } while (tokens.accept(","));
        tokens.expect(";");
    }

    private List<Register> declare(String name, Type type, int elements) {
        return IntStream.range(0, elements)
                .mapToObj(k -> declare(name + "." + VECTOR_ELEMENTS.charAt(k), type))
                .toList();
    }

    private void declare(Variable variable, Token start) {
        if (scope.variables.put(variable.name(), variable) != null) {
            throw start.error("variable " + variable.name() + " is declared twice");
        }
    }

    private Register declare(String name, Type type) {
        Register register = new Register(registers.size(), name, type);
        registers.add(register);
        return register;
    }

    /** The register of that name here; null when there is none. */
    @Nullable
    Register register(String name) {
        for (Scope here = scope; here != null; here = here.outer) {
            Register register = here.registers.get(name);
            if (register != null) {
                return register;
            }
            Range range = range(here, name);
            if (range != null && range.elements() == 1) {
                Register made = declare(name, range.type());
                here.registers.put(name, made);
                return made;
            }
        }
        return null;
    }

    /** The elements of the vector register of that name here; null when there is none. */
    @Nullable
    List<Register> vector(String name) {
        for (Scope here = scope; here != null; here = here.outer) {
            List<Register> vector = here.vectors.get(name);
            if (vector != null) {
                return vector;
            }
            Range range = range(here, name);
            if (range != null && range.elements() > 1) {
                List<Register> made = declare(name, range.type(), range.elements());
                here.vectors.put(name, made);
                return made;
            }
        }
        return null;
    }

    /** The range of registers that a name belongs to; null when there is none. */
    private static @Nullable Range range(Scope here, String name) {
        int digits = name.length();
        while (digits > 0 && Character.isDigit(name.charAt(digits - 1))) {
            digits--;
        }
        Range range = here.ranges.get(name.substring(0, digits));
        String number = name.substring(digits);
        return range != null
                        && !number.isEmpty()
                        && number.length() < 9
                        && (number.length() == 1 || number.charAt(0) != '0')
                        && Integer.parseInt(number) < range.count()
                ? range
                : null;
    }

    /** The variable of that name here; null when there is none. */
    @Nullable
    Variable variable(String name) {
        for (Scope here = scope; here != null; here = here.outer) {
            if (here.variables.containsKey(name)) {
                return here.variables.get(name);
            }
        }
        return module.stream()
                .filter(variable -> variable.name().equals(name))
                .findFirst()
                .orElse(null);
    }

    private void instruction() {
        Token start = tokens.peek();
        OperandParser operands = new OperandParser(tokens, this);
        Operand.Reg guard = tokens.accept("@") ? operands.guard() : null;
        Token opcode = tokens.word();
        List<String> modifiers = new ArrayList<>();
        while (tokens.peek().kind() == Token.Kind.DOT_WORD && tokens.peek().glued()) {
            modifiers.add(tokens.next().text());
        }
        List<Operand> list = new ArrayList<>();
        StringBuilder text = new StringBuilder(guard == null ? "" : "@" + guard + " ");
        text.append(opcode.text()).append(String.join("", modifiers));
        int from = tokens.position();
        if (!tokens.peek().is(";")) {
            do {
                list.add(operands.operand());
            } while (tokens.accept(","));
        }
        tokens.expect(";");
        text.append(tokens.textFrom(from));
        body.add(new Instruction(
                guard,
                opcode.text(),
                List.copyOf(modifiers),
                list,
                start.file(),
                start.line(),
                start.column(),
                text.toString(),
                start.origin()));
        scopes.add(scope);
    }

    /** The body with the names of labels replaced by the places they stand for. */
    private List<Instruction> resolved() {
        List<Instruction> resolved = new ArrayList<>();
        for (int i = 0; i < body.size(); i++) {
            Instruction instruction = body.get(i);
            List<Operand> operands = new ArrayList<>();
            for (Operand operand : instruction.operands()) {
                operands.add(
                        operand instanceof Operand.Symbol symbol && symbol.variable() == null
                                ? place(symbol, scopes.get(i), instruction)
                                : operand);
            }
            resolved.add(instruction.withOperands(List.copyOf(operands)));
        }
        return List.copyOf(resolved);
    }

    private static Operand.Target label(String name, Scope from, Instruction instruction) {
        for (Scope here = from; here != null; here = here.outer) {
            Integer place = here.labels.get(name);
            if (place != null) {
                return new Operand.Target(name, place);
            }
        }
        throw instruction.error("there is no label " + name);
    }

    private Operand place(Operand.Symbol symbol, Scope from, Instruction instruction) {
        for (Scope here = from; here != null; here = here.outer) {
            if (here.labels.containsKey(symbol.name())) {
                return label(symbol.name(), here, instruction);
            }
            List<String> targets = here.targets.get(symbol.name());
            if (targets != null) {
                return new Operand.Targets(
                        symbol.name(),
                        targets.stream()
                                .map(name -> label(name, from, instruction))
                                .toList());
            }
        }
        boolean isFunction =
                functions.stream().anyMatch(function -> function.name().equals(symbol.name()));
        if (instruction.opcode().equals("call") || instruction.opcode().equals("mov") && isFunction) {
            return symbol;
        }
        throw instruction.error("there is no label, register or variable " + symbol.name());
    }
}
