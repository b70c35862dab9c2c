package org.contrastive4j.device;

/** Thrown for PTX text that is refused; names the file, the line where known, and the reason. */
public class PtxException extends RuntimeException {
    private final String file;
    private final int line;
    private final int column;

    /**
     * Creates the exception.
     *
     * @param file name of the text
     * @param line 1-based, 0 when not known
     * @param column 1-based, 0 when not known
     * @param message what was found and what was expected
     */
    public PtxException(String file, int line, int column, String message) {
        super(file + (line > 0 ? ":" + line + (column > 0 ? ":" + column : "") : "") + ": " + message);
        this.file = file;
        this.line = line;
        this.column = column;
    }

    /**
     * Returns the name of the text.
     *
     * @return the file
     */
    public String file() {
        return file;
    }

    /**
     * Returns the line.
     *
     * @return 1-based, 0 when not known
     */
    public int line() {
        return line;
    }

    /**
     * Returns the column.
     *
     * @return 1-based, 0 when not known
     */
    public int column() {
        return column;
    }
}
