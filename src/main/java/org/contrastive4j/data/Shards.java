package org.contrastive4j.data;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.ref.SoftReference;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.PrimitiveIterator;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.contrastive4j.data.PairDataset.LeftOut;
import org.contrastive4j.internal.files.FileErrors;
import org.jspecify.annotations.Nullable;

/**
 * WebDataset shards. A shard is indexed when its first pair is needed: headers and captions are read, pictures are not.
 * The id of a pair is the number of its shard and its index there, so that it does not depend on other shards.
 *
 * <p>Memory: indexes are given up when memory is short, and made again when they are needed.
 */
final class Shards implements PairStore {
    private final List<ShardFile> files;
    private final LeftOut leftOut;
    private final AtomicReferenceArray<@Nullable SoftReference<ShardIndex>> indexes;
    private final boolean[] reported;
    private final int indexBits;

    Shards(List<Path> shards, LeftOut leftOut) {
        this.files = shards.stream().map(ShardFile::new).toList();
        this.leftOut = leftOut;
        this.indexes = new AtomicReferenceArray<>(files.size());
        this.reported = new boolean[files.size()];
        int shardBits = Integer.SIZE - Integer.numberOfLeadingZeros(files.size() - 1);
        this.indexBits = Math.min(24, Integer.SIZE - 1 - shardBits);
    }

    /**
     * Returns the shards that a path names: one, those of a folder, or those of a pattern such as {00000..00041}.tar.
     */
    static List<Path> find(Path path) throws IOException {
        String name = FileNames.name(path);
        if (name.contains("{")) {
            List<Path> all = new ArrayList<>();
            for (String expanded : FileNames.expandBraces(name)) {
                Path shard = FileNames.resolve(
                        Objects.requireNonNull(path.toAbsolutePath().getParent()), expanded);
                if (!Files.isReadable(shard)) {
                    throw new DataException("shard " + shard + " of the pattern " + path + " does not exist");
                }
                all.add(shard);
            }
            return all;
        }
        if (!Files.isDirectory(path)) {
            return isShard(path) ? List.of(path) : List.of();
        }
        try (Stream<Path> files = Files.list(path)) {
            return files.filter(Shards::isShard).sorted().toList();
        }
    }

    private static boolean isShard(Path path) {
        String name = FileNames.name(path);
        return !name.startsWith(".") && (name.endsWith(".tar") || name.endsWith(".tar.gz") || name.endsWith(".tgz"));
    }

    private ShardIndex index(int shard) {
        SoftReference<ShardIndex> held = indexes.get(shard);
        ShardIndex index = held == null ? null : held.get();
        if (index != null) {
            return index;
        }
        synchronized (files.get(shard)) {
            held = indexes.get(shard);
            index = held == null ? null : held.get();
            if (index == null) {
                index = read(shard);
                indexes.set(shard, new SoftReference<>(index));
            }
            return index;
        }
    }

    /** Returns the number of shards that have been indexed. */
    int indexed() {
        int count = 0;
        for (boolean done : reported) {
            count += done ? 1 : 0;
        }
        return count;
    }

    private ShardIndex read(int shard) {
        ShardFile file = files.get(shard);
        LeftOut report = reported[shard] ? new LeftOut() : leftOut;
        reported[shard] = true;
        try (FileChannel channel = file.open()) {
            ShardIndex index = ShardReader.index(channel, file.name(), report);
            if (index.size() > 1 << indexBits) {
                throw new DataException("shard " + file.name() + " has " + index.size() + " pairs; with " + files.size()
                        + " shards at most " + (1 << indexBits) + " are possible: split it");
            }
            return index;
        } catch (IOException e) {
            report.add(file.name(), "unreadable shard", FileErrors.reason(e));
            return new ShardIndex();
        }
    }

    @Override
    public int parts() {
        return files.size();
    }

    @Override
    public int[] idsOf(int part) {
        int first = part << indexBits;
        return IntStream.range(first, first + index(part).size()).toArray();
    }

    @Override
    public boolean isStream() {
        return true;
    }

    @Override
    public PrimitiveIterator.OfInt ids() {
        return IntStream.range(0, files.size())
                .flatMap(part -> IntStream.of(idsOf(part)))
                .iterator();
    }

    private ShardIndex.Entry entry(int id) {
        return index(id >>> indexBits).entry(id & (1 << indexBits) - 1);
    }

    @Override
    public Pair pair(int id) {
        ShardFile file = files.get(id >>> indexBits);
        ShardIndex.Entry entry = entry(id);
        try (FileChannel channel = file.open()) {
            return ShardReader.pair(channel, id, file.name(), entry);
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read " + entry.key() + " of shard " + file.name(), e);
        }
    }

    @Override
    public RgbPicture picture(Pair pair) throws IOException {
        ShardIndex.Entry entry = entry(pair.id());
        try (FileChannel channel = files.get(pair.id() >>> indexBits).open()) {
            return PictureReader.read(entry.picture().read(channel));
        }
    }

    @Override
    public String contents() {
        FileContents contents = new FileContents();
        files.forEach(file -> contents.add(file.name(), file.path()));
        return contents.text();
    }

    /** Names, sizes, and the first and last 64 KiB of every shard. */
    @Override
    public String fingerprint() throws IOException {
        Fingerprint print = new Fingerprint();
        for (ShardFile file : files) {
            print.add(file.name());
            try (FileChannel channel = FileChannel.open(file.path(), StandardOpenOption.READ)) {
                print.add(Long.toString(channel.size()));
                int length = (int) Math.min(1 << 16, channel.size());
                ByteBuffer ends = ByteBuffer.allocate(2 * length);
                TarWindow.fully(channel, 0, ends.limit(length));
                TarWindow.fully(channel, channel.size() - length, ends.limit(2 * length));
                print.add(ends.array());
            }
        }
        return print.text();
    }
}
