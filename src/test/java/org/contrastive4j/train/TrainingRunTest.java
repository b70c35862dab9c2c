package org.contrastive4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.contrastive4j.Backend;
import org.contrastive4j.data.Augmentation;
import org.contrastive4j.data.PairDataset;
import org.contrastive4j.ops.Ops;
import org.contrastive4j.optim.AdamW;
import org.contrastive4j.support.PairFiles;
import org.contrastive4j.support.SampledSeeds;
import org.contrastive4j.support.TinyPairs;
import org.contrastive4j.train.Checkpoint.CheckpointException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Files of a run, a full disk at every write, and settings that a resumed run may change. */
class TrainingRunTest {
    private static final int STEPS = 2;

    @TempDir
    Path folder;

    private Ops ops;
    private Path pairs;

    @BeforeEach
    void open() {
        ops = Backend.open("cpu");
        pairs = PairFiles.folder(folder.resolve("pairs"), 20);
    }

    @AfterEach
    void close() {
        ops.close();
    }

    private TrainConfig config(int steps) {
        return TrainConfig.emoji().toBuilder()
                .data(pairs.toString())
                .strict(true)
                .heldOutGroup("c")
                .unseenShare(0.2)
                .seed(3)
                .steps(steps)
                .batch(12)
                .chunk(5)
                .learningRate(1e-2)
                .warmup(2)
                .vocabulary(60)
                .augmentation(new Augmentation(0.1, 0.1, 10, 0.2, 0.3, 0.2))
                .optimizer(new AdamW.Config(0.9, 0.98, 1e-8, 0.1))
                .model(TinyPairs.model(0.1))
                .loss(LossConfig.named("infonce", 12))
                .build();
    }

    private static PairDataset data(TrainConfig config) {
        return PairDataset.open(Path.of(config.data()), config.strict());
    }

    /** A disk without forced writes that is full from some call on; half of the bytes of that call are written. */
    private static final class FullDisk implements Disk {
        private final Set<String> written = new TreeSet<>();
        private int writesLeft;

        FullDisk(int writes) {
            writesLeft = writes;
        }

        private boolean isFull() {
            return writesLeft-- <= 0;
        }

        private OutputStream limited(OutputStream file) throws IOException {
            if (isFull()) {
                file.close();
                throw full();
            }
            return new FilterOutputStream(file) {
                @Override
                public void write(byte[] bytes, int from, int count) throws IOException {
                    if (isFull()) {
                        out.write(bytes, from, count / 2);
                        throw full();
                    }
                    out.write(bytes, from, count);
                }
            };
        }

        private static IOException full() {
            return new IOException("No space left on device");
        }

        @Override
        public OutputStream create(Path file) throws IOException {
            written.add(file.getFileName().toString().replaceAll("^\\.|\\.unfinished$", ""));
            return limited(Disk.REAL.create(file));
        }

        @Override
        public OutputStream append(Path file) throws IOException {
            written.add(file.getFileName().toString());
            return limited(Disk.REAL.append(file));
        }

        @Override
        public void force(Path path) {}
    }

    private static class Steps implements TrainingRun.Listener {
        private final int stopAfter;
        private final List<Double> losses = new ArrayList<>();

        Steps(int stopAfter) {
            this.stopAfter = stopAfter;
        }

        @Override
        public void step(Trainer.Step step) {
            losses.add(step.loss());
        }

        @Override
        public void recall(String split, double recall) {
            assertTrue(recall >= 0 && recall <= 1, split);
        }

        @Override
        public boolean stopRequested() {
            return losses.size() >= stopAfter;
        }
    }

    /** Starts a run, or resumes it from a checkpoint; returns its state at the end. */
    private List<String> run(Path out, Disk disk, TrainConfig config, int stopAfter) {
        try (RunFolder run = RunFolder.open(out, disk)) {
            Optional<Path> latest = run.checkpoints().latest();
            PairDataset data = data(config);
            try (Trainer trainer = latest.isEmpty()
                    ? Trainer.start(ops, config, data)
                    : Trainer.resume(ops, data, latest.get(), config.on(ops.precision()))) {
                TrainingRun training = TrainingRun.begin(
                        run, ops, trainer, new TrainingRun.Schedule(1, STEPS), Map.of("Java", "17 & newer"));
                if (training.train(new Steps(stopAfter))) {
                    training.finish();
                }
                return Snapshots.of(trainer);
            }
        }
    }

    private static List<Map<String, Object>> withoutTimes(Path run) {
        List<Map<String, Object>> lines = RunFolder.metrics(run);
        lines.forEach(line -> line.keySet().removeAll(List.of("seconds", "time", "pairsPerSecond", "dataSeconds")));
        return lines;
    }

    @Tag("sampled")
    @Test
    void train_withADiskThatFillsAtAnyWrite_resumesToTheSameBits() throws IOException {
        Path whole = folder.resolve("whole");
        FullDisk ample = new FullDisk(Integer.MAX_VALUE);
        List<String> expected = run(whole, ample, config(STEPS), STEPS);
        List<String> files = names(whole);
        assertEquals(filesWithContent(whole), ample.written, "every file is written through the disk of the test");
        int writes = Integer.MAX_VALUE - ample.writesLeft;
        for (int count : SampledSeeds.of(writes, 4)) {
            Path out = folder.resolve("full" + count);
            try {
                run(out, new FullDisk(count), config(STEPS), STEPS);
                fail("no write failed after " + count + " of " + writes);
            } catch (RunFolder.RunFolderException | CheckpointException full) {
                assertTrue(full.getMessage().contains("free disk space"), full.getMessage());
                assertTrue(full.getMessage().contains("No space left"), full.getMessage());
            }
            assertEquals(expected, run(out, new FullDisk(Integer.MAX_VALUE), config(STEPS), STEPS), "full at " + count);
            assertEquals(withoutTimes(whole), withoutTimes(out), "full at " + count);
            assertEquals(files.size(), names(out).size(), names(out).toString());
        }
    }

    /** Returns the names of all files but the lock, which is empty. */
    private static Set<String> filesWithContent(Path run) throws IOException {
        try (Stream<Path> files = Files.walk(run)) {
            return files.filter(Files::isRegularFile)
                    .map(file -> file.getFileName().toString())
                    .filter(name -> !name.equals(".lock"))
                    .collect(Collectors.toCollection(TreeSet::new));
        }
    }

    private static List<String> names(Path run) throws IOException {
        try (Stream<Path> files = Files.walk(run)) {
            return files.map(file -> run.relativize(file).toString()).sorted().toList();
        }
    }

    @Test
    void train_resumedWithMoreSteps_continuesToTheNewEnd() throws IOException {
        Path out = folder.resolve("run");
        run(out, Disk.REAL, config(4), 2);
        assertEquals(2, RunFolder.metrics(out).size());
        assertTrue(RunRecord.read(out).summary().isEmpty(), "the run is not finished");
        run(out, Disk.REAL, config(4).toBuilder().steps(6).learningRate(1e-3).build(), 100);
        assertEquals(6, RunFolder.metrics(out).size());
        RunRecord record = RunRecord.read(out);
        assertEquals(6, record.config().get("steps"));
        assertEquals(6, record.summary().get("steps"));
        String augmentation = String.valueOf(record.summary().get("augmentation"));
        assertTrue(augmentation.startsWith("custom: shift up to 0.1; zoom up to 0.1;"), augmentation);
        String preprocessing = String.valueOf(record.summary().get("preprocessing"));
        assertTrue(preprocessing.contains("8 pixels, centre cropped, bicubic with antialiasing, mean [0.5, 0.5, 0.5]"));
        String page = Files.readString(out.resolve("report.html"));
        assertTrue(page.contains(augmentation) && page.contains(preprocessing));
        assertEquals(1e-3 * 0.5 * (1 + Math.cos(Math.PI * 3 / 4.0)), rate(out, 5), 1e-12);
    }

    private static double rate(Path run, int line) {
        return ((Number) RunFolder.metrics(run).get(line).get("learningRate")).doubleValue();
    }

    @Test
    void resume_withAForbiddenChange_isRejected() {
        Path out = folder.resolve("run");
        run(out, Disk.REAL, config(2), 100);
        for (TrainConfig other : List.of(
                config(2).toBuilder().seed(4).build(),
                config(2).toBuilder().batch(13).build(),
                config(1).toBuilder().build())) {
            String message = assertThrows(IllegalArgumentException.class, () -> run(out, Disk.REAL, other, 100))
                    .getMessage();
            assertTrue(message.contains("a resumed run can change") || message.contains("has made 2 steps"), message);
        }
    }

    @Test
    void resume_withEditedCaptions_isRejected() throws IOException {
        Path out = folder.resolve("run");
        run(out, Disk.REAL, config(2), 1);
        Path captions = pairs.resolve("captions.tsv");
        Files.writeString(captions, Files.readString(captions).replaceFirst("word3", "edited"));
        String message = assertThrows(CheckpointException.class, () -> run(out, Disk.REAL, config(2), 100))
                .getMessage();
        assertTrue(message.contains("the list of pairs was changed"), message);
    }

    @Test
    void resume_withAnEditedPicture_isRejected() throws IOException {
        Path out = folder.resolve("run");
        run(out, Disk.REAL, config(2), 1);
        Files.write(pairs.resolve("a3.png"), PairFiles.png(12, 12, 1000));
        String message = assertThrows(CheckpointException.class, () -> run(out, Disk.REAL, config(2), 100))
                .getMessage();
        assertTrue(message.contains("the contents of pictures were changed"), message);
    }

    @Test
    void requireData_ofACheckpointBeforePicturesCounted_comparesTheList() throws IOException {
        JsonNode older = new ObjectMapper().readTree("{\"dataFingerprint\":\"ab\"}");
        TrainerState state = new TrainerState(older, out());
        state.requireData("ab:cd", pairs);
        assertThrows(CheckpointException.class, () -> state.requireData("ac:cd", pairs));
    }

    private Path out() {
        return folder.resolve("run");
    }

    /** Windows refuses to replace a file that another program has open, and to remove the files of such a folder. */
    @Test
    void train_whileAnotherProgramHoldsFiles_continues() throws IOException {
        Set<String> refused = new TreeSet<>();
        Disk windows = new Disk() {
            @Override
            public OutputStream create(Path file) throws IOException {
                return Disk.REAL.create(file);
            }

            @Override
            public void rename(Path from, Path to) throws IOException {
                String name = to.getFileName().toString();
                if (name.equals("left-out.tsv") || name.startsWith(".removing-")) {
                    refused.add(name);
                    throw new AccessDeniedException(from.toString(), to.toString(), null);
                }
                Disk.REAL.rename(from, to);
            }

            @Override
            public void force(Path path) {}
        };
        run(out(), windows, config(4), 100);
        assertEquals(Set.of(".removing-step-00000001", "left-out.tsv"), refused);
        assertTrue(Files.readString(out().resolve("report.html")).contains("finished"));
        assertEquals(4, RunRecord.read(out()).summary().get("steps"));
        try (RunFolder folder = RunFolder.open(out())) {
            assertEquals(4, folder.checkpoints().all().size(), "removed when the program has ended");
        }
    }

    @Test
    void resume_withANameThatNoFileCanHave_leavesItOut() throws IOException {
        Files.writeString(pairs.resolve("captions.tsv"), "a\0:1.png\tword\tc1\ta\n", StandardOpenOption.APPEND);
        TrainConfig config = config(2).toBuilder().strict(false).build();
        run(out(), Disk.REAL, config, 1);
        run(out(), Disk.REAL, config, 100);
        assertEquals(2, RunRecord.read(out()).summary().get("steps"));
    }

    /** The first sitting stops after a step, as after Ctrl-C; then the data are moved. */
    @Test
    void leftOut_afterEachSitting_listsAllThatWasFound() throws IOException {
        Files.writeString(pairs.resolve("captions.tsv"), "a1.png\t\tc1\ta\n", StandardOpenOption.APPEND);
        List<String> broken = List.of("a4.png", "a5.png", "b6.png", "c7.png", "c8.png");
        for (String picture : broken) {
            Files.writeString(pairs.resolve(picture), "no picture");
        }
        TrainConfig config = config(3).toBuilder().strict(false).build();
        run(out(), Disk.REAL, config, 1);
        List<String> first = Files.readAllLines(out().resolve("left-out.tsv"));
        assertEquals("key\treason\tcause", first.get(0));
        assertTrue(first.stream().anyMatch(line -> line.contains("\tempty caption\t")), first.toString());
        Path moved = Files.move(pairs, folder.resolve("moved"));
        String seenOnlyBefore = moved.resolve("captions.tsv") + " line 999\tunreadable picture\tz.png: no such file";
        Files.writeString(
                out().resolve("left-out.tsv"),
                seenOnlyBefore.replace(moved.toString(), pairs.toString()) + "\n",
                StandardOpenOption.APPEND);
        run(out(), Disk.REAL, config.toBuilder().data(moved.toString()).build(), 100);
        List<String> all = Files.readAllLines(out().resolve("left-out.tsv"));
        assertEquals(all.size(), all.stream().distinct().count(), all.toString());
        assertTrue(all.contains(seenOnlyBefore), all.toString());
        for (String line : first) {
            assertTrue(all.contains(line.replace(pairs.toString(), moved.toString())), line + " in " + all);
        }
        Map<?, ?> counts = (Map<?, ?>) RunRecord.read(out()).summary().get("leftOut");
        assertEquals(
                all.size() - 1,
                counts.values().stream().mapToInt(count -> (Integer) count).sum());
    }

    @Test
    void resume_withMovedData_continues() throws IOException {
        Path out = folder.resolve("run");
        run(out, Disk.REAL, config(2), 1);
        Path moved = Files.move(pairs, folder.resolve("moved"));
        run(out, Disk.REAL, config(2).toBuilder().data(moved.toString()).build(), 100);
        assertEquals(moved.toString(), RunRecord.read(out).config().get("data"));
    }

    @Test
    void report_duringTraining_reloadsAndAtTheEndDoesNot() throws IOException {
        Path out = folder.resolve("run");
        List<String> pages = new ArrayList<>();
        TrainConfig config = config(2);
        try (RunFolder run = RunFolder.open(out);
                Trainer trainer = Trainer.start(ops, config, data(config))) {
            TrainingRun training =
                    TrainingRun.begin(run, ops, trainer, new TrainingRun.Schedule(1, 0), Map.of("Java", "17"));
            training.train(new Steps(100) {
                @Override
                public void step(Trainer.Step step) {
                    super.step(step);
                    try {
                        pages.add(Files.readString(out.resolve("report.html")));
                    } catch (IOException e) {
                        throw new IllegalStateException(e);
                    }
                }
            });
            training.finish();
        }
        assertTrue(pages.get(0).contains("http-equiv=\"refresh\""), "running");
        String page = Files.readString(out.resolve("report.html"));
        assertFalse(page.contains("http-equiv=\"refresh\""), "finished");
        for (String part : List.of(
                "finished",
                "Learning rate",
                "Pairs per second",
                "data fingerprint",
                "pairs left out",
                "seed",
                "device",
                "started",
                "chance R@1",
                "Retrieval examples",
                "Configuration")) {
            assertTrue(page.contains(part), part);
        }
    }

    @Test
    void schedule_withTooSmallNumbers_isRejected() {
        assertThrows(IllegalArgumentException.class, () -> new TrainingRun.Schedule(0, 1));
        assertThrows(IllegalArgumentException.class, () -> new TrainingRun.Schedule(1, -1));
    }
}
