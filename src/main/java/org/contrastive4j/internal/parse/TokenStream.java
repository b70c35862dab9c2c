package org.contrastive4j.internal.parse;

import java.util.List;

/**
 * Tokens one after the other; the last one is END and stays.
 *
 * <p>Tested by {@code ParserTest}.
 */
final class TokenStream {
    private final List<Token> tokens;
    private int at;

    TokenStream(List<Token> tokens) {
        this.tokens = tokens;
    }

    Token peek() {
        return tokens.get(at);
    }

    Token peek(int ahead) {
        return tokens.get(Math.min(at + ahead, tokens.size() - 1));
    }

    Token next() {
        Token token = tokens.get(at);
        if (token.kind() != Token.Kind.END) {
            at++;
        }
        return token;
    }

    boolean accept(String text) {
        if (peek().is(text)) {
            at++;
            return true;
        }
        if (peek().kind() == Token.Kind.END) {
            throw peek().error("unexpected end of the text");
        }
        return false;
    }

    Token expect(String text) {
        Token token = peek();
        if (!token.is(text)) {
            throw token.error("expected \"" + text + "\", found " + token);
        }
        at++;
        return token;
    }

    Token word() {
        return expect(Token.Kind.WORD, "a name");
    }

    Token number() {
        return expect(Token.Kind.NUMBER, "a number");
    }

    Token dotWord() {
        return expect(Token.Kind.DOT_WORD, "a word that begins with a dot");
    }

    private Token expect(Token.Kind kind, String what) {
        Token token = peek();
        if (token.kind() != kind) {
            throw token.error("expected " + what + ", found " + token);
        }
        at++;
        return token;
    }

    /** A whole number that is not negative and fits into an int. */
    int integer() {
        Token token = number();
        Operand value = Literals.of(token);
        if (value instanceof Operand.Int whole && whole.value() >= 0 && whole.value() <= Integer.MAX_VALUE) {
            return (int) whole.value();
        }
        throw token.error("expected a whole number below 2^31, found " + token);
    }

    Type type() {
        Token token = dotWord();
        Type type = Type.of(token.text().substring(1));
        if (type == null) {
            throw token.error("expected a type, found " + token);
        }
        return type;
    }

    int position() {
        return at;
    }

    /** Source of the tokens from that position to here, with single blanks. */
    String textFrom(int position) {
        StringBuilder text = new StringBuilder();
        for (int i = position; i < at - 1; i++) {
            Token token = tokens.get(i);
            text.append(token.glued() && i > position ? "" : " ").append(token.text());
        }
        return text.toString();
    }
}
