package org.contrastive4j.train;

import java.awt.Color;
import java.awt.Font;
import java.awt.FontMetrics;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import javax.imageio.ImageIO;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Draws queries and their retrieved pictures, each with its score and caption, in a grid of at most eight columns.
 */
final class ContactSheet {
    /** Side of a picture on a sheet, in pixels. */
    static final int PICTURE = 128;

    private static final int COLUMNS = 8;
    private static final int MARGIN = 12;
    private static final int CELL_WIDTH = PICTURE + MARGIN;
    private static final int LINE = 15;
    private static final int CAPTION_LINES = 3;
    private static final int CELL_HEIGHT = PICTURE + (1 + CAPTION_LINES) * LINE + MARGIN;
    private static final int TITLE_LINE = 20;
    private static final int TITLE_SIZE = 15;
    private static final int TEXT_SIZE = 12;
    private static final Color FRAME = new Color(0, 140, 0);

    /**
     * One picture.
     *
     * @param rgb size x size x 3 unsigned bytes
     * @param size side in pixels
     * @param caption text below the picture
     * @param score cosine similarity with the query
     * @param right whether the picture has a green frame
     */
    record Cell(byte[] rgb, int size, String caption, double score, boolean right) {}

    /**
     * One query and its retrieved pictures.
     *
     * @param title text of the query
     * @param cells retrieved pictures, best first
     */
    record Row(String title, List<Cell> cells) {}

    private static final Logger LOG = LoggerFactory.getLogger(ContactSheet.class);
    private static final boolean FONTS = fontsInstalled();

    private ContactSheet() {}

    /** Returns whether Java can draw text: without installed fonts it throws on the first character. */
    private static boolean fontsInstalled() {
        try {
            BufferedImage probe = new BufferedImage(8, 8, BufferedImage.TYPE_INT_RGB);
            probe.createGraphics().getFontMetrics(new Font(Font.SANS_SERIF, Font.PLAIN, 10));
            return true;
        } catch (RuntimeException | LinkageError | InternalError e) {
            LOG.warn("no fonts on this machine: contact sheets are drawn without captions ({})", e.toString());
            return false;
        }
    }

    /**
     * Draws a sheet as a PNG file.
     *
     * @param rows of the sheet
     * @return the bytes of the file
     */
    static byte[] png(List<Row> rows) {
        return encoded(rows, "png");
    }

    /**
     * Draws a sheet as a picture file.
     *
     * @param rows of the sheet
     * @param format png or jpg
     * @return the bytes of the file
     */
    static byte[] encoded(List<Row> rows, String format) {
        int columns = Math.min(
                COLUMNS, rows.stream().mapToInt(row -> row.cells().size()).max().orElse(1));
        int width = MARGIN + Math.max(1, columns) * CELL_WIDTH;
        Graphics2D ruler = new BufferedImage(1, 1, BufferedImage.TYPE_INT_RGB).createGraphics();
        List<List<String>> titles = rows.stream()
                .map(row ->
                        wrapped(ruler, font(Font.BOLD, TITLE_SIZE), row.title(), width - 2 * MARGIN, Integer.MAX_VALUE))
                .toList();
        ruler.dispose();
        int height = MARGIN;
        for (int r = 0; r < rows.size(); r++) {
            height += titles.get(r).size() * TITLE_LINE + MARGIN / 2 + lines(rows.get(r)) * CELL_HEIGHT;
        }
        BufferedImage sheet = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
        Graphics2D g = sheet.createGraphics();
        g.setRenderingHint(RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
        g.setRenderingHint(RenderingHints.KEY_INTERPOLATION, RenderingHints.VALUE_INTERPOLATION_BICUBIC);
        g.setColor(Color.WHITE);
        g.fillRect(0, 0, width, height);
        int top = MARGIN;
        for (int r = 0; r < rows.size(); r++) {
            for (String line : titles.get(r)) {
                text(g, font(Font.BOLD, TITLE_SIZE), line, MARGIN, top + TITLE_SIZE);
                top += TITLE_LINE;
            }
            top += MARGIN / 2;
            draw(g, rows.get(r).cells(), top);
            top += lines(rows.get(r)) * CELL_HEIGHT;
        }
        g.dispose();
        try {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            ImageIO.write(sheet, format, bytes);
            return bytes.toByteArray();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Returns the number of grid lines of a row. */
    private static int lines(Row row) {
        return (row.cells().size() + COLUMNS - 1) / COLUMNS;
    }

    private static void draw(Graphics2D g, List<Cell> cells, int top) {
        for (int c = 0; c < cells.size(); c++) {
            Cell cell = cells.get(c);
            int x = MARGIN + c % COLUMNS * CELL_WIDTH;
            int y = top + c / COLUMNS * CELL_HEIGHT;
            g.drawImage(image(cell), x, y, PICTURE, PICTURE, null);
            if (cell.right()) {
                g.setColor(FRAME);
                g.fillRect(x - 3, y - 3, PICTURE + 6, 3);
                g.fillRect(x - 3, y + PICTURE, PICTURE + 6, 3);
                g.fillRect(x - 3, y, 3, PICTURE);
                g.fillRect(x + PICTURE, y, 3, PICTURE);
            }
            int baseline = y + PICTURE + LINE;
            text(g, font(Font.BOLD, TEXT_SIZE), String.format(Locale.ROOT, "%.3f", cell.score()), x, baseline);
            for (String line : wrapped(g, font(Font.PLAIN, TEXT_SIZE), cell.caption(), PICTURE, CAPTION_LINES)) {
                baseline += LINE;
                text(g, font(Font.PLAIN, TEXT_SIZE), line, x, baseline);
            }
        }
    }

    private static Font font(int style, int size) {
        return new Font(Font.SANS_SERIF, style, size);
    }

    private static void text(Graphics2D g, Font font, String text, int x, int y) {
        if (FONTS) {
            g.setColor(Color.DARK_GRAY);
            g.setFont(font);
            g.drawString(text, x, y);
        }
    }

    /** Breaks a text at blanks into lines of a width; text after the last line is replaced by an ellipsis. */
    private static List<String> wrapped(Graphics2D g, Font font, String text, int width, int most) {
        if (!FONTS) {
            return List.of();
        }
        FontMetrics metrics = g.getFontMetrics(font);
        List<String> lines = new ArrayList<>();
        String line = "";
        for (String word : text.strip().split("\\s+")) {
            String longer = line.isEmpty() ? word : line + " " + word;
            if (line.isEmpty() || metrics.stringWidth(longer) <= width) {
                line = longer;
            } else {
                lines.add(fitted(metrics, line, width));
                line = word;
            }
        }
        lines.add(fitted(metrics, line, width));
        if (lines.size() <= most) {
            return lines;
        }
        List<String> shown = new ArrayList<>(lines.subList(0, most));
        shown.set(most - 1, fitted(metrics, shown.get(most - 1) + " " + lines.get(most), width));
        return shown;
    }

    /** Shortens a line that is too wide, such as one long word, and appends an ellipsis. */
    private static String fitted(FontMetrics metrics, String line, int width) {
        if (metrics.stringWidth(line) <= width) {
            return line;
        }
        int end = line.length();
        while (end > 0 && metrics.stringWidth(line.substring(0, end) + "...") > width) {
            end--;
        }
        return line.substring(0, end) + "...";
    }

    private static BufferedImage image(Cell cell) {
        BufferedImage image = new BufferedImage(cell.size(), cell.size(), BufferedImage.TYPE_INT_RGB);
        for (int i = 0; i < cell.size() * cell.size(); i++) {
            int rgb =
                    (cell.rgb()[3 * i] & 255) << 16 | (cell.rgb()[3 * i + 1] & 255) << 8 | cell.rgb()[3 * i + 2] & 255;
            image.setRGB(i % cell.size(), i / cell.size(), rgb);
        }
        return image;
    }
}
