package org.contrastive4j.data;

import java.io.BufferedInputStream;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.PrimitiveIterator;
import java.util.stream.IntStream;
import org.apache.commons.csv.CSVException;
import org.apache.commons.csv.CSVFormat;
import org.apache.commons.csv.CSVParser;
import org.apache.commons.csv.CSVRecord;
import org.contrastive4j.data.PairDataset.LeftOut;
import org.contrastive4j.internal.files.FileErrors;
import org.jspecify.annotations.Nullable;

/**
 * Pairs of {@code captions.tsv} or {@code captions.csv}: a header line with the columns image and caption, and
 * optionally concept, group and split. {@code image} is a path relative to the file, see {@link FolderPictures}.
 *
 * <p>Memory: 16 bytes for each row. A row is read again when its pair is needed, unless there are few rows.
 */
final class CaptionFile implements PairStore {
    private static final int FEW = 1 << 15;
    private static final List<String> REQUIRED = List.of("image", "caption");

    private final Path file;
    private final CSVFormat format;
    private final List<String> columns;
    private final FolderPictures pictures;
    private long[] starts = new long[256]; // byte of each usable record
    private int[] lengths = new int[256];
    private int[] lines = new int[256];
    private int size;
    private @Nullable Pair @Nullable [] kept = new Pair[FEW];

    private CaptionFile(Path file, List<String> columns, CSVFormat format) {
        this.file = file;
        this.columns = columns;
        this.format = format;
        this.pictures =
                new FolderPictures(Objects.requireNonNull(file.toAbsolutePath().getParent()));
    }

    /**
     * Reads all rows once.
     *
     * @param leftOut receives the rows that cannot be used
     */
    static CaptionFile open(Path file, LeftOut leftOut) throws IOException {
        boolean tabs = FileNames.name(file).endsWith(".tsv");
        CSVFormat format = tabs
                ? CSVFormat.TDF
                        .builder()
                        .setQuote(null)
                        .setIgnoreSurroundingSpaces(false)
                        .get()
                : CSVFormat.DEFAULT;
        long mark = markLength(file);
        try (CSVParser parser = parser(file, format, mark)) {
            return rows(file, format, parser, mark, leftOut);
        } catch (CharacterCodingException e) {
            throw notUtf8(file, e);
        } catch (UncheckedIOException | IllegalStateException | IllegalArgumentException e) {
            if (e.getCause() instanceof CharacterCodingException) {
                throw notUtf8(file, e);
            }
            Throwable reason = e.getCause() != null ? e.getCause() : e;
            String remedy = reason instanceof CSVException
                    ? "; put a field with quotation marks into double quotes, and double the marks inside"
                    : "";
            throw new DataException("cannot read " + file + ": " + FileErrors.reason(reason) + remedy, e);
        }
    }

    /** Opens a parser of all rows after the byte-order mark. */
    private static CSVParser parser(Path file, CSVFormat format, long mark) throws IOException {
        InputStream in = new BufferedInputStream(Files.newInputStream(file), 1 << 16);
        in.skipNBytes(mark);
        return CSVParser.builder()
                .setReader(new InputStreamReader(in, StandardCharsets.UTF_8.newDecoder()))
                .setFormat(format)
                .setCharset(StandardCharsets.UTF_8)
                .setTrackBytes(true)
                .get();
    }

    /** Some editors begin a file with a byte-order mark, which is no part of the first column's name. */
    private static long markLength(Path file) throws IOException {
        try (InputStream in = Files.newInputStream(file)) {
            byte[] first = in.readNBytes(3);
            return Arrays.equals(first, new byte[] {(byte) 0xEF, (byte) 0xBB, (byte) 0xBF}) ? 3 : 0;
        }
    }

    private static DataException notUtf8(Path file, Exception cause) {
        return new DataException(
                file + " is not UTF-8 text; convert it, for example with iconv -f latin1 -t utf-8", cause);
    }

    private static CaptionFile rows(Path file, CSVFormat format, CSVParser parser, long mark, LeftOut leftOut)
            throws IOException {
        java.util.Iterator<CSVRecord> records = parser.iterator();
        List<String> columns = records.hasNext()
                ? Arrays.stream(records.next().values()).map(String::strip).toList()
                : List.of();
        if (!columns.containsAll(REQUIRED)) {
            boolean isForeign = columns.size() == 1 && columns.get(0).matches(".*[;|\t].*");
            throw new DataException(file + " has the columns " + columns + ", expected at least image and caption"
                    + (isForeign ? ": convert the file, its fields have another separator;" : "")
                    + (format.getDelimiterString().equals("\t") ? " separated by tabs" : " separated by commas"));
        }
        CaptionFile all = new CaptionFile(file, columns, format);
        long line = parser.getCurrentLineNumber() + 1;
        CSVRecord record = records.hasNext() ? records.next() : null;
        while (record != null) { // a record may go over several lines: it is named by its first
            long next = parser.getCurrentLineNumber() + 1;
            CSVRecord following = records.hasNext() ? records.next() : null;
            long end = following != null ? mark + following.getBytePosition() : Files.size(file);
            all.add(record, mark + record.getBytePosition(), end, (int) line, leftOut);
            line = next;
            record = following;
        }
        if (all.size > FEW) {
            all.forgetPairs();
        }
        return all;
    }

    private void add(CSVRecord record, long start, long end, int line, LeftOut leftOut) {
        String where = file + " line " + line;
        if (record.size() > columns.size()) {
            leftOut.add(
                    where,
                    "surplus fields",
                    record.size() + " fields, the header has " + columns.size() + "; "
                            + (format.isQuoteCharacterSet()
                                    ? "put a caption with commas in double quotes"
                                    : "replace tabs in captions by blanks"));
        } else if (get(record, "image").isEmpty()) {
            leftOut.add(where, "no picture named", "");
        } else if (get(record, "caption").isEmpty()) {
            leftOut.add(where, "empty caption", "");
        } else {
            if (size == starts.length) {
                starts = Arrays.copyOf(starts, 2 * size);
                lengths = Arrays.copyOf(lengths, 2 * size);
                lines = Arrays.copyOf(lines, 2 * size);
            }
            starts[size] = start;
            lengths[size] = Math.toIntExact(end - start);
            lines[size] = line;
            if (size < FEW && kept != null) {
                kept[size] = pair(size, record);
            }
            size++;
        }
    }

    /** Makes every row be read again when its pair is needed. */
    void forgetPairs() {
        kept = null;
    }

    private Pair pair(int id, CSVRecord record) {
        String concept = get(record, "concept");
        return new Pair(
                id,
                normalised(get(record, "image")),
                get(record, "caption"),
                concept.isEmpty() ? null : concept,
                get(record, "group"),
                get(record, "split"),
                file + " line " + lines[id]);
    }

    /** One file named in two ways is one picture. */
    private static String normalised(String image) {
        return image.startsWith("./") || image.contains("//") || image.contains("/./")
                ? image.replaceAll("/(\\./)+", "/").replaceAll("//+", "/").replaceFirst("^(\\./)+", "")
                : image;
    }

    private String get(CSVRecord record, String column) {
        int index = columns.indexOf(column);
        return index < 0 || index >= record.size() ? "" : record.get(index).strip();
    }

    @Override
    public Pair pair(int id) {
        if (id < 0 || id >= size) {
            throw new IndexOutOfBoundsException("pair " + id + " of " + size);
        }
        Pair[] all = kept;
        if (all != null && all[id] != null) {
            return all[id];
        }
        byte[] bytes = new byte[lengths[id]];
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            TarWindow.fully(channel, starts[id], ByteBuffer.wrap(bytes));
            try (CSVParser parser = CSVParser.parse(
                    new InputStreamReader(new ByteArrayInputStream(bytes), StandardCharsets.UTF_8), format)) {
                return pair(id, parser.iterator().next());
            }
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read " + file + " line " + lines[id], e);
        }
    }

    @Override
    public RgbPicture picture(Pair pair) throws IOException {
        return pictures.read(pair.picture());
    }

    @Override
    public PrimitiveIterator.OfInt ids() {
        return IntStream.range(0, size).iterator();
    }

    @Override
    public int parts() {
        return 1;
    }

    @Override
    public int[] idsOf(int part) {
        return IntStream.range(0, size).toArray();
    }

    @Override
    public boolean isStream() {
        return false;
    }

    /** The picture files of all rows in their order; a sheet counts once. */
    @Override
    public String contents() throws IOException {
        FileContents contents = new FileContents();
        try (CSVParser parser = parser(file, format, markLength(file))) {
            boolean isHeader = true;
            for (CSVRecord record : parser) {
                if (!isHeader) {
                    String picture = FolderPictures.file(normalised(get(record, "image")));
                    contents.add(picture, pictures.pathIfValid(picture));
                }
                isHeader = false;
            }
        }
        return contents.text();
    }

    /** The caption file. */
    @Override
    public String fingerprint() throws IOException {
        Fingerprint print = new Fingerprint();
        byte[] buffer = new byte[1 << 16];
        try (InputStream in = Files.newInputStream(file)) {
            for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
                print.add(buffer, count);
            }
        }
        return print.text();
    }
}
