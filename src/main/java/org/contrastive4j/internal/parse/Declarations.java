package org.contrastive4j.internal.parse;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.function.Predicate;

/**
 * Reads {@code .space .align n .type name[sizes] = {...}} up to, not including, the semicolon.
 *
 * <p>Tested by {@code ParserTest}.
 */
final class Declarations {
    private static final long MOST_ELEMENTS = 1L << 31;
    private static final int MOST_ALIGNMENT = 1 << 15;

    private final TokenStream tokens;
    private final Function<String, Variable> lookup;
    private final Predicate<String> isFunction;
    private final Variable.Space space;
    private final Type type;
    private int alignment;
    private int vector = 1;

    /**
     * @param lookup finds a variable declared before, for initial values that are addresses
     * @param isFunction whether a name is that of a function declared before, whose address is a value too
     */
    Declarations(TokenStream tokens, Function<String, Variable> lookup, Predicate<String> isFunction) {
        this.isFunction = isFunction;
        this.tokens = tokens;
        this.lookup = lookup;
        space = space();
        type = type();
    }

    /** One parameter of an entry or function. */
    static Variable parameter(TokenStream tokens) {
        return new Declarations(tokens, name -> null, name -> false).first(false);
    }

    List<Variable> variables(boolean external) {
        List<Variable> all = new ArrayList<>();
        all.add(first(external));
        while (tokens.accept(",")) {
            all.add(variable(space, type, vector, alignment, external));
        }
        return all;
    }

    private Variable first(boolean external) {
        return variable(space, type, vector, alignment, external);
    }

    private Variable.Space space() {
        Token token = tokens.dotWord();
        try {
            return Variable.Space.valueOf(token.text().substring(1).toUpperCase(Locale.ROOT));
        } catch (IllegalArgumentException e) {
            throw token.error("expected a state space, found " + token);
        }
    }

    /** Reads alignment and vector size, then the type. */
    private Type type() {
        while (Type.of(tokens.peek().text().replaceFirst("^\\.", "")) == null) {
            Token token = tokens.dotWord();
            switch (token.text()) {
                case ".align" -> alignment = alignment();
                case ".v2" -> vector = 2;
                case ".v4" -> vector = 4;
                case ".ptr", ".global", ".const", ".shared", ".local" -> {}
                case ".attribute" -> {
                    while (!tokens.accept(")")) {
                        tokens.next();
                    }
                }
                default -> throw token.error("expected a type, found " + token);
            }
        }
        Type read = tokens.type();
        while (tokens.peek().is(".ptr")) { // of a pointer parameter: space and alignment of what it points to
            pointerNotes();
        }
        alignment = Math.max(alignment, read.bytes() * vector);
        return read;
    }

    private int alignment() {
        Token token = tokens.peek();
        int alignment = tokens.integer();
        if (Integer.bitCount(alignment) != 1 || alignment > MOST_ALIGNMENT) {
            throw token.error("alignment is " + alignment + ", expected a power of two up to " + MOST_ALIGNMENT);
        }
        return alignment;
    }

    private void pointerNotes() {
        tokens.next();
        while (tokens.peek().kind() == Token.Kind.DOT_WORD) {
            if (tokens.next().is(".align")) {
                alignment();
            }
        }
    }

    private Variable variable(Variable.Space space, Type type, int vector, int alignment, boolean external) {
        Token name = tokens.word();
        long count = vector;
        boolean open = false;
        while (tokens.accept("[")) {
            if (tokens.accept("]")) {
                open = true;
                continue;
            }
            count *= tokens.integer();
            if (count > MOST_ELEMENTS) {
                throw name.error("array " + name.text() + " is too large");
            }
            tokens.expect("]");
        }
        List<Operand> initial = tokens.accept("=") ? values() : null;
        if (open) {
            count = initial == null ? 0 : initial.size();
        }
        return new Variable(name.text(), space, type, count, alignment, external || open && count == 0, initial);
    }

    private List<Operand> values() {
        List<Operand> values = new ArrayList<>();
        if (!tokens.accept("{")) {
            values.add(value());
            return values;
        }
        do {
            if (tokens.peek().is("{")) {
                values.addAll(values());
            } else if (!tokens.peek().is("}")) {
                values.add(value());
            }
        } while (tokens.accept(","));
        tokens.expect("}");
        return values;
    }

    private Operand value() {
        boolean negative = tokens.accept("-");
        Token token = tokens.next();
        if (token.kind() == Token.Kind.NUMBER) {
            Operand number = Literals.of(token);
            return !negative
                    ? number
                    : number instanceof Operand.Real real
                            ? new Operand.Real(-real.value())
                            : new Operand.Int(-((Operand.Int) number).value());
        }
        if (token.is("generic")) {
            tokens.expect("(");
            Token name = tokens.word();
            tokens.expect(")");
            return address(name);
        }
        return address(token);
    }

    private Operand address(Token name) {
        if (name.kind() == Token.Kind.WORD && isFunction.test(name.text())) {
            return new Operand.Symbol(name.text(), null, 0);
        }
        if (name.kind() != Token.Kind.WORD || lookup.apply(name.text()) == null) {
            throw name.error("expected a number or a variable declared before, found " + name);
        }
        long offset = tokens.accept("+") ? tokens.integer() : 0;
        return new Operand.Symbol(name.text(), lookup.apply(name.text()), offset);
    }
}
