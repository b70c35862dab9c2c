package org.contrastive4j.support;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import javax.imageio.ImageIO;

/** Writes small data sets for tests. */
public final class PairFiles {
    private PairFiles() {}

    /** Returns a PNG with a colour pattern that depends on the seed. */
    public static byte[] png(int width, int height, int seed) {
        BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                image.setRGB(x, y, (seed * 0x9E3779B1 + x * 0x010307 * (y / 3 + 1)) & 0xFFFFFF);
            }
        }
        try {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            ImageIO.write(image, "png", bytes);
            return bytes.toByteArray();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Writes {@code concepts} concepts drawn by groups a, b and c, 12 x 12 pixels, with captions of 2 or 3 words. */
    public static Path folder(Path folder, int concepts) {
        StringBuilder captions = new StringBuilder("image\tcaption\tconcept\tgroup\n");
        try {
            Files.createDirectories(folder);
            for (int c = 0; c < concepts; c++) {
                for (String group : new String[] {"a", "b", "c"}) {
                    String name = group + c + ".png";
                    Files.write(folder.resolve(name), png(12, 12, 3 * c + group.charAt(0) - 'a'));
                    captions.append(name)
                            .append("\tthing")
                            .append(c)
                            .append(": word")
                            .append(c % 7)
                            .append(" kind")
                            .append(c % 3)
                            .append("\tc")
                            .append(c)
                            .append('\t')
                            .append(group)
                            .append('\n');
                }
            }
            Files.writeString(folder.resolve("captions.tsv"), captions);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return folder;
    }
}
