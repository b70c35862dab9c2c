package org.contrastive4j.internal.parse;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.contrastive4j.device.PtxModule.PtxException;
import org.jspecify.annotations.Nullable;

/**
 * Splits PTX text into tokens. Comments, {@code .loc}, {@code .file} and {@code #line} give none: {@code .loc} and
 * {@code .file} set the origin of the tokens that follow, {@code #line} sets their file and line.
 *
 * <p>Tested by {@code ParserTest}.
 */
final class Lexer {
    private static final String SIGNS = "{}()[]<>,;:=+-!|@*/&^~?";

    private static final Pattern POSITION = Pattern.compile("^\\s+([0-9]+)\\s+([0-9]+)");
    private static final Pattern SOURCE_FILE = Pattern.compile("(?m)^\\s*\\.file\\s+([0-9]+)\\s+\"([^\"]*)\"");

    private final String text;
    private final Map<String, String> sources = new HashMap<>();
    private final List<Token> tokens = new ArrayList<>();
    private String file;
    private int at;
    private int line = 1;
    private int lineStart;
    private boolean glued;
    private @Nullable String origin;

    private Lexer(String file, String text) {
        this.file = file;
        this.text = text;
    }

    /**
     * Returns the tokens of the text, an END last.
     *
     * @param file name of the text in positions, until a {@code #line} names another
     * @throws PtxException at a character that no token begins with, a point without a name, an unfinished comment or
     *     string, or a preprocessor line other than {@code #line}
     */
    static List<Token> tokens(String file, String text) {
        Lexer lexer = new Lexer(file, text);
        lexer.run();
        return lexer.tokens;
    }

    private void run() {
        while (true) {
            skipBlanks();
            if (at >= text.length()) {
                add(Token.Kind.END, at, "");
                return;
            }
            char c = text.charAt(at);
            if (c == '#' && text.substring(lineStart, at).isBlank()) {
                lineMark();
            } else if (Character.isDigit(c)) {
                number();
            } else if (isWordStart(c)) {
                int start = at++;
                while (at < text.length() && isWord(text.charAt(at))) {
                    at++;
                }
                add(Token.Kind.WORD, start, text.substring(start, at));
            } else if (c == '.') {
                dotWord();
            } else if (c == '"') {
                string();
            } else if (SIGNS.indexOf(c) >= 0) {
                at++;
                add(Token.Kind.SIGN, at - 1, String.valueOf(c));
            } else {
                throw error(
                        at,
                        "character " + (c < 32 || c > 126 ? "code " + (int) c : "'" + c + "'")
                                + " is not part of PTX, which is ASCII text");
            }
        }
    }

    private static boolean isWordStart(char c) {
        return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '$' || c == '%';
    }

    private static boolean isWord(char c) {
        return isWordStart(c) && c != '%' || c >= '0' && c <= '9';
    }

    private void add(Token.Kind kind, int start, String value) {
        tokens.add(new Token(kind, value, file, line, start - lineStart + 1, glued, origin));
        glued = true;
    }

    private PtxException error(int where, String message) {
        return new PtxException(file, line, where - lineStart + 1, message);
    }

    private void newLine() {
        line++;
        lineStart = at;
    }

    private void skipBlanks() {
        while (at < text.length()) {
            char c = text.charAt(at);
            if (c == '\n') {
                at++;
                newLine();
            } else if (c == ' '
                    || c == '\t'
                    || c == '\r'
                    || c == '\f'
                    || c == 0
                            && text.substring(at).chars().allMatch(rest -> rest == 0 || Character.isWhitespace(rest))) {
                at++;
            } else if (text.startsWith("//", at)) {
                skipLine();
            } else if (text.startsWith("/*", at)) {
                comment();
            } else {
                return;
            }
            glued = false;
        }
    }

    private void skipLine() {
        while (at < text.length() && text.charAt(at) != '\n') {
            at++;
        }
    }

    private void comment() {
        PtxException unfinished = error(at, "comment without an end");
        int end = text.indexOf("*/", at + 2);
        if (end < 0) {
            throw unfinished;
        }
        while (at < end + 2) {
            if (text.charAt(at++) == '\n') {
                newLine();
            }
        }
    }

    /** {@code #line 12 "file"} or {@code # 12 "file"}: the next line is line 12 of that file. */
    private void lineMark() {
        int start = at;
        skipLine();
        String[] parts = text.substring(start + 1, at)
                .replaceFirst("^\\s*line\\b", "")
                .trim()
                .split("\\s+", 2);
        if (!parts[0].matches("[0-9]{1,9}")) {
            throw error(
                    start, "preprocessor line \"" + text.substring(start, at).trim() + "\" was not expanded");
        }
        line = Integer.parseInt(parts[0]) - 1;
        if (parts.length > 1 && parts[1].indexOf('"') >= 0) {
            int open = parts[1].indexOf('"');
            int close = parts[1].indexOf('"', open + 1);
            file = close < 0 ? file : parts[1].substring(open + 1, close);
        }
    }

    private void number() {
        int start = at;
        while (at < text.length() && (isWord(text.charAt(at)) || isFraction() || isExponentSign(start))) {
            at++;
        }
        add(Token.Kind.NUMBER, start, text.substring(start, at));
    }

    /** Whether a point belongs to the number; before a letter it begins the next token, as in {@code 1.f32}. */
    private boolean isFraction() {
        return text.charAt(at) == '.' && (at + 1 >= text.length() || !isWordStart(text.charAt(at + 1)));
    }

    /** Only after a point: {@code 1.5e-3} is one number, the hexadecimal {@code 0x1E-3} a difference. */
    private boolean isExponentSign(int start) {
        char c = text.charAt(at);
        char before = text.charAt(at - 1);
        return (c == '+' || c == '-')
                && (before == 'e' || before == 'E')
                && text.substring(start, at).indexOf('.') >= 0;
    }

    private void dotWord() {
        int start = at++;
        while (at < text.length() && (isWord(text.charAt(at)) || isDoubleColon())) {
            at += text.charAt(at) == ':' ? 2 : 1;
        }
        String word = text.substring(start, at);
        if (word.length() == 1) {
            throw error(start, "\".\" without a name");
        }
        if (word.equals(".loc") || word.equals(".file")) {
            int from = at;
            skipLine();
            if (word.equals(".loc")) {
                sourceLine(text.substring(from, at));
            }
            return;
        }
        add(Token.Kind.DOT_WORD, start, word);
    }

    /** {@code .loc file line column}: the instructions that follow come from that line of the source. */
    private void sourceLine(String position) {
        Matcher numbers = POSITION.matcher(position);
        if (numbers.find()) {
            if (sources.isEmpty()) {
                Matcher each = SOURCE_FILE.matcher(text);
                while (each.find()) {
                    sources.put(each.group(1), each.group(2));
                }
            }
            String name = sources.getOrDefault(numbers.group(1), "source " + numbers.group(1));
            origin = name.substring(name.lastIndexOf('/') + 1) + ":" + numbers.group(2);
        }
    }

    /** Whether a {@code ::} continues the word, as in {@code .shared::cta}. */
    private boolean isDoubleColon() {
        return text.startsWith("::", at) && at + 2 < text.length() && isWord(text.charAt(at + 2));
    }

    private void string() {
        int start = at++;
        while (at < text.length() && text.charAt(at) != '"') {
            if (text.charAt(at) == '\n') {
                throw error(start, "string without an end");
            }
            at += text.charAt(at) == '\\' ? 2 : 1;
        }
        if (at >= text.length()) {
            throw error(start, "string without an end");
        }
        at++;
        add(Token.Kind.STRING, start, text.substring(start + 1, at - 1));
    }
}
