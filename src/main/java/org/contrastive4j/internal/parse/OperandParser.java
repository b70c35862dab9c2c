package org.contrastive4j.internal.parse;

import java.util.ArrayList;
import java.util.List;

/**
 * Reads the operands of an instruction.
 *
 * <p>Tested by {@code ParserTest}.
 */
final class OperandParser {
    private final TokenStream tokens;
    private final FunctionParser names;

    OperandParser(TokenStream tokens, FunctionParser names) {
        this.tokens = tokens;
        this.names = names;
    }

    Operand.Reg guard() {
        boolean negated = tokens.accept("!");
        Token name = tokens.word();
        Register register = names.register(name.text());
        if (register == null || !register.isPredicate()) {
            throw name.error("guard " + name.text() + " is not a declared predicate register");
        }
        return new Operand.Reg(register, negated);
    }

    Operand operand() {
        Token token = tokens.peek();
        if (tokens.accept("{")) {
            return new Operand.Vec(list("}"));
        }
        if (tokens.accept("(")) {
            return new Operand.Args(list(")"));
        }
        if (tokens.accept("[")) {
            return memory();
        }
        if (tokens.accept("!")) {
            return guardLike();
        }
        if (token.kind() == Token.Kind.NUMBER || token.is("-") || token.is("+") || token.is("~")) {
            return number();
        }
        if (token.kind() != Token.Kind.WORD) {
            throw token.error("expected an operand, found " + token);
        }
        Operand first = name();
        return tokens.accept("|") ? new Operand.Pair(first, name()) : first;
    }

    private Operand guardLike() {
        Token name = tokens.word();
        Register register = names.register(name.text());
        if (register == null || !register.isPredicate()) {
            throw name.error(name.text() + " is not a declared predicate register, \"!\" needs one");
        }
        return new Operand.Reg(register, true);
    }

    private List<Operand> list(String end) {
        List<Operand> elements = new ArrayList<>();
        while (!tokens.accept(end)) {
            elements.add(operand());
            if (!tokens.peek().is(end)) {
                tokens.expect(",");
            }
        }
        return List.copyOf(elements);
    }

    private Operand number() {
        boolean negative = false;
        boolean inverted = false;
        while (tokens.peek().kind() == Token.Kind.SIGN) {
            Token sign = tokens.next();
            if (sign.is("-")) {
                negative = !negative;
            } else if (sign.is("~")) {
                inverted = true;
            } else if (!sign.is("+")) {
                throw sign.error("expected a number, found " + sign);
            }
        }
        Operand value = Literals.of(tokens.number());
        if (value instanceof Operand.Real real) {
            return new Operand.Real(negative ? -real.value() : real.value());
        }
        long whole = ((Operand.Int) value).value();
        whole = negative ? -whole : whole;
        return new Operand.Int(inverted ? ~whole : whole);
    }

    private Operand name() {
        Token token = tokens.word();
        String text = token.text();
        if (text.equals("_")) {
            return new Operand.Sink();
        }
        List<Register> vector = names.vector(text);
        if (vector != null) {
            return element(vector);
        }
        if (text.startsWith("%")
                && tokens.peek().kind() == Token.Kind.DOT_WORD
                && tokens.peek().glued()) {
            return new Operand.Special(text + tokens.next().text());
        }
        Register register = names.register(text);
        if (register != null) {
            return new Operand.Reg(register, false);
        }
        if (SpecialNames.contains(text)) {
            return new Operand.Special(text);
        }
        Variable variable = names.variable(text);
        if (text.startsWith("%") && variable == null) {
            throw token.error("register " + text + " is not declared");
        }
        long offset = 0;
        if (variable != null && (tokens.peek().is("+") || tokens.peek().is("-"))) {
            offset = ((Operand.Int) whole()).value();
        }
        return new Operand.Symbol(text, variable, offset);
    }

    /** A vector register as a whole, or the element after its name: {@code .x .y .z .w} or {@code .r .g .b .a}. */
    private Operand element(List<Register> vector) {
        Token token = tokens.peek();
        if (token.kind() != Token.Kind.DOT_WORD || !token.glued()) {
            return new Operand.Vec(vector.stream()
                    .map(register -> (Operand) new Operand.Reg(register, false))
                    .toList());
        }
        tokens.next();
        String name = token.text().substring(1);
        int index = name.length() != 1 ? -1 : Math.max("xyzw".indexOf(name), "rgba".indexOf(name));
        if (index < 0 || index >= vector.size()) {
            throw token.error(
                    "expected an element of a vector register of " + vector.size() + ", such as .x, found " + token);
        }
        return new Operand.Reg(vector.get(index), false);
    }

    private Operand whole() {
        Token token = tokens.peek();
        Operand value = number();
        if (!(value instanceof Operand.Int)) {
            throw token.error("expected a whole number, found " + token);
        }
        return value;
    }

    private Operand memory() {
        Token token = tokens.peek();
        Operand base = token.kind() == Token.Kind.WORD ? name() : whole();
        if (base instanceof Operand.Sink || base instanceof Operand.Symbol symbol && symbol.variable() == null) {
            throw token.error("there is no register or variable " + token.text());
        }
        long offset = 0;
        if (tokens.peek().is("+") || tokens.peek().is("-")) {
            offset = ((Operand.Int) whole()).value();
        }
        List<Operand> rest = new ArrayList<>();
        while (tokens.accept(",")) {
            rest.add(operand());
        }
        tokens.expect("]");
        return new Operand.Mem(base, offset, List.copyOf(rest));
    }
}
