package org.contrastive4j.bench;

import java.awt.image.BufferedImage;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import javax.imageio.ImageIO;
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
            double cpu = ProcessHandle.current()
                            .info()
                            .totalCpuDuration()
                            .orElse(Duration.ZERO)
                            .toMillis()
                    / 1e3;
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
                    "%,d pairs, %s, %d threads: first batch after %.2f s (%.2f s of CPU), %.0f MiB of heap, %s resident"
                            + " at most, %.0f pairs/s%n",
                    pairs,
                    arguments[2],
                    threads,
                    first,
                    cpu,
                    heap,
                    resident(),
                    count / ((System.nanoTime() - begun) / 1e9));
        }
    }

    /** Returns the peak of resident memory where Linux reports it. */
    private static String resident() throws IOException {
        Path status = Path.of("/proc/self/status");
        return !Files.exists(status)
                ? "unknown"
                : Files.readAllLines(status).stream()
                        .filter(line -> line.startsWith("VmHWM:"))
                        .map(line -> Integer.parseInt(line.replaceAll("\\D", "")) / 1024 + " MiB")
                        .findFirst()
                        .orElse("unknown");
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
            try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(shard), 1 << 16)) {
                for (int k = from; k < Math.min(pairs, from + OF_SHARD); k++) {
                    member(out, k + ".jpg", pictures[k % 16]);
                    member(out, k + ".txt", caption(k).getBytes(StandardCharsets.UTF_8));
                }
                out.write(new byte[1024]);
            }
        }
    }

    /** Writes a member in the ustar format. */
    private static void member(OutputStream out, String name, byte[] bytes) throws IOException {
        ByteBuffer header = ByteBuffer.allocate(512);
        put(header, 0, name);
        put(header, 100, "0000644");
        put(header, 124, String.format(Locale.ROOT, "%011o", bytes.length));
        put(header, 136, "00000000000");
        int sum = 0;
        header.put(156, (byte) '0');
        put(header, 257, "ustar\00000");
        put(header, 148, "        ");
        for (byte value : header.array()) {
            sum += value & 255;
        }
        put(header, 148, String.format(Locale.ROOT, "%06o\0 ", sum));
        out.write(header.array());
        out.write(bytes);
        out.write(new byte[Math.floorMod(-bytes.length, 512)]);
    }

    private static void put(ByteBuffer header, int at, String text) {
        header.put(at, text.getBytes(StandardCharsets.US_ASCII));
    }
}
