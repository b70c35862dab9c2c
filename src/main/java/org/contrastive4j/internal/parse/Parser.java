package org.contrastive4j.internal.parse;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.contrastive4j.device.PtxModule.PtxException;
import org.jspecify.annotations.Nullable;

/** PTX text to a {@link Program}: module level; {@link FunctionParser} reads what is between the braces. */
public final class Parser {
    private static final int MOST_DEPTH = 200;
    private static final Set<String> LINKING = Set.of(".visible", ".extern", ".weak", ".common");

    private final TokenStream tokens;
    private final String file;
    private final List<Variable> variables = new ArrayList<>();
    private final List<Function> functions = new ArrayList<>();
    private final Map<String, String> linkage = new HashMap<>();
    private String version = "";
    private String target = "";

    private Parser(String file, String text) {
        this.file = file;
        List<Token> all = Lexer.tokens(file, text);
        checkDepth(all);
        this.tokens = new TokenStream(all);
    }

    /**
     * @param file name for messages
     * @param text preprocessed PTX, see {@link Preprocessed}
     * @throws PtxException with line and column of what is not PTX
     */
    public static Program parse(String file, String text) {
        return new Parser(file, text).program();
    }

    private static void checkDepth(List<Token> tokens) {
        int depth = 0;
        for (Token token : tokens) {
            if (token.kind() == Token.Kind.SIGN) {
                depth += "{([".contains(token.text()) ? 1 : "})]".contains(token.text()) ? -1 : 0;
            }
            if (depth > MOST_DEPTH) {
                throw token.error("nested deeper than " + MOST_DEPTH + " brackets");
            }
        }
    }

    private Program program() {
        tokens.expect(".version");
        version = tokens.number().text();
        tokens.expect(".target");
        Token name = tokens.word();
        target = name.text();
        if (!target.matches("sm_[0-9]{2,3}[af]?")) {
            throw name.error("target " + target + " is unknown, expected one such as sm_80 or sm_90a");
        }
        while (tokens.accept(",")) {
            tokens.word(); // texture mode, debug
        }
        tokens.expect(".address_size");
        Token size = tokens.number();
        if (!size.text().equals("64")) {
            throw size.error("address size " + size.text() + ", expected 64");
        }
        while (tokens.peek().kind() != Token.Kind.END) {
            declaration();
        }
        checkNames();
        return new Program(file, version, target, List.copyOf(variables), List.copyOf(functions), Map.copyOf(linkage));
    }

    private void declaration() {
        String linking = null;
        while (LINKING.contains(tokens.peek().text())) {
            linking = tokens.next().text();
        }
        boolean external = ".extern".equals(linking);
        Token token = tokens.peek();
        switch (token.text()) {
            case ".entry", ".func" -> {
                Function function = new FunctionParser(tokens, file, variables, functions).function();
                functions.add(function);
                note(function.name(), linking, function.defined());
            }
            case ".global", ".const", ".shared" -> {
                for (Variable variable :
                        new Declarations(tokens, this::variable, this::isFunction).variables(external)) {
                    Variable before = variable(variable.name());
                    if (before != null && !before.external()) {
                        throw token.error("variable " + variable.name() + " is declared twice");
                    }
                    variables.add(variable);
                    note(variable.name(), linking, !variable.external());
                }
                tokens.expect(";");
            }
            case ".section" -> section();
            case ".alias" -> alias();
            case ".pragma" -> {
                while (!tokens.accept(";")) {
                    tokens.next();
                }
            }
            default -> throw token.error("expected a declaration such as .visible .entry, found " + token);
        }
    }

    /** Notes how a name is linked; a definition says more than a declaration. */
    private void note(String name, @Nullable String linking, boolean defined) {
        if (linking != null && (defined || !linkage.containsKey(name))) {
            linkage.put(name, linking);
        }
    }

    /** {@code .alias a, b;}: the declared function a is the defined function b. */
    private void alias() {
        tokens.next();
        Token name = tokens.word();
        tokens.expect(",");
        Token original = tokens.word();
        tokens.expect(";");
        Function function = functions.stream()
                .filter(one -> one.name().equals(original.text()) && one.defined())
                .findFirst()
                .orElseThrow(() -> original.error("there is no function " + original.text() + " with a body"));
        functions.add(function.named(name.text()));
    }

    private boolean isFunction(String name) {
        return functions.stream().anyMatch(function -> function.name().equals(name));
    }

    private @Nullable Variable variable(String name) {
        return variables.stream()
                .filter(variable -> variable.name().equals(name))
                .findFirst()
                .orElse(null);
    }

    /** Debug information: nothing that runs. */
    private void section() {
        tokens.next();
        tokens.next();
        tokens.expect("{");
        int depth = 1;
        while (depth > 0) {
            Token token = tokens.next();
            if (token.kind() == Token.Kind.END) {
                throw token.error("section without an end");
            }
            depth += token.is("{") ? 1 : token.is("}") ? -1 : 0;
        }
    }

    private void checkNames() {
        Set<String> defined = new HashSet<>();
        for (Function function : functions) {
            if (function.defined() && !defined.add(function.name())) {
                throw new PtxException(file, function.line(), 0, "function " + function.name() + " is defined twice");
            }
        }
    }
}
