package org.contrastive4j.data;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.commons.csv.CSVFormat;
import org.apache.commons.csv.CSVParser;
import org.apache.commons.csv.CSVRecord;

/**
 * Reads {@code captions.tsv} or {@code captions.csv}: a header line with the columns image and caption, and optionally
 * concept and group.
 *
 * <p>{@code image} is a path relative to the file, optionally with a media fragment: {@code sheet.png#xywh=64,32,32,32}
 * is a rectangle of a larger picture.
 */
final class CaptionFile {
    private CaptionFile() {}

    static PairDataset.Listing read(Path file) throws IOException {
        boolean tabs = file.toString().endsWith(".tsv");
        CSVFormat format = (tabs ? CSVFormat.TDF.builder().setQuote(null) : CSVFormat.DEFAULT.builder())
                .setHeader()
                .setSkipHeaderRecord(true)
                .get();
        List<PairDataset.Row> rows = new ArrayList<>();
        try (Reader reader = withoutMark(Files.newBufferedReader(file, StandardCharsets.UTF_8));
                CSVParser parser = format.parse(reader)) {
            for (String column : List.of("image", "caption")) {
                if (!parser.getHeaderMap().containsKey(column)) {
                    throw new DataException(file + " has the columns " + parser.getHeaderNames() + ", wanted at least "
                            + "image and caption" + (tabs ? " separated by tabs" : ""));
                }
            }
            long line = parser.getCurrentLineNumber();
            for (CSVRecord record : parser) { // a record may go over several lines: it is named by its first
                rows.add(new PairDataset.Row(
                        file + " line " + (line + 1),
                        get(record, "image"),
                        get(record, "caption"),
                        get(record, "concept"),
                        get(record, "group"),
                        null));
                line = parser.getCurrentLineNumber();
            }
        } catch (CharacterCodingException e) {
            throw notUtf8(file, e);
        } catch (UncheckedIOException | IllegalStateException | IllegalArgumentException e) {
            if (e.getCause() instanceof CharacterCodingException) {
                throw notUtf8(file, e);
            }
            throw new DataException("cannot read " + file + ": " + e.getMessage(), e);
        }
        return new PairDataset.Listing(
                rows, new FolderPictures(file.toAbsolutePath().getParent()));
    }

    private static DataException notUtf8(Path file, Exception cause) {
        return new DataException(
                file + " is not UTF-8 text; convert it, for example with iconv -f latin1 -t utf-8", cause);
    }

    /** Some editors begin a file with a byte-order mark, which is no part of the first column's name. */
    private static Reader withoutMark(BufferedReader reader) throws IOException {
        reader.mark(1);
        if (reader.read() != 0xFEFF) {
            reader.reset();
        }
        return reader;
    }

    private static String get(CSVRecord record, String column) {
        return record.isSet(column) ? record.get(column).strip() : null;
    }
}
