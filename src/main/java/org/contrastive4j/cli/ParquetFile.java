package org.contrastive4j.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.parquet.conf.PlainParquetConfiguration;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.example.data.simple.SimpleGroup;
import org.apache.parquet.hadoop.ParquetReader;
import org.apache.parquet.hadoop.ParquetWriter;
import org.apache.parquet.hadoop.api.ReadSupport;
import org.apache.parquet.hadoop.example.ExampleParquetWriter;
import org.apache.parquet.hadoop.example.GroupReadSupport;
import org.apache.parquet.hadoop.metadata.CompressionCodecName;
import org.apache.parquet.io.InputFile;
import org.apache.parquet.io.LocalInputFile;
import org.apache.parquet.io.LocalOutputFile;
import org.apache.parquet.schema.GroupType;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.MessageTypeParser;
import org.apache.parquet.schema.PrimitiveType.PrimitiveTypeName;
import org.contrastive4j.data.DataException;
import org.contrastive4j.data.Pair;

/**
 * Representations of pairs in one Parquet file: a row for each pair, a list of f32 for each representation. Columns are
 * not compressed: f32 hardly shrinks, and no codec with native code is needed.
 *
 * <p>Tested by {@code EmbeddingFilesTest}.
 */
final class ParquetFile {
    private static final String OF_PICTURE = "picture_embedding";
    private static final String OF_CAPTION = "caption_embedding";
    private static final List<String> REQUIRED = List.of("picture", "caption", OF_PICTURE, OF_CAPTION);
    private static final MessageType SCHEMA = MessageTypeParser.parseMessageType("message embeddings {"
            + " required int32 id; required binary picture (STRING); required binary caption (STRING);"
            + " required boolean readable;"
            + " required group " + OF_PICTURE + " (LIST) { repeated group list { required float element; } }"
            + " required group " + OF_CAPTION + " (LIST) { repeated group list { required float element; } } }");

    private ParquetFile() {}

    /** Opens a file for writing; an existing one is replaced. */
    static EmbeddingFiles.Sink write(Path file) throws IOException {
        Files.deleteIfExists(file);
        ParquetWriter<Group> writer = ExampleParquetWriter.builder(new LocalOutputFile(file))
                .withConf(new PlainParquetConfiguration())
                .withType(SCHEMA)
                .withCompressionCodec(CompressionCodecName.UNCOMPRESSED)
                .build();
        return new EmbeddingFiles.Sink() {
            @Override
            public void add(Pair pair, boolean readable, float[] picture, float[] caption) throws IOException {
                Group row = new SimpleGroup(SCHEMA)
                        .append("id", pair.id())
                        .append("picture", pair.picture())
                        .append("caption", pair.caption())
                        .append("readable", readable);
                addList(row.addGroup(OF_PICTURE), picture);
                addList(row.addGroup(OF_CAPTION), caption);
                writer.write(row);
            }

            @Override
            public void close() throws IOException {
                writer.close();
            }
        };
    }

    private static void addList(Group list, float[] values) {
        for (float value : values) {
            list.addGroup("list").append("element", value);
        }
    }

    private static final class Reader extends ParquetReader.Builder<Group> {
        Reader(InputFile file) {
            super(file, new PlainParquetConfiguration());
        }

        @Override
        protected ReadSupport<Group> getReadSupport() {
            return new GroupReadSupport();
        }
    }

    /**
     * Reads a file of this or another program with the columns picture, caption, picture_embedding and
     * caption_embedding, lists of f32 or f64.
     *
     * @throws DataException when columns are missing, of another type, or of unequal lengths
     */
    static EmbeddingFiles.Table read(Path file) throws IOException {
        List<Pair> pairs = new ArrayList<>();
        Set<Integer> unreadable = new HashSet<>();
        Rows pictures = new Rows(file, OF_PICTURE);
        Rows captions = new Rows(file, OF_CAPTION);
        try (ParquetReader<Group> reader = new Reader(new LocalInputFile(file)).build()) {
            for (Group row = reader.read(); row != null; row = reader.read()) {
                GroupType type = row.getType();
                for (String column : REQUIRED) {
                    if (!type.containsField(column) || row.getFieldRepetitionCount(column) != 1) {
                        throw new DataException(file + " row " + pairs.size() + " has no " + column + "; its columns"
                                + " are "
                                + type.getFields().stream()
                                        .map(field -> field.getName())
                                        .toList()
                                + ", expected at least " + REQUIRED);
                    }
                }
                int id = pairs.size();
                pairs.add(EmbeddingFiles.pair(
                        id, row.getString("picture", 0), row.getString("caption", 0), file + " row " + id));
                if (type.containsField("readable") && !row.getBoolean("readable", 0)) {
                    unreadable.add(id);
                }
                pictures.add(row);
                captions.add(row);
            }
        } catch (DataException wrong) {
            throw wrong;
        } catch (RuntimeException | LinkageError e) { // parquet-java reports damage and missing codecs by either
            throw new DataException(file + " cannot be read as Parquet: " + e.getMessage(), e);
        }
        if (pairs.isEmpty() || pictures.width != captions.width) {
            throw new DataException(file + " has " + pairs.size() + " rows with pictures of width " + pictures.width
                    + " and captions of width " + captions.width + ", expected equal widths and at least one row");
        }
        return new EmbeddingFiles.Table(pairs, unreadable, pictures.width, pictures.values(), captions.values());
    }

    /** Collects a column of lists. */
    private static final class Rows {
        private final Path file;
        private final String column;
        private float[] values = new float[1024];
        private int count;
        private int width = -1;

        Rows(Path file, String column) {
            this.file = file;
            this.column = column;
        }

        /** Reads a list in Parquet's three levels, whatever the names of the inner two. */
        void add(Group row) {
            Group list = row.getGroup(column, 0);
            int length = list.getType().getFieldCount() == 0 ? 0 : list.getFieldRepetitionCount(0);
            width = width < 0 ? length : width;
            if (length != width || length == 0) {
                throw new DataException(
                        file + " has a " + column + " of " + length + " values after others of " + width);
            }
            if (count + length > values.length) {
                values = Arrays.copyOf(values, Math.max(2 * values.length, count + length));
            }
            boolean isDouble = list.getType()
                            .getType(0)
                            .asGroupType()
                            .getType(0)
                            .asPrimitiveType()
                            .getPrimitiveTypeName()
                    == PrimitiveTypeName.DOUBLE;
            for (int k = 0; k < length; k++) {
                Group element = list.getGroup(0, k);
                values[count++] = isDouble ? (float) element.getDouble(0, 0) : element.getFloat(0, 0);
            }
        }

        float[] values() {
            return Arrays.copyOf(values, count);
        }
    }
}
