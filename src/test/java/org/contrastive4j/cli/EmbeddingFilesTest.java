package org.contrastive4j.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.contrastive4j.data.DataException;
import org.contrastive4j.data.Pair;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Representations in files: of this program and of others, and what eval --embeddings measures from them. */
class EmbeddingFilesTest {
    private static final Path OF_PYARROW = Path.of("test-data/embeddings/flickr.parquet");
    private static final int WIDTH = 6;

    @TempDir
    Path folder;

    private record Ran(int code, String out) {}

    private static Ran run(String... arguments) {
        PrintStream out = System.out;
        PrintStream err = System.err;
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        PrintStream both = new PrintStream(bytes, true, StandardCharsets.UTF_8);
        try {
            System.setOut(both);
            System.setErr(both);
            return new Ran(Main.run(arguments), bytes.toString(StandardCharsets.UTF_8));
        } finally {
            System.setOut(out);
            System.setErr(err);
        }
    }

    private static float[] random(Random random) {
        float[] row = new float[WIDTH];
        for (int i = 0; i < WIDTH; i++) {
            row[i] = (float) random.nextGaussian();
        }
        return row;
    }

    private static Pair pair(int k) {
        return new Pair(7 * k, k / 5 + " \u00e4.jpg", "caption, \"" + k + "\" \uD83D\uDE00", null, "", "", "");
    }

    /** Writes pictures with five captions each; caption rows are those of their picture, or random. */
    private Path write(String format, int pairs, boolean oracle) throws IOException {
        Path out = Files.createDirectories(folder.resolve(format + pairs + oracle));
        Path file = out.resolve(EmbeddingFiles.PARQUET);
        Random random = new Random(3);
        float[] picture = {};
        try (EmbeddingFiles.Sink sink =
                format.equals("npy") ? EmbeddingFiles.npy(out, pairs, WIDTH) : ParquetFile.write(file)) {
            for (int k = 0; k < pairs; k++) {
                picture = k % 5 == 0 ? random(random) : picture;
                sink.add(pair(k), k != 4, picture, oracle ? picture : random(random));
            }
        }
        return format.equals("npy") ? out : file;
    }

    @ParameterizedTest
    @ValueSource(strings = {"npy", "parquet"})
    void read_returnsWhatWasWritten(String format) throws IOException {
        EmbeddingFiles.Table table = EmbeddingFiles.read(write(format, 10, false));
        assertEquals(Set.of(4), table.unreadable());
        assertEquals(WIDTH, table.width());
        assertEquals(10, table.pairs().size());
        Random random = new Random(3);
        float[] picture = {};
        for (int k = 0; k < 10; k++) {
            picture = k % 5 == 0 ? random(random) : picture;
            assertEquals(pair(k).caption(), table.pairs().get(k).caption());
            assertEquals(pair(k).picture(), table.pairs().get(k).picture());
            assertEquals(k, table.pairs().get(k).id());
            assertArrayEquals(picture, Arrays.copyOfRange(table.pictures(), k * WIDTH, (k + 1) * WIDTH));
            assertArrayEquals(random(random), Arrays.copyOfRange(table.captions(), k * WIDTH, (k + 1) * WIDTH));
        }
    }

    @Test
    void read_fileOfPyarrow_hasItsRows() {
        EmbeddingFiles.Table table = EmbeddingFiles.read(OF_PYARROW);
        assertEquals(20, table.pairs().size());
        assertEquals(
                "caption 3 of\tpicture 2, \"quoted\"", table.pairs().get(13).caption());
        assertArrayEquals(new float[] {0, 0, 1, 0}, Arrays.copyOfRange(table.pictures(), 52, 56));
    }

    /** Runs where Python has pyarrow. */
    @Test
    void parquet_isReadByPyarrow() throws Exception {
        Path file = write("parquet", 10, false);
        String program = "import sys, pyarrow.parquet as q\n"
                + "rows = q.read_table(sys.argv[1]).to_pylist()\n"
                + "print(len(rows), rows[7]['id'], rows[7]['readable'], rows[4]['readable'],"
                + " rows[7]['caption'].encode().hex(), *rows[7]['caption_embedding'])";
        Process python;
        try {
            python = new ProcessBuilder("python3", "-c", program, file.toString())
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
        } catch (IOException noPython) {
            Assumptions.abort("no python3");
            return;
        }
        String out = new String(python.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
        Assumptions.assumeTrue(python.waitFor(60, TimeUnit.SECONDS) && python.exitValue() == 0, "no pyarrow");
        String[] words = out.split(" ");
        assertEquals(List.of("10", "49", "True", "False"), List.of(words).subList(0, 4));
        assertEquals(
                pair(7).caption(), new String(java.util.HexFormat.of().parseHex(words[4]), StandardCharsets.UTF_8));
        EmbeddingFiles.Table table = EmbeddingFiles.read(file);
        for (int i = 0; i < WIDTH; i++) {
            assertEquals(table.captions()[7 * WIDTH + i], (float) Double.parseDouble(words[5 + i]));
        }
    }

    /** Five captions a picture: an oracle has full recall, the files of both formats and of pyarrow give the same. */
    @ParameterizedTest
    @ValueSource(strings = {"npy", "parquet", "pyarrow"})
    void eval_ofAnOracle_is100Percent(String format) throws IOException {
        Path file = format.equals("pyarrow") ? OF_PYARROW : write(format, 200, true);
        Ran eval = run("eval", "--device", "cpu", "--embeddings", file.toString());
        assertEquals(0, eval.code(), eval.out());
        List<String> lines =
                eval.out().lines().filter(line -> line.startsWith("all")).toList();
        assertEquals(2, lines.size(), eval.out());
        for (String line : lines) {
            assertTrue(line.contains("100.0%  100.0%  100.0%"), eval.out());
        }
    }

    @Test
    void eval_ofNoise_isAtChance() throws IOException {
        Ran eval = run(
                "eval",
                "--device",
                "cpu",
                "--embeddings",
                write("npy", 1000, false).toString());
        List<String> lines =
                eval.out().lines().filter(line -> line.startsWith("all")).toList();
        for (String line : lines) {
            String[] cells = line.trim().split("\\s{2,}|(?<=%)\\s+");
            double recall1 = Double.parseDouble(cells[2].replace("%", ""));
            assertTrue(recall1 < 2.5, eval.out()); // chance is 0.5 %
        }
        assertTrue(eval.out().contains("0.50%"), eval.out());
    }

    @Test
    void eval_withOptionsThatHaveNoEffect_isRefused() throws IOException {
        String file = write("npy", 10, true).toString();
        for (String[] bad : new String[][] {
            {"--data", "x", "cannot be combined with --embeddings"},
            {"--run", "x", "give --classes too"},
            {"--prompt", "a {}", "give --classes too"}
        }) {
            Ran eval = run("eval", "--embeddings", file, bad[0], bad[1]);
            assertEquals(Main.REFUSED, eval.code());
            assertTrue(eval.out().contains(bad[2]), eval.out());
        }
    }

    /** eval --embeddings of what embed wrote prints what eval --data prints, in both formats. */
    static void assertMeasureTheSame(Path run, Path pairs, Path folder) {
        String[] classes = {"--classes", "kind0;kind1;kind2", "--run", run.toString()};
        Ran direct = run(joined(new String[] {"eval", "--data", pairs.toString()}, classes));
        assertTrue(direct.out().contains("zero-shot") && direct.out().contains("linear probe"), direct.out());
        for (String format : List.of("npy", "parquet")) {
            String out = folder.resolve("embedded-" + format).toString();
            assertEquals(
                    0,
                    run("embed", "--run", run.toString(), "--out", out, "--format", format)
                            .code());
            assertEquals(direct, run(joined(new String[] {"eval", "--embeddings", out}, classes)));
        }
    }

    private static String[] joined(String[] first, String[] second) {
        return Stream.of(first, second).flatMap(Stream::of).toArray(String[]::new);
    }

    private String refusal(Path path) {
        return assertThrows(DataException.class, () -> EmbeddingFiles.read(path))
                .getMessage();
    }

    @Test
    void read_ofFilesThatDoNotFit_namesThem() throws IOException {
        assertTrue(refusal(folder.resolve("none")).contains("does not exist"));
        assertTrue(refusal(folder).contains("has no pictures.npy"));
        Path text = Files.writeString(folder.resolve("x.parquet"), "this is no Parquet file");
        assertTrue(refusal(text).contains("x.parquet cannot be read as Parquet"), refusal(text));
        Path out = write("npy", 10, true);
        Files.writeString(out.resolve("keys.tsv"), "picture\tcaption\na\tone\n");
        assertTrue(refusal(out).contains("has 1 keys, pictures of 10 x 6"), refusal(out));
        Files.writeString(out.resolve("pictures.npy"), "no numbers");
        assertTrue(refusal(out).contains("is no .npy file"), refusal(out));
        Path integers = out.resolve("captions.npy");
        byte[] header = "{'descr': '<i8', 'fortran_order': False, 'shape': (1, 2), }\n".getBytes();
        ByteBuffer bytes = ByteBuffer.allocate(10 + header.length + 16).order(ByteOrder.LITTLE_ENDIAN);
        bytes.put(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0})
                .putShort((short) header.length)
                .put(header);
        Files.write(integers, bytes.array());
        assertTrue(assertThrows(DataException.class, () -> NpyFile.read(integers))
                .getMessage()
                .contains("<i8"));
    }

    @Test
    void read_ofDamagedBytes_endsInADataException() throws IOException {
        Path npy = write("npy", 10, true).resolve("pictures.npy");
        Path parquet = write("parquet", 10, true);
        for (Path file : List.of(npy, parquet)) {
            byte[] whole = Files.readAllBytes(file);
            Random random = new Random(5);
            for (int k = 0; k < 100; k++) {
                byte[] bytes = Arrays.copyOf(whole, k % 3 == 0 ? random.nextInt(whole.length) : whole.length);
                for (int c = 0; c < 3 && bytes.length > 0; c++) {
                    bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
                }
                Files.write(file, bytes);
                try {
                    EmbeddingFiles.read(file);
                } catch (DataException damaged) {
                    assertTrue(damaged.getMessage().contains(file.getFileName().toString()), damaged.getMessage());
                }
            }
        }
    }
}
