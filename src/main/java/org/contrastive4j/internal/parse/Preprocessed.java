package org.contrastive4j.internal.parse;

import java.io.File;
import java.io.IOException;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.anarres.cpp.Feature;
import org.anarres.cpp.LexerException;
import org.anarres.cpp.LexerSource;
import org.anarres.cpp.Preprocessor;
import org.anarres.cpp.PreprocessorListener;
import org.anarres.cpp.Source;
import org.anarres.cpp.Token;
import org.anarres.cpp.VirtualFile;
import org.anarres.cpp.VirtualFileSystem;
import org.contrastive4j.device.PtxModule.PtxException;
import org.jspecify.annotations.Nullable;

/**
 * Expands C-preprocessor lines ({@code #include}, {@code #define}, {@code #if}), which PTX reserves but
 * assemblers no longer expand.
 *
 * <p>Tested by {@code ParserTest}.
 */
public final class Preprocessed {
    private static final Pattern DIRECTIVE = Pattern.compile("\\s*#(?!\\s*(?:line\\s+)?\\d).*");
    private static final Pattern LITERAL = Pattern.compile("\\b0([fF][0-9a-fA-F]{8}|[dD][0-9a-fA-F]{16})\\b");
    private static final Pattern HEADER = Pattern.compile("(?m)^[ \\t]*\\.address_size[^\\n]*\\n");
    private static final Pattern MARK = Pattern.compile("#\\s*(?:line\\s+)?(\\d+)\\s+(\"[^\"]*\").*");
    private static final int MOST_CHARACTERS = 1 << 23;

    private Preprocessed() {}

    /**
     * The text with macros and included files expanded; text that has none, such as one that is expanded already,
     * comes back as it is.
     *
     * <p>Where lines are no longer what they were, a mark such as {@code #line 12 "file"} gives the number of the next
     * one; the parser and NVIDIA's assembler follow it.
     *
     * @param file name for messages
     * @param includes folder that {@code #include "..."} is looked up in; null for none
     * @throws PtxException naming file and line of what the preprocessor refuses
     */
    public static String text(String file, String text, @Nullable Path includes) {
        return text(file, text, includes, Map.of());
    }

    /**
     * The same with macros that are defined before the first line.
     *
     * @param macros name and value of each
     */
    public static String text(String file, String text, @Nullable Path includes, Map<String, String> macros) {
        if (macros.isEmpty()
                && text.lines().noneMatch(line -> DIRECTIVE.matcher(line).matches())) {
            return text;
        }
        try (Preprocessor preprocessor = new Preprocessor(new NamedSource(file, hidden(text)))) {
            preprocessor.setListener(new Refusing(file));
            preprocessor.setFileSystem(new Folder());
            preprocessor.addFeature(Feature.LINEMARKERS);
            if (includes != null) {
                preprocessor.getQuoteIncludePath().add(includes.toString());
            }
            for (Map.Entry<String, String> macro : macros.entrySet()) {
                preprocessor.addMacro(macro.getKey(), hidden(macro.getValue()));
            }
            StringBuilder expanded = new StringBuilder();
            for (Token token = preprocessor.token(); token.getType() != Token.EOF; token = preprocessor.token()) {
                expanded.append(token.getText());
                if (expanded.length() > MOST_CHARACTERS) {
                    throw new PtxException(
                            file,
                            0,
                            0,
                            "preprocessor: the text expands to more than " + MOST_CHARACTERS + " characters");
                }
            }
            return headerFirst(shown(expanded.toString()));
        } catch (PtxException e) {
            throw e;
        } catch (IOException | LexerException | RuntimeException e) {
            // of some wrong lines the preprocessor makes a null pointer
            throw new PtxException(file, 0, 0, "preprocessor: " + e.getMessage());
        }
    }

    /** To C, 0f3F800000 is a number gone wrong: it goes through as a name. */
    private static String hidden(String text) {
        return LITERAL.matcher(text).replaceAll("PTX_LITERAL_$1");
    }

    private static String shown(String text) {
        return text.replace("PTX_LITERAL_", "0");
    }

    /**
     * Assemblers want their three header lines before any mark: leaves out those above, and marks the
     * line below if need be.
     */
    private static String headerFirst(String expanded) {
        Matcher header = HEADER.matcher(expanded);
        int end = header.find() ? header.end() : 0;
        StringBuilder whole = new StringBuilder();
        String file = null;
        int next = 1;
        int written = 0;
        for (String line : expanded.substring(0, end).lines().toList()) {
            Matcher mark = MARK.matcher(line);
            if (mark.matches()) {
                next = Integer.parseInt(mark.group(1));
                file = mark.group(2);
            } else {
                whole.append(line).append('\n');
                next++;
                written++;
            }
        }
        return whole
                + (file == null || next == written + 1 ? "" : "#line " + next + " " + file + "\n")
                + expanded.substring(end);
    }

    /** Where included files are looked for. */
    private static final class Folder implements VirtualFileSystem {
        @Override
        public VirtualFile getFile(String path) {
            return new Included(new File(path));
        }

        @Override
        public VirtualFile getFile(String folder, String name) {
            return new Included(new File(folder, name));
        }
    }

    /** A file that another includes. */
    private record Included(File file) implements VirtualFile {
        @Override
        public boolean isFile() {
            return file.isFile();
        }

        @Override
        public String getPath() {
            return file.getPath();
        }

        @Override
        public String getName() {
            return file.getName();
        }

        @Override
        public @Nullable VirtualFile getParentFile() {
            return file.getParentFile() == null ? null : new Included(file.getParentFile());
        }

        @Override
        public VirtualFile getChildFile(String name) {
            return new Included(new File(file, name));
        }

        @Override
        public Source getSource() throws IOException {
            return new NamedSource(
                    file.getPath(), hidden(Files.readString(file.toPath(), StandardCharsets.ISO_8859_1)));
        }
    }

    /** A text with the name of its file. */
    private static final class NamedSource extends LexerSource {
        private final String file;

        NamedSource(String file, String text) {
            super(new StringReader(text), true);
            this.file = file;
        }

        @Override
        public String getPath() {
            return file;
        }

        @Override
        public String getName() {
            return file;
        }
    }

    private record Refusing(String file) implements PreprocessorListener {
        @Override
        public void handleError(Source source, int line, int column, String message) {
            String name = source == null || source.getName() == null ? file : source.getName();
            throw new PtxException(name, line, column + 1, "preprocessor: " + message);
        }

        @Override
        public void handleWarning(Source source, int line, int column, String message) {
            handleError(source, line, column, message);
        }

        @Override
        public void handleSourceChange(Source source, SourceChangeEvent event) {
            // nothing depends on where a token comes from
        }
    }
}
