package org.contrastive4j.train;

import com.fasterxml.jackson.core.type.TypeReference;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.contrastive4j.internal.files.FileErrors;

/**
 * The contents of a run folder.
 *
 * <p>Tested by {@code TrainingRunTest}.
 *
 * @param name of the folder
 * @param status state of the run, for people
 * @param running whether the run goes on
 * @param config content of config.json
 * @param facts content of run.json
 * @param metrics lines of metrics.jsonl
 * @param summary content of summary.json; empty before the end
 * @param examples PNG of retrievals; empty before the end
 */
record RunRecord(
        String name,
        String status,
        boolean running,
        Map<String, Object> config,
        Map<String, Object> facts,
        List<Map<String, Object>> metrics,
        Map<String, Object> summary,
        byte[] examples) {
    static final String CONFIG = "config.json";
    static final String FACTS = "run.json";
    static final String SUMMARY = "summary.json";
    static final String EXAMPLES = "examples.png";

    /**
     * Reads a run folder.
     *
     * @throws RunFolder.RunFolderException when the folder holds no run, or a file cannot be read
     */
    static RunRecord read(Path folder) {
        if (!Files.exists(folder.resolve(CONFIG))) {
            throw new RunFolder.RunFolderException(
                    folder + " holds no run: it has no " + CONFIG + "; name the --out folder of a train command", null);
        }
        Map<String, Object> summary = json(folder.resolve(SUMMARY));
        return new RunRecord(
                folder.toAbsolutePath().normalize().getFileName().toString(),
                summary.isEmpty() ? "not finished" : "finished",
                false,
                json(folder.resolve(CONFIG)),
                json(folder.resolve(FACTS)),
                RunFolder.metrics(folder),
                summary,
                bytes(folder.resolve(EXAMPLES)));
    }

    /** Returns the content of config.json. */
    static Map<String, Object> config(TrainConfig config, Map<String, Object> origin) {
        Map<String, Object> all = RunFolder.JSON.convertValue(config, new TypeReference<>() {});
        if (!origin.isEmpty()) {
            all.put("origin", origin);
        }
        return all;
    }

    RunRecord with(String otherStatus, boolean isRunning) {
        return new RunRecord(name, otherStatus, isRunning, config, facts, metrics, summary, examples);
    }

    /** Returns when a run was first started, {@code now} for a new run. */
    static Instant started(Path folder, Instant now) {
        Object started = json(folder.resolve(FACTS)).get("started");
        try {
            return started == null ? now : Instant.parse(started.toString());
        } catch (DateTimeException notOurs) {
            return now;
        }
    }

    static Map<String, Object> json(Path file) {
        byte[] bytes = bytes(file);
        try {
            return bytes.length == 0 ? Map.of() : RunFolder.JSON.readValue(bytes, new TypeReference<>() {});
        } catch (IOException e) {
            throw new RunFolder.RunFolderException(file + " is not JSON: " + e.getMessage(), e);
        }
    }

    /** Returns the bytes of a file; empty if it does not exist. */
    static byte[] bytes(Path file) {
        try {
            return Files.exists(file) ? Files.readAllBytes(file) : new byte[0];
        } catch (IOException e) {
            throw new RunFolder.RunFolderException("cannot read " + file + ": " + FileErrors.reason(e), e);
        }
    }

    /** Returns the number of completed steps. */
    int steps() {
        return metrics.isEmpty() ? 0 : step(metrics.get(metrics.size() - 1));
    }

    /** Returns the step of a line of metrics. */
    static int step(Map<String, Object> line) {
        return ((Number) Objects.requireNonNull(line.get("step"))).intValue();
    }
}
