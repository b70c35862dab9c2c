package org.contrastive4j.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.contrastive4j.device.PtxModule;
import org.contrastive4j.device.PtxModule.PtxException;
import org.contrastive4j.internal.sim.SimDevice;
import org.contrastive4j.internal.sim.SimOptions;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * Tells which of many PTX files the simulator loads.
 *
 * <p>Tested by {@code PtxRunTest}.
 */
@Command(
        name = "load",
        mixinStandardHelpOptions = true,
        showDefaultValues = true,
        description = {
            "Loads all .ptx files of folders into the simulator and prints a table of entries and files that load,",
            "by folder, and what the others are refused for."
        })
final class PtxLoadCommand implements Callable<Integer> {
    @Parameters(arity = "1..*", paramLabel = "FOLDER", description = "folder, searched with those below it")
    private List<Path> folders = List.of();

    @Option(names = "--reasons", paramLabel = "COUNT", description = "most frequent reasons that are printed")
    private int reasons = 20;

    /** Entries and files of a folder. */
    private static final class Counts {
        private int entries;
        private int loadedEntries;
        private int files;
        private int loadedFiles;

        private void add(Counts other) {
            entries += other.entries;
            loadedEntries += other.loadedEntries;
            files += other.files;
            loadedFiles += other.loadedFiles;
        }
    }

    private final Map<String, Integer> refused = new TreeMap<>();

    @Override
    public Integer call() throws IOException {
        Table table = new Table("folder", "entries", "loaded", "share", "files", "loaded", "share");
        Counts total = new Counts();
        for (Path folder : folders) {
            for (Map.Entry<String, Counts> part : parts(folder).entrySet()) {
                row(table, part.getKey(), part.getValue());
                total.add(part.getValue());
            }
        }
        row(table, "all", total);
        System.out.print(table);
        refused.entrySet().stream()
                .sorted(Map.Entry.<String, Integer>comparingByValue().reversed())
                .limit(reasons)
                .forEach(reason -> System.out.println(reason.getValue() + "  " + reason.getKey()));
        return 0;
    }

    private static void row(Table table, String name, Counts counts) {
        table.add(
                name,
                counts.entries,
                counts.loadedEntries,
                share(counts.loadedEntries, counts.entries),
                counts.files,
                counts.loadedFiles,
                share(counts.loadedFiles, counts.files));
    }

    private static String share(int part, int whole) {
        return whole == 0 ? "-" : String.format(Locale.ROOT, "%.1f%%", 100.0 * part / whole);
    }

    /** Counts by the folders directly below one. */
    private Map<String, Counts> parts(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) {
            throw new IllegalArgumentException(folder + " is not a folder");
        }
        List<Path> files;
        try (Stream<Path> all = Files.walk(folder)) {
            files = all.filter(file -> file.toString().endsWith(".ptx"))
                    .sorted()
                    .toList();
        }
        Map<String, Counts> parts = new LinkedHashMap<>();
        for (Path file : files) {
            Path inside = folder.relativize(file);
            String part = folder.getFileName() + (inside.getNameCount() > 1 ? "/" + inside.getName(0) : "");
            load(file, parts.computeIfAbsent(part, key -> new Counts()));
        }
        return parts;
    }

    private void load(Path file, Counts counts) throws IOException {
        String text = Files.readString(file, StandardCharsets.ISO_8859_1);
        List<String> entries = new ArrayList<>();
        int loaded = 0;
        try (SimDevice device = SimDevice.open(SimOptions.defaults())) {
            PtxModule module = device.module(file.toString(), text);
            entries.addAll(module.kernels());
            for (String entry : entries) {
                try {
                    module.kernel(entry);
                    loaded++;
                } catch (PtxException unsupported) {
                    note(unsupported, 1);
                }
            }
        } catch (PtxException unsupported) {
            int declared = Math.max(1, text.split("\\.entry\\s", -1).length - 1);
            note(unsupported, declared);
            for (int k = 0; k < declared; k++) {
                entries.add("");
            }
        }
        counts.entries += entries.size();
        counts.loadedEntries += loaded;
        counts.files++;
        counts.loadedFiles += loaded == entries.size() ? 1 : 0;
    }

    /** Reasons without places, so that the same reason of several files is counted as one. */
    private void note(PtxException refusal, int entries) {
        String message = String.valueOf(refusal.getMessage()).replaceFirst("^.*?\\.ptx(:\\d+)*: ", "");
        String reason = message.replaceFirst(" in \".*", "")
                .replaceFirst("^entry \\S+ uses textures or surfaces.*", "textures or surfaces")
                .replaceFirst("^function \\S+ has no body.*", "a function that another file defines")
                .replaceFirst("^variable \\S+ is external.*", "a variable that another file defines")
                .replaceFirst("^static shared memory of .*", "more static shared memory than 48 KiB");
        refused.merge(reason, entries, Integer::sum);
    }
}
