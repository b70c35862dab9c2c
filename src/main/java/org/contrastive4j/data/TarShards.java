package org.contrastive4j.data;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.awt.image.BufferedImage;
import java.io.BufferedInputStream;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.MemoryCacheImageInputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;

/**
 * WebDataset shards: members that share a key are one pair, {@code key.png} or {@code key.jpg} with {@code key.txt},
 * and optionally {@code key.json} with concept and group.
 *
 * <p>Shards are read once for their index. Pictures of plain .tar shards are then read by offset when asked for, those
 * of .tar.gz shards stay in memory in their encoded form.
 */
final class TarShards implements PictureSource {
    private static final Set<String> PICTURES =
            Set.of("png", "jpg", "jpeg", "gif", "bmp", "webp", "tif", "tiff", "avif");
    private static final ObjectMapper JSON = new ObjectMapper();

    /** Where the bytes of a picture are: in memory, or in a file. */
    private record Place(byte[] bytes, Path shard, long offset, int size) {}

    private final Map<String, Place> places = new HashMap<>();

    private TarShards() {}

    static List<Path> find(Path path) throws IOException {
        if (!Files.isDirectory(path)) {
            return isShard(path) ? List.of(path) : List.of();
        }
        try (Stream<Path> files = Files.list(path)) {
            return files.filter(TarShards::isShard).sorted().toList();
        }
    }

    private static boolean isShard(Path path) {
        String name = path.getFileName().toString();
        return name.endsWith(".tar") || name.endsWith(".tar.gz") || name.endsWith(".tgz");
    }

    static PairDataset.Listing read(List<Path> shards) throws IOException {
        TarShards pictures = new TarShards();
        List<PairDataset.Row> rows = new ArrayList<>();
        for (Path shard : shards) {
            try {
                pictures.index(shard, rows);
            } catch (IOException e) {
                throw new DataException("shard " + shard + " is damaged: " + e.getMessage(), e);
            }
        }
        return new PairDataset.Listing(rows, pictures);
    }

    private static final class Pair {
        String image;
        String caption;
        JsonNode meta;
        String problem;
    }

    private void index(Path shard, List<PairDataset.Row> rows) throws IOException {
        boolean packed = !shard.toString().endsWith(".tar");
        Map<String, Pair> pairs = new LinkedHashMap<>();
        try (InputStream file = new BufferedInputStream(Files.newInputStream(shard));
                TarArchiveInputStream tar = new TarArchiveInputStream(packed ? new GZIPInputStream(file) : file)) {
            for (TarArchiveEntry entry = tar.getNextEntry(); entry != null; entry = tar.getNextEntry()) {
                if (entry.isFile()) {
                    member(shard, packed, entry, tar, pairs);
                }
            }
        }
        pairs.forEach((key, pair) -> rows.add(new PairDataset.Row(
                shard + " key " + key,
                pair.image,
                pair.caption,
                text(pair.meta, "concept"),
                text(pair.meta, "group"),
                pair.problem)));
    }

    private void member(
            Path shard, boolean packed, TarArchiveEntry entry, TarArchiveInputStream tar, Map<String, Pair> pairs)
            throws IOException {
        String name = entry.getName();
        int dot = name.indexOf('.', name.lastIndexOf('/') + 1);
        if (dot < 0) {
            return;
        }
        String extension = name.substring(dot + 1).toLowerCase(Locale.ROOT);
        Pair pair = pairs.computeIfAbsent(name.substring(0, dot), key -> new Pair());
        if (PICTURES.contains(extension)) {
            pair.image = shard.getFileName() + "!" + name;
            long at = tar.getBytesRead(); // the header has just been read
            byte[] bytes = packed ? tar.readAllBytes() : null;
            places.put(pair.image, new Place(bytes, shard, at, Math.toIntExact(entry.getSize())));
        } else if (extension.equals("txt")) {
            pair.caption = new String(tar.readAllBytes(), StandardCharsets.UTF_8).strip();
        } else if (extension.equals("json")) {
            try {
                pair.meta = JSON.readTree(tar.readAllBytes());
            } catch (JsonProcessingException e) {
                pair.problem = "damaged JSON (" + name + ": " + e.getOriginalMessage() + ")";
            }
        }
    }

    private static String text(JsonNode meta, String field) {
        return meta != null && meta.hasNonNull(field) ? meta.get(field).asText() : null;
    }

    @Override
    public BufferedImage read(String image) throws IOException {
        Place place = places.get(image);
        byte[] bytes = place.bytes() != null ? place.bytes() : load(place);
        try (ImageInputStream in = new MemoryCacheImageInputStream(new ByteArrayInputStream(bytes))) {
            return Pictures.decode(in);
        }
    }

    private static byte[] load(Place place) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(place.size());
        try (FileChannel file = FileChannel.open(place.shard(), StandardOpenOption.READ)) {
            while (bytes.hasRemaining()) {
                if (file.read(bytes, place.offset() + bytes.position()) < 0) {
                    throw new IOException("shard ends before its member");
                }
            }
        }
        return bytes.array();
    }
}
