package org.contrastive4j.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** Formats rows of text in columns; the first column is left-aligned, all others are right-aligned. */
final class Table {
    private static final String GAP = "  ";

    private final List<List<String>> rows = new ArrayList<>();

    Table(String... titles) {
        rows.add(List.of(titles));
    }

    void add(Object... cells) {
        rows.add(Stream.of(cells).map(String::valueOf).toList());
    }

    /** Returns whether the table has no rows below the titles. */
    boolean isEmpty() {
        return rows.size() == 1;
    }

    @Override
    public String toString() {
        int columns = rows.get(0).size();
        int[] widths = new int[columns];
        for (List<String> row : rows) {
            for (int c = 0; c < columns; c++) {
                widths[c] = Math.max(widths[c], row.get(c).length());
            }
        }
        StringBuilder text = new StringBuilder();
        for (List<String> row : rows) {
            StringBuilder line = new StringBuilder();
            for (int c = 0; c < columns; c++) {
                String blanks = " ".repeat(widths[c] - row.get(c).length());
                line.append(GAP).append(c == 0 ? row.get(c) + blanks : blanks + row.get(c));
            }
            text.append(line.toString().stripTrailing()).append(System.lineSeparator());
        }
        return text.toString();
    }
}
