package org.contrastive4j.bench;

import java.awt.image.BufferedImage;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import javax.imageio.ImageIO;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.contrastive4j.data.Augmentation;
import org.contrastive4j.data.BatchLoader;
import org.contrastive4j.data.BatchMaker;
import org.contrastive4j.data.BatchOrder;
import org.contrastive4j.data.BatchOrder.Identities;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.data.Splits;
import org.contrastive4j.data.Tokenizer;

/**
 * Measures how long generated data take until their first batch, the heap they need, and decoded pairs per second:
 * {@code DataStartup <folder> <pairs> shards|csv <threads> <captions for the tokenizer>}, one measurement per process.
 */
public final class DataStartup {
    private static final int OF_SHARD = 1000;
    private static final int BATCH = 256;

    private DataStartup() {}

    public static void main(String[] arguments) throws IOException {
        Path folder = Path.of(arguments[0]);
        int pairs = Integer.parseInt(arguments[1]);
        boolean shards = arguments[2].equals("shards");
        int threads = Integer.parseInt(arguments[3]);
        if (!Files.exists(folder)) {
            Files.createDirectories(folder);
            generate(folder, pairs, shards);
            return;
        }
        long start = System.nanoTime();
        PairDataset data = PairDataset.open(folder, false);
        Splits splits = Splits.of(data, "", 0.1, 1);
        Tokenizer tokenizer = Tokenizer.train(splits.trainingCaptions(Integer.parseInt(arguments[4])), 2000, 2);
        BatchOrder order = BatchOrder.of(data, splits, new Identities(data, tokenizer, 16), BATCH, 1);
        BatchMaker maker = new BatchMaker(data, tokenizer, 32, 16, 1);
        int steps = Math.min(20, pairs / BATCH - 2);
        try (BatchLoader loader = new BatchLoader(order, maker, Augmentation.none(), 0, steps, threads, 2)) {
            loader.next();
            double first = (System.nanoTime() - start) / 1e9;
            System.gc();
            Runtime runtime = Runtime.getRuntime();
            double heap = (runtime.totalMemory() - runtime.freeMemory()) / 1048576.0;
            long begun = System.nanoTime();
            int count = 0;
            while (loader.hasNext()) {
                loader.next();
                count += BATCH;
            }
            System.out.printf(
                    Locale.ROOT,
                    "%,d pairs, %s, %d threads: first batch after %.2f s, %.0f MiB of heap, %.0f pairs/s%n",
                    pairs,
                    arguments[2],
                    threads,
                    first,
                    heap,
                    count / ((System.nanoTime() - begun) / 1e9));
        }
    }

    private static byte[] jpeg(int seed) throws IOException {
        BufferedImage image = new BufferedImage(256, 192, BufferedImage.TYPE_INT_RGB);
        for (int y = 0; y < 192; y++) {
            for (int x = 0; x < 256; x++) {
                image.setRGB(x, y, (x + seed) % 256 << 16 | y << 8 | (x * y >> 6 & 255));
            }
        }
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        ImageIO.write(image, "jpg", bytes);
        return bytes.toByteArray();
    }

    private static String caption(int k) {
        return "picture number " + k + " of kind " + k % 97 + " in colour " + k % 13;
    }

    private static void generate(Path folder, int pairs, boolean shards) throws IOException {
        byte[][] pictures = new byte[16][];
        for (int k = 0; k < pictures.length; k++) {
            pictures[k] = jpeg(16 * k);
        }
        if (!shards) {
            StringBuilder rows = new StringBuilder("image,caption\n");
            for (int k = 0; k < pairs; k++) {
                if (k < 3000) {
                    Files.write(folder.resolve(k + ".jpg"), pictures[k % 16]);
                }
                rows.append(k % 3000).append(".jpg,").append(caption(k)).append('\n');
            }
            Files.writeString(folder.resolve("captions.csv"), rows);
            return;
        }
        for (int from = 0; from < pairs; from += OF_SHARD) {
            Path shard = folder.resolve(String.format(Locale.ROOT, "%05d.tar", from / OF_SHARD));
            try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(shard), 1 << 16);
                    TarArchiveOutputStream tar = new TarArchiveOutputStream(out)) {
                for (int k = from; k < Math.min(pairs, from + OF_SHARD); k++) {
                    member(tar, k + ".jpg", pictures[k % 16]);
                    member(tar, k + ".txt", caption(k).getBytes(StandardCharsets.UTF_8));
                }
            }
        }
    }

    private static void member(TarArchiveOutputStream tar, String name, byte[] bytes) throws IOException {
        TarArchiveEntry entry = new TarArchiveEntry(name);
        entry.setSize(bytes.length);
        tar.putArchiveEntry(entry);
        tar.write(bytes);
        tar.closeArchiveEntry();
    }
}
