package org.contrastive4j.cli;

import java.io.IOException;
import java.io.PrintStream;
import java.util.function.IntSupplier;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;
import org.jspecify.annotations.Nullable;

/**
 * One line at the bottom of a terminal that is rewritten in place. Writes nothing if the output is not a terminal.
 *
 * <p>The width is read before each write, so the line adapts to a resized window. JLine only provides the width: it
 * installs no signal handlers, so Ctrl-C reaches the shutdown hooks of the JVM.
 *
 * <p>Tested by {@code ProgressTest}.
 */
final class StatusLine implements AutoCloseable {
    /** Silent, since a terminal that JLine cannot open costs only the progress line. */
    private static final Logger JLINE_LOG = Logger.getLogger("org.jline");

    static {
        JLINE_LOG.setLevel(Level.OFF);
    }

    private static final String TO_START = "\r";
    private static final String CLEAR_TO_END_OF_SCREEN = "\u001b[J";
    private static final int FALLBACK_COLUMNS = 80;

    private final PrintStream out;
    private final @Nullable IntSupplier columns; // null if the output is not a terminal
    private final @Nullable Terminal terminal; // closed with this
    private int shown; // characters on the line now

    private StatusLine(PrintStream out, @Nullable IntSupplier columns, @Nullable Terminal terminal) {
        this.out = out;
        this.columns = columns;
        this.terminal = terminal;
    }

    /** Opens a line on System.out; it is never shown if System.out is not a terminal. */
    static StatusLine open() {
        try {
            Terminal terminal = TerminalBuilder.builder()
                    .system(true)
                    .dumb(false)
                    .nativeSignals(false)
                    .signalHandler(Terminal.SignalHandler.SIG_DFL)
                    .build();
            return new StatusLine(System.out, terminal::getWidth, terminal);
        } catch (IOException | RuntimeException | LinkageError noTerminal) {
            return none();
        }
    }

    /** Creates a line for a terminal whose width may change. */
    static StatusLine of(PrintStream out, IntSupplier columns) {
        return new StatusLine(out, columns, null);
    }

    /** Creates a line that is never shown. */
    static StatusLine none() {
        return new StatusLine(System.out, null, null);
    }

    boolean isTerminal() {
        return columns != null;
    }

    /** Returns the characters that fit on the line; one column stays free because terminals wrap after the last one. */
    int width() {
        int now = columns == null ? 0 : columns.getAsInt();
        return (now > 0 ? now : FALLBACK_COLUMNS) - 1;
    }

    /** Replaces the line; text beyond the width is cut. */
    synchronized void show(String text) {
        if (columns == null) {
            return;
        }
        int width = width();
        String line = text.length() <= width ? text : text.substring(0, Math.max(0, width));
        out.print(start(width) + CLEAR_TO_END_OF_SCREEN + line);
        out.flush();
        shown = line.length();
    }

    /** Returns the control sequence to the start of the line; a window that became narrower may have wrapped it. */
    private String start(int width) {
        int wrapped = shown == 0 ? 0 : (shown - 1) / (width + 1);
        return TO_START + (wrapped == 0 ? "" : "\u001b[" + wrapped + "A");
    }

    /** Removes the line, so that ordinary output can follow. */
    synchronized void clear() {
        if (shown > 0) {
            show("");
        }
    }

    /** Keeps the line and moves to the next. */
    synchronized void keep() {
        if (shown > 0) {
            out.println();
            shown = 0;
        }
    }

    @Override
    public void close() {
        keep();
        if (terminal != null) {
            try {
                terminal.close();
            } catch (IOException e) {
                throw new IllegalStateException("cannot close the terminal: " + e.getMessage(), e);
            }
        }
    }
}
