package org.contrastive4j.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import picocli.AutoComplete;

/**
 * Writes the launcher to the folder {@code target}: the scripts {@code c4j} and {@code c4j.cmd}, the completion for
 * bash and zsh, and a class data sharing archive, which halves the start-up time.
 */
public final class LauncherFiles {
    static final String NAME = "c4j";
    private static final String COMPLETION = "c4j-completion.bash";
    private static final String ARCHIVE = "c4j.jsa";

    private LauncherFiles() {}

    /**
     * Writes the files; called by the build.
     *
     * @param arguments the folder that gets the scripts, and the file name of the library's jar in its folder lib
     * @throws IOException when a file cannot be written
     * @throws InterruptedException when the build is interrupted
     */
    public static void main(String[] arguments) throws IOException, InterruptedException {
        if (arguments.length != 2) {
            throw new IllegalArgumentException("expected a folder and the name of a jar, got " + List.of(arguments));
        }
        Path folder = Path.of(arguments[0]);
        write(folder, arguments[1]);
        archive(folder.resolve("lib"), arguments[1]);
    }

    static void write(Path folder, String jar) throws IOException {
        Path script = folder.resolve(NAME);
        Files.writeString(script, template("c4j.sh").replace("@JAR@", jar));
        if (!script.toFile().setExecutable(true, false)) {
            throw new IOException(script + " cannot be made executable");
        }
        Files.writeString(
                folder.resolve(NAME + ".cmd"),
                template("c4j.cmd").replace("@JAR@", jar).replace("\r", "").replace("\n", "\r\n"));
        Files.writeString(folder.resolve("lib").resolve(COMPLETION), AutoComplete.bash(NAME, Main.commandLine()));
    }

    /** Writes the archive. If this JVM cannot write one, the scripts run without it. */
    private static void archive(Path lib, String jar) throws IOException, InterruptedException {
        Path archive = lib.resolve(ARCHIVE);
        Files.deleteIfExists(archive);
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        Process process = new ProcessBuilder(
                        java,
                        "-XX:ArchiveClassesAtExit=" + archive,
                        "-Xlog:disable",
                        "-jar",
                        lib.resolve(jar).toString(),
                        "train",
                        "--help")
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start();
        process.waitFor();
    }

    private static String template(String name) {
        try (InputStream stream = LauncherFiles.class.getResourceAsStream(name)) {
            if (stream == null) {
                throw new IllegalStateException("the resource " + name + " of " + LauncherFiles.class + " is missing");
            }
            return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Returns the files of the launcher, relative to the build folder. */
    static List<String> files() {
        return Stream.of(NAME, NAME + ".cmd", "lib/" + COMPLETION).toList();
    }
}
