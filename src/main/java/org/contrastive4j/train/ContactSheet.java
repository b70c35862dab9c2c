package org.contrastive4j.train;

import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Locale;
import javax.imageio.ImageIO;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Pictures in a row per query, each with its score and caption. */
public final class ContactSheet {
    private static final int CELL = 112;
    private static final int PICTURE = 80;
    private static final int LINE = 14;
    private static final int HEAD = 24;

    /**
     * One picture.
     *
     * @param rgb size x size x 3 unsigned bytes
     * @param right drawn with a green frame
     */
    public record Cell(byte[] rgb, int size, String caption, double score, boolean right) {}

    /** One query and what was found for it. */
    public record Row(String title, List<Cell> cells) {}

    private static final Logger LOG = LoggerFactory.getLogger(ContactSheet.class);
    private static final boolean FONTS = fontsInstalled();

    private ContactSheet() {}

    /** A bare server may have none, and Java then fails at the first letter. */
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

    /** The sheet as PNG bytes. */
    public static byte[] png(List<Row> rows) {
        int columns = rows.stream().mapToInt(row -> row.cells().size()).max().orElse(1);
        int height = HEAD + PICTURE + 3 * LINE;
        BufferedImage sheet =
                new BufferedImage(columns * CELL + 16, rows.size() * height + 8, BufferedImage.TYPE_INT_RGB);
        Graphics2D g = sheet.createGraphics();
        g.setRenderingHint(RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
        g.setRenderingHint(RenderingHints.KEY_INTERPOLATION, RenderingHints.VALUE_INTERPOLATION_BICUBIC);
        g.setColor(Color.WHITE);
        g.fillRect(0, 0, sheet.getWidth(), sheet.getHeight());
        for (int r = 0; r < rows.size(); r++) {
            draw(g, rows.get(r), 8, r * height);
        }
        g.dispose();
        try {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            ImageIO.write(sheet, "png", bytes);
            return bytes.toByteArray();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void draw(Graphics2D g, Row row, int left, int top) {
        text(g, Font.BOLD, 13, row.title(), left, top + HEAD - 7);
        for (int c = 0; c < row.cells().size(); c++) {
            Cell cell = row.cells().get(c);
            int x = left + c * CELL;
            int y = top + HEAD;
            g.drawImage(image(cell), x, y, PICTURE, PICTURE, null);
            if (cell.right()) {
                g.setColor(new Color(0, 140, 0));
                g.drawRect(x - 1, y - 1, PICTURE + 1, PICTURE + 1);
            }
            text(g, Font.PLAIN, 10, String.format(Locale.ROOT, "%.3f", cell.score()), x, y + PICTURE + LINE - 2);
            text(g, Font.PLAIN, 10, shortened(cell.caption()), x, y + PICTURE + 2 * LINE - 2);
        }
    }

    private static void text(Graphics2D g, int style, int size, String text, int x, int y) {
        if (FONTS) {
            g.setColor(Color.DARK_GRAY);
            g.setFont(new Font(Font.SANS_SERIF, style, size));
            g.drawString(text, x, y);
        }
    }

    private static String shortened(String caption) {
        String label = caption.replaceFirst(": .*", "");
        return label.length() <= 19 ? label : label.substring(0, 18) + "...";
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
