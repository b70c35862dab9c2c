package org.contrastive4j.data;

import java.io.IOException;
import java.lang.ref.SoftReference;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.text.Normalizer;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Picture files of a folder, and rectangles of sheets ({@code sheet.png#xywh=64,32,32,32}). A sheet stays decoded while
 * memory allows.
 *
 * <p>Tested by {@code PairDatasetTest}.
 */
final class FolderPictures {
    private static final Pattern FRAGMENT = Pattern.compile("(.*)#xywh=(\\d{1,9}),(\\d{1,9}),(\\d{1,9}),(\\d{1,9})");

    private final Path folder;
    private final Map<String, SoftReference<RgbPicture>> sheets = new ConcurrentHashMap<>();

    FolderPictures(Path folder) {
        this.folder = folder;
    }

    RgbPicture read(String picture) throws IOException {
        Matcher fragment = FRAGMENT.matcher(picture);
        if (!fragment.matches()) {
            return decode(picture);
        }
        RgbPicture sheet = sheet(fragment.group(1));
        int[] box = new int[4];
        for (int k = 0; k < 4; k++) {
            box[k] = Integer.parseInt(fragment.group(k + 2));
        }
        if (box[2] < 1 || box[3] < 1 || box[0] + box[2] > sheet.width() || box[1] + box[3] > sheet.height()) {
            throw new IOException("rectangle outside its sheet of " + sheet.width() + " x " + sheet.height());
        }
        return sheet.region(box[0], box[1], box[2], box[3]);
    }

    /** Returns the name of the file of a picture: the sheet, if it is a rectangle of one. */
    static String file(String picture) {
        Matcher fragment = FRAGMENT.matcher(picture);
        return fragment.matches() ? fragment.group(1) : picture;
    }

    /** Returns the path of a file, null for a name that this file system does not allow, such as "a:b" on Windows. */
    @Nullable
    Path pathIfValid(String name) {
        try {
            return path(name);
        } catch (InvalidPathException notAllowed) {
            return null;
        }
    }

    Path path(String name) {
        Path file = FileNames.resolve(folder, name).normalize();
        return Files.exists(file) ? file : otherwise(name, file);
    }

    /**
     * Returns the file that a name may mean when no file has it: Flickr8k keeps pictures in a folder Images, and macOS
     * spells names in Unicode's decomposed form.
     */
    private Path otherwise(String name, Path file) {
        boolean isAscii = name.chars().allMatch(c -> c < 128);
        for (Normalizer.Form form : Normalizer.Form.values()) {
            String spelling = isAscii ? name : Normalizer.normalize(name, form);
            for (String in : List.of("", "Images/")) {
                Path other = FileNames.resolve(folder, in + spelling).normalize();
                if (Files.exists(other)) {
                    return other;
                }
            }
            if (isAscii) {
                break;
            }
        }
        return file;
    }

    private @Nullable RgbPicture kept(String name) {
        SoftReference<RgbPicture> held = sheets.get(name);
        return held == null ? null : held.get();
    }

    private RgbPicture sheet(String name) throws IOException {
        RgbPicture sheet = kept(name);
        if (sheet == null) {
            synchronized (this) { // one thread decodes, the others wait for it
                sheet = kept(name);
                if (sheet == null) {
                    sheet = decode(name);
                    sheets.put(name, new SoftReference<>(sheet));
                }
            }
        }
        return sheet;
    }

    private RgbPicture decode(String name) throws IOException {
        Path file = path(name);
        if (!Files.isRegularFile(file) || !Files.isReadable(file)) {
            throw new IOException("no such file");
        }
        if (Files.size(file) > Extents.LARGEST) {
            throw new IOException(Files.size(file) + " bytes are more than " + Extents.LARGEST);
        }
        return PictureReader.read(Files.readAllBytes(file));
    }
}
