package org.contrastive4j.cli;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.contrastive4j.device.PtxModule.PtxException;
import org.contrastive4j.internal.device.Assembly;
import org.contrastive4j.internal.parse.Program;
import org.jspecify.annotations.Nullable;

/**
 * NVIDIA's ptxas as a program of its own, for PTX that is newer than the assembler inside this process.
 *
 * <p>Tested by {@code PtxRunTest}.
 */
final class ExternalAssembler {
    private static final Pattern COMPILING = Pattern.compile("Compiling entry function '([^']+)'");
    private static final Pattern SPILLS =
            Pattern.compile("(\\d+) bytes stack frame, (\\d+) bytes spill stores, (\\d+)");
    private static final Pattern USED =
            Pattern.compile("Used (\\d+) registers(?:, used (\\d+) barriers)?(?:.*?, (\\d+) bytes smem)?");
    private static final Pattern LINE = Pattern.compile("line (\\d+)");
    private static final int SECONDS = 300;

    private final Path program;

    private ExternalAssembler(Path program) {
        this.program = program;
    }

    /**
     * Finds the assembler: the given one, else {@code ptxas} on the path.
     *
     * @return null when there is none
     * @throws IllegalArgumentException when the given one is not an executable file
     */
    static @Nullable ExternalAssembler find(@Nullable Path given, @Nullable String path) {
        if (given != null) {
            if (!Files.isExecutable(given) || Files.isDirectory(given)) {
                throw new IllegalArgumentException("--ptxas " + given + " is not a program");
            }
            return new ExternalAssembler(given);
        }
        for (String folder : (path == null ? "" : path).split(Pattern.quote(File.pathSeparator), -1)) {
            for (String name : new String[] {"ptxas", "ptxas.exe"}) {
                Path candidate = Path.of(folder, name);
                if (!folder.isEmpty() && Files.isExecutable(candidate)) {
                    return new ExternalAssembler(candidate);
                }
            }
        }
        return null;
    }

    /** Assembles and reports. */
    Assembly assemble(Program source, String text, String architecture) {
        try {
            Path input = Files.createTempFile("check", ".ptx");
            Path log = Files.createTempFile("check", ".log");
            try {
                Files.writeString(input, text);
                Process process = new ProcessBuilder(
                                program.toString(), "-v", "-arch=" + architecture, "-o", nullDevice(), input.toString())
                        .redirectErrorStream(true)
                        .redirectOutput(log.toFile())
                        .start();
                if (!process.waitFor(SECONDS, TimeUnit.SECONDS)) {
                    process.destroyForcibly();
                    throw new PtxException(source.file(), 0, 0, program + " did not end within " + SECONDS + " s");
                }
                String output = Files.readString(log, StandardCharsets.UTF_8).replace(input.toString(), source.file());
                if (process.exitValue() != 0) {
                    throw failure(source, output);
                }
                return new Assembly(
                        architecture,
                        entries(output),
                        output.lines().filter(line -> line.contains("(C75")).toList(),
                        output);
            } finally {
                Files.deleteIfExists(input);
                Files.deleteIfExists(log);
            }
        } catch (IOException e) {
            throw new PtxException(source.file(), 0, 0, "cannot run " + program + ": " + e.getMessage());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new PtxException(source.file(), 0, 0, program + " was interrupted");
        }
    }

    private static String nullDevice() {
        return File.separatorChar == '\\' ? "NUL" : "/dev/null";
    }

    private static PtxException failure(Program source, String output) {
        String first = output.lines()
                .filter(line -> line.contains("error") || line.contains("fatal"))
                .findFirst()
                .orElse(output.strip());
        Matcher line = LINE.matcher(first);
        return new PtxException(
                source.file(),
                line.find() ? Integer.parseInt(line.group(1)) : 0,
                0,
                first.replaceFirst("^.*?(error|fatal) *: *", "").strip());
    }

    private static Map<String, Assembly.Entry> entries(String output) {
        Map<String, Assembly.Entry> entries = new LinkedHashMap<>();
        String entry = "";
        int[] stack = new int[3];
        for (String line : output.lines().toList()) {
            Matcher compiling = COMPILING.matcher(line);
            Matcher spills = SPILLS.matcher(line);
            Matcher used = USED.matcher(line);
            if (compiling.find()) {
                entry = compiling.group(1);
            } else if (spills.find()) {
                for (int i = 0; i < stack.length; i++) {
                    stack[i] = Integer.parseInt(spills.group(i + 1));
                }
            } else if (used.find() && !entry.isEmpty()) {
                entries.put(
                        entry,
                        new Assembly.Entry(
                                Integer.parseInt(used.group(1)),
                                stack[1],
                                stack[2],
                                stack[0],
                                used.group(3) == null ? 0 : Integer.parseInt(used.group(3)),
                                used.group(2) == null ? 0 : Integer.parseInt(used.group(2))));
            }
        }
        return entries;
    }
}
