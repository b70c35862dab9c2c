package org.contrastive4j.data;

import java.io.IOException;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.commons.csv.CSVFormat;
import org.apache.commons.csv.CSVParser;
import org.apache.commons.csv.CSVRecord;

/**
 * Reads {@code captions.tsv} or {@code captions.csv}: a header line with the columns image and caption, and optionally concept and group.
 *
 * <p>{@code image} is a path relative to the file, optionally with a media fragment: {@code sheet.png#xywh=64,32,32,32} is a rectangle of
 * a larger picture.
 */
final class CaptionFile {
    private CaptionFile() {}

    static PairDataset.Listing read(Path file) throws IOException {
        boolean tabs = file.toString().endsWith(".tsv");
        CSVFormat format = (tabs ? CSVFormat.TDF.builder().setQuote(null) : CSVFormat.DEFAULT.builder())
                .setHeader().setSkipHeaderRecord(true).get();
        List<PairDataset.Row> rows = new ArrayList<>();
        try (Reader reader = Files.newBufferedReader(file, StandardCharsets.UTF_8);
                CSVParser parser = format.parse(reader)) {
            for (String column : List.of("image", "caption")) {
                if (!parser.getHeaderMap().containsKey(column)) {
                    throw new DataException(file + " has the columns " + parser.getHeaderNames() + ", wanted at least "
                            + "image and caption" + (tabs ? " separated by tabs" : ""));
                }
            }
            for (CSVRecord record : parser) {
                rows.add(new PairDataset.Row(file + " line " + (record.getRecordNumber() + 1), get(record, "image"),
                        get(record, "caption"), get(record, "concept"), get(record, "group")));
            }
        } catch (UncheckedIOException | IllegalStateException | IllegalArgumentException e) {
            throw new DataException("cannot read " + file + ": " + e.getMessage(), e);
        }
        return new PairDataset.Listing(rows, new FolderPictures(file.toAbsolutePath().getParent()));
    }

    private static String get(CSVRecord record, String column) {
        return record.isSet(column) ? record.get(column).strip() : null;
    }
}
