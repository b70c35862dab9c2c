package org.contrastive4j.data;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.lang.ref.SoftReference;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.imageio.stream.FileImageInputStream;
import javax.imageio.stream.ImageInputStream;

/** Picture files of a folder, and rectangles of sheets: a sheet stays decoded while memory allows. */
final class FolderPictures implements PictureSource {
    private static final Pattern FRAGMENT = Pattern.compile("(.*)#xywh=(\\d+),(\\d+),(\\d+),(\\d+)");

    private final Path folder;
    private final Map<String, SoftReference<BufferedImage>> sheets = new ConcurrentHashMap<>();

    FolderPictures(Path folder) {
        this.folder = folder;
    }

    @Override
    public BufferedImage read(String image) throws IOException {
        Matcher fragment = FRAGMENT.matcher(image);
        if (!fragment.matches()) {
            return decode(image);
        }
        BufferedImage sheet = sheet(fragment.group(1));
        int[] box = new int[4];
        for (int k = 0; k < 4; k++) {
            box[k] = Integer.parseInt(fragment.group(k + 2));
        }
        if (box[2] < 1 || box[3] < 1 || box[0] + box[2] > sheet.getWidth() || box[1] + box[3] > sheet.getHeight()) {
            throw new IOException("rectangle outside its sheet of " + sheet.getWidth() + " x " + sheet.getHeight());
        }
        return sheet.getSubimage(box[0], box[1], box[2], box[3]);
    }

    private BufferedImage sheet(String name) throws IOException {
        SoftReference<BufferedImage> held = sheets.get(name);
        BufferedImage sheet = held == null ? null : held.get();
        if (sheet == null) {
            synchronized (this) { // one thread decodes, the others wait for it
                held = sheets.get(name);
                sheet = held == null ? null : held.get();
                if (sheet == null) {
                    sheet = decode(name);
                    sheets.put(name, new SoftReference<>(sheet));
                }
            }
        }
        return sheet;
    }

    private BufferedImage decode(String name) throws IOException {
        Path file = folder.resolve(name).normalize();
        if (!Files.isReadable(file)) {
            throw new IOException("no such file");
        }
        try (ImageInputStream in = new FileImageInputStream(file.toFile())) {
            return Pictures.decode(in);
        }
    }
}
